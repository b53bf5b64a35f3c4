"""Why a batch is refused."""

from typing import Any

from config.errors import ApiError

# As many faults as are worth reading.
MAX_FAULTS = 100


class InvalidEvents(ApiError):
    """Events that can't be taken; `details` name each fault by index and field."""

    code = "validation_error"

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        first = faults[0]
        where = "events" if first["index"] is None else f"events[{first['index']}]"
        field = f".{first['field']}" if first["field"] and first["index"] is not None else ""
        more = f" ({len(faults) - 1} more in details)" if len(faults) > 1 else ""
        super().__init__(f"{where}{field}: {first['message']}{more}")
        self.details = faults[:MAX_FAULTS]


class AnotherCustomer(ApiError):
    """An event names a customer other than the key's."""

    status = 403
    code = "another_customer"

    def __init__(self, index: int) -> None:
        super().__init__(
            f"events[{index}].customer_id: is another customer's. Nothing of the batch was taken."
        )


class Fault(Exception):
    """A field of an event that can't be read, and why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
