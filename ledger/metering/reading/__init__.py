"""A batch of events as an app sends it: read, or refused with every fault by index and field. Pure."""

from ledger.metering.reading.events import AHEAD, MAX_EVENTS, Event, read
from ledger.metering.reading.faults import AnotherCustomer, InvalidEvents
from ledger.metering.reading.fields import MAX_COUNT

__all__ = ["AHEAD", "MAX_COUNT", "MAX_EVENTS", "AnotherCustomer", "Event", "InvalidEvents", "read"]
