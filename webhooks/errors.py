"""What the owner of a subscription can get wrong."""

from config.errors import ApiError, Conflict, NotFound


class InvalidSubscription(ApiError):
    """A member of a subscription that is refused; `param` names it and starts the message."""

    code = "invalid_subscription"

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}", param=param)


class InvalidParameter(ApiError):
    """A filter or member of a request that is refused; `param` names it and starts the message."""

    code = "invalid_parameter"

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}", param=param)


class UnknownSubscription(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such subscription. GET /v1/webhooks/subscriptions lists them.")


class UnknownDelivery(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such delivery. GET /v1/webhooks/logs lists them.")


class DeliveryUnderWay(Conflict):
    def __init__(self) -> None:
        super().__init__("This delivery is being sent right now. Look at its outcome, then retry.")


class Inactive(Conflict):
    def __init__(self) -> None:
        super().__init__('The subscription is not active. PATCH it with {"isActive": true} first.')
