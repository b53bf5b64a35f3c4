"""How the paywall's own answers go out: as a message, as a stream, or as an HTTP error.

An agent tells such a reply from a model's by the header `X-Paywall-Decision` and the extension field `paywall`. The
paywall says whether its clients get messages or errors (402 for what must be paid), and a request's own header
`X-Paywall-Reply` (`message` or `error`) beats it.
"""

from dataclasses import replace
from http import HTTPStatus

from paywalls.users import UserRef
from proxy.decisions import Decision
from proxy.gateway import Gateway
from proxy.http import Request, Response
from proxy.surfaces import ModelRequest

DECISION_HEADER = "x-paywall-decision"
REPLY_HEADER = "x-paywall-reply"


def wants_error(request: Request, decision: Decision) -> bool:
    """Whether this client would rather have an HTTP error than a message."""
    asked = request.header(REPLY_HEADER).strip().lower()
    return asked == "error" or (decision.voice.as_errors and asked != "message")


async def send(
    gateway: Gateway,
    request: Request,
    response: Response,
    asked: ModelRequest,
    user: UserRef,
    decision: Decision,
) -> None:
    """Answer with the decision in the form that the client asked for, or the only one that its API has."""
    headers = {DECISION_HEADER: decision.case.value}
    surface, key = asked.surface, request.id.hex
    message = None if wants_error(request, decision) else surface.message(key, asked, decision)
    if message is None:
        body = {**surface.error(decision.error), "paywall": decision.extension()}
        await response.json(body, decision.error.status, {**decision.error.headers, **headers})
        return
    if decision.voice.endpoint:
        said = await gateway.responder.text(request, asked, user, decision)
        decision = replace(decision, text=said)
        message = surface.message(key, asked, decision)
    headers["x-should-retry"] = "false"
    if asked.stream:
        headers |= {"content-type": "text/event-stream", "cache-control": "no-cache"}
        await response.start(HTTPStatus.OK, headers)
        await response.finish(surface.message_stream(key, asked, decision))
    else:
        await response.json(message, HTTPStatus.OK, headers)
