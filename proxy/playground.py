"""What a playground's page asks: a chat, on its visitor's account. The paywall's key has no part in it.

From the link on it is a request like any other: same admission, hold, events, settlement and row.
"""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

import orjson
from django.conf import settings

from config.errors import ApiError
from paywalls import playgrounds
from paywalls.limits import NO_RATES, Rates
from paywalls.playgrounds import Link
from paywalls.users import UserRef
from proxy.call import MAX_IDENTIFICATIONS, answer_for
from proxy.callers import CallerRulesChanged
from proxy.gateway import Gateway
from proxy.http import Request, Response
from proxy.limits.allowance import Allowance
from proxy.limits.errors import OverLimit
from proxy.snapshot import PaywallSnapshot
from proxy.surfaces import SURFACES, ModelRequest
from proxy.surfaces.base import parsed_object

PATH = "/playground/chat"
# The link's token is a header and not in the address, so that no log keeps it; and no other site's page may send it.
LINK_HEADER = "x-playground-link"

_CHAT = SURFACES["/chat/completions"]
# What the page may say; all else is ours to say.
_TAKEN = ("model", "messages")


class NotFromThePage(ApiError):
    """Sent by another site's page, or by somebody who never opened ours."""

    status = 403
    type = "permission_error"


class PlaygroundBusy(ApiError):
    """All visitors together ask for more than the link allows."""

    status = 429
    type = "rate_limit_error"
    code = "playground_busy"

    def __init__(self, over: OverLimit) -> None:
        wait = over.headers["Retry-After"]
        super().__init__(
            f"Too many people use this playground at the moment. Try again in {wait} s.", headers=over.headers
        )


async def chat(gateway: Gateway, request: Request, response: Response) -> None:
    """Stream the answer to a visitor of a playground. Raises ApiError for what an error answers."""
    response.extra |= {"x-content-type-options": "nosniff"}
    _check_origin(request)
    link = Link.of_token(request.header(LINK_HEADER))
    visitor = _visitor(request)
    snapshot = await gateway.snapshots.get(link)
    asked = _asked(await request.body(settings.MAX_BODY_BYTES))
    user = UserRef(snapshot.id, playgrounds.external_id(snapshot.id, visitor))
    if over := await _over_limit(gateway, request, snapshot):
        seen, snapshot = snapshot, await gateway.snapshots.refreshed(link, snapshot)
        if snapshot is seen or (over := await _over_limit(gateway, request, snapshot)):
            raise PlaygroundBusy(over)
    for _ in range(MAX_IDENTIFICATIONS):
        try:
            await answer_for(gateway, request, response, asked, user, link, snapshot)
            return
        except CallerRulesChanged:
            snapshot = await gateway.snapshots.get(link)
    raise CallerRulesChanged


def _check_origin(request: Request) -> None:
    """Browsers say where a request is from. Raises NotFromThePage."""
    origin = request.header("origin")
    ours = request.header("sec-fetch-site") in {"", "same-origin"} and (
        not origin or origin == settings.PUBLIC_URL or urlsplit(origin).netloc == request.header("host")
    )
    if not ours:
        raise NotFromThePage("Only the playground's own page may ask here.", code="origin_not_allowed")


def _visitor(request: Request) -> str:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(request.header("cookie"))
    except CookieError:
        cookies.clear()
    sent = cookies.get(playgrounds.COOKIE)
    visitor = playgrounds.visitor_in(sent.value) if sent else None
    if visitor is None:
        raise NotFromThePage(
            "Open the playground's page first, and allow cookies for this site.", code="unknown_visitor"
        )
    return visitor


def _asked(raw: bytes) -> ModelRequest:
    said = parsed_object(raw)
    body = {name: said[name] for name in _TAKEN if name in said}
    return _CHAT.parse(orjson.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}))


async def _over_limit(gateway: Gateway, request: Request, snapshot: PaywallSnapshot) -> OverLimit | None:
    """Count the request for its link, or say why not."""
    assert snapshot.link
    # Counted as an end user would be; no paywall has the playground's key.
    everybody = UserRef(snapshot.link.playground_id, "everybody")
    rates = Rates(requests=snapshot.link.requests_per_minute)
    taken = Allowance(gateway.counters, everybody, request.id, {})
    return await taken.take(rates, "", NO_RATES, prompt=0, output=0)
