"""What the metering API's own account takes and answers."""
