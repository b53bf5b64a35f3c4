"""Subscriptions, the outbox of events, and their deliveries."""

from webhooks.models.delivery import Delivery
from webhooks.models.event import Event
from webhooks.models.subscription import Subscription

__all__ = ["Delivery", "Event", "Subscription"]
