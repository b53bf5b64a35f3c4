"""Where a hosted page may send an end user back to: the apps whose origins the paywall lists."""

from urllib.parse import urlsplit

from paywalls.errors import InvalidSetting
from paywalls.models import Paywall

MAX_URL = 2_000


def check(paywall: Paywall, url: str) -> None:
    """Raises InvalidSetting where the paywall doesn't list the origin of this address."""
    if len(url) > MAX_URL or any(char.isspace() or ord(char) < 32 or char == "\\" for char in url):
        raise InvalidSetting(f"must be an address of at most {MAX_URL} characters", param="returnUrl")
    if origin(url) not in paywall.return_origins:
        raise InvalidSetting(
            "is of an origin that the paywall doesn't allow; its operator lists them (return_origins)",
            param="returnUrl",
        )


def origin(url: str) -> str:
    """The origin of an address such as `https://app.example.com`, in lower case; "" where it is no web address."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"
