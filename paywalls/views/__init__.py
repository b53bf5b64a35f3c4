"""The metering API's own account: registration, keys, teams."""
