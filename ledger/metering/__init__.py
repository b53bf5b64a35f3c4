"""Usage that apps report: read, kept once, rated, and burned."""
