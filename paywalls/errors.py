"""What clients and operators of a paywall can get wrong."""

from config.errors import ApiError, InvalidKey


class MissingKey(InvalidKey):
    """A request without a paywall key."""

    def __init__(self) -> None:
        super().__init__(
            "You didn't provide a paywall key. Send it as 'Authorization: Bearer sk-paywalls-…' "
            "(or in the header X-API-Key).",
            headers={"WWW-Authenticate": "Bearer"},
        )


class UnknownKey(InvalidKey):
    """A key that no paywall has, or that was revoked; the two are not told apart."""

    def __init__(self) -> None:
        super().__init__(
            "The paywall key is unknown or was revoked. Send a live key of the paywall ('sk-paywalls-…').",
            headers={"WWW-Authenticate": "Bearer"},
        )


class InvalidSetting(ApiError):
    """A setting of a tenant, paywall, provider, model or key that is refused; `param` names the setting."""

    code = "invalid_setting"
