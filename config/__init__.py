"""The project around the four apps: settings, dispatch, worker, system checks, operator site."""
