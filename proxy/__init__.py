"""The gateway: decide, hold, relay, meter, settle."""
