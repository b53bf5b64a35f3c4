"""What clients and operators of a paywall can get wrong."""

from config.errors import ApiError, Conflict, InvalidKey


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


class PaywallArchived(ApiError):
    """The paywall was closed by its operator."""

    status = 410
    code = "paywall_archived"

    def __init__(self) -> None:
        super().__init__("This paywall is archived: it takes no more requests.")


class UserBlocked(ApiError):
    """The operator has blocked the end user; why is theirs to tell."""

    status = 403
    type = "permission_error"
    code = "user_blocked"
    param = "user"

    def __init__(self, paywall_name: str) -> None:
        super().__init__(
            f"Your access to {paywall_name} is blocked. Ask its support if you think that this is a mistake.",
            headers={"x-should-retry": "false"},
        )


class InvalidSetting(ApiError):
    """A setting of a tenant, paywall, provider, model or key that is refused; `param` names the setting."""

    code = "invalid_setting"


class MissingTenantKey(InvalidKey):
    """A request to the metering API without a key."""

    def __init__(self) -> None:
        super().__init__(
            "You didn't provide an API key. Send it as 'Authorization: Bearer sk-tenant-…' "
            "(or in the header X-API-Key).",
            headers={"WWW-Authenticate": "Bearer"},
        )


class UnknownTenantKey(InvalidKey):
    """A key that no tenant has, or that expired or was revoked; they are not told apart."""

    def __init__(self) -> None:
        super().__init__(
            "The API key is unknown, expired or revoked. Send a live key of the customer ('sk-tenant-…').",
            headers={"WWW-Authenticate": "Bearer"},
        )


class MissingScope(ApiError):
    """The key is live, but may not do this."""

    status = 403
    type = "permission_error"
    code = "missing_scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key lacks the scope {scope!r}; use a key that has it.")


class RegistrationClosed(ApiError):
    """Nobody can sign up by themselves, or not without an invitation."""

    status = 403
    type = "permission_error"
    code = "registration_closed"


class EmailTaken(Conflict):
    """The address is another tenant's."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("email: is already registered.", param="email")
