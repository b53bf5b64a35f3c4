"""Cross-origin calls: browsers ask first (preflight), and show a page the answer only where we name its origin.

A preflight comes without a key, so it can't know the paywall and allows any origin to ask. The answer itself names the
origin where the paywall of a publishable key allows it. No cookie is ever part of it.
"""

ALLOWED_METHODS = "GET, POST, OPTIONS"
# What clients send; a preflight that asks for further ones gets those, too.
PREFLIGHT_SECONDS = 7_200

_EXPOSED = ", ".join(
    (
        "X-Request-Id",
        "X-Upstream-Request-Id",
        "X-Paywall-Decision",
        "X-Should-Retry",
        "Retry-After",
        "X-RateLimit-Limit-Requests",
        "X-RateLimit-Remaining-Requests",
        "X-RateLimit-Reset-Requests",
        "X-RateLimit-Limit-Tokens",
        "X-RateLimit-Remaining-Tokens",
        "X-RateLimit-Reset-Tokens",
    )
)


def answer_headers(origin: str) -> dict[str, str]:
    """What lets a page of this origin read the answer."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _EXPOSED,
        "Vary": "Origin",
    }


def preflight_headers(origin: str, asked: str) -> dict[str, str]:
    """What lets a page of this origin send a request with the headers it asked for."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": ALLOWED_METHODS,
        "Access-Control-Allow-Headers": asked,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Vary": "Origin, Access-Control-Request-Headers",
    }
