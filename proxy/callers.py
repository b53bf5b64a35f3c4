"""Who a request of the gateway is from, and which end user it is for."""

from config.errors import ApiError, Unavailable
from paywalls import callers, keys, usertokens
from paywalls.errors import MissingKey
from paywalls.users import UserRef
from proxy.gateway import Gateway
from proxy.http import Request, Response
from proxy.snapshot import PaywallSnapshot


class CallerRulesChanged(Unavailable):
    """The paywall's rules about callers changed while the request was admitted: it is to be identified again."""

    def __init__(self) -> None:
        super().__init__("The paywall's configuration is changing. Try again shortly.")


def presented_key(request: Request) -> str:
    """The paywall key of a request. Raises MissingKey."""
    key = keys.presented(request.header("authorization"), request.header("x-api-key"))
    if not key:
        raise MissingKey
    return key


async def identified(
    gateway: Gateway,
    request: Request,
    response: Response,
    key: str,
    snapshot: PaywallSnapshot,
    explicit: object,
    url_user: str | None,
) -> tuple[PaywallSnapshot, UserRef]:
    """The end user, and the snapshot whose rules say so. Raises what `callers` and `usertokens` refuse.

    A refusal is checked against the database first: rules that were changed count from the next request on.
    """
    try:
        return snapshot, await _user(request, response, key, snapshot, explicit, url_user)
    except ApiError:
        fresh = await gateway.snapshots.refreshed(key, snapshot)
        if fresh.callers == snapshot.callers:
            raise
        return fresh, await _user(request, response, key, fresh, explicit, url_user)


async def checked(request: Request, response: Response, key: str, snapshot: PaywallSnapshot) -> str | None:
    """The user whom a verified token names; None for a secret key without one.

    From here on the answer may be read by the page that asks.
    """
    publishable = callers.is_publishable(key)
    if not publishable and snapshot.callers.issuer is None:
        return None
    origin, token = request.header("origin"), request.header(usertokens.HEADER).strip()
    if publishable and snapshot.callers.may_read(origin):
        response.readable_from = origin
    issuer = snapshot.callers.token_to_check(publishable, origin, token)
    return await usertokens.user_of(token, issuer) if issuer else None


async def _user(
    request: Request,
    response: Response,
    key: str,
    snapshot: PaywallSnapshot,
    explicit: object,
    url_user: str | None,
) -> UserRef:
    return user_named(request, snapshot, await checked(request, response, key, snapshot), explicit, url_user)


def user_named(
    request: Request,
    snapshot: PaywallSnapshot,
    subject: str | None,
    explicit: object,
    url_user: str | None = None,
) -> UserRef:
    """The end user of a request whose token, if any, names `subject`. Raises what `callers` refuses."""
    named = [request.headers.get(name.encode()) for name in snapshot.callers.user_headers]
    return UserRef(snapshot.id, callers.user_of(subject, explicit, named, url_user))
