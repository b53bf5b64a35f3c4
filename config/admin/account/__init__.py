"""An operator's own account: logging in, the second factor, the sessions."""
