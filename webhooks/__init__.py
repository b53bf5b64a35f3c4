"""Events: an outbox in the caller's transaction, signing, delivery, subscriptions, logs."""
