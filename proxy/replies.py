"""How the paywall's own answers go out: as a message, as a stream, or as HTTP 402.

An agent tells such a reply from a model's by the header `X-Paywall-Decision` and the extension field `paywall`.
Who would rather have an error sends `X-Paywall-Reply: error` and gets HTTP 402 with an error object. An empty
balance is never 429, which clients retry for ever.
"""

from http import HTTPStatus

from config.errors import ApiError
from proxy.decisions import Decision
from proxy.http import Request, Response
from proxy.surfaces import ModelRequest

DECISION_HEADER = "x-paywall-decision"
REPLY_HEADER = "x-paywall-reply"


class PaymentRequired(ApiError):
    """The decision as an error."""

    status = HTTPStatus.PAYMENT_REQUIRED

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.text, code=decision.code)
        self.type = decision.code


async def send(request: Request, response: Response, asked: ModelRequest, decision: Decision) -> None:
    """Answer with the decision in the form that the client asked for, or the only one that its API has."""
    headers = {DECISION_HEADER: decision.code, "x-should-retry": "false"}
    surface, key = asked.surface, request.id.hex
    message = surface.message(key, asked, decision)
    if message is None or request.header(REPLY_HEADER).strip().lower() == "error":
        error = surface.error(PaymentRequired(decision))
        await response.json({**error, "paywall": decision.extension()}, HTTPStatus.PAYMENT_REQUIRED, headers)
    elif asked.stream:
        headers |= {"content-type": "text/event-stream", "cache-control": "no-cache"}
        await response.start(HTTPStatus.OK, headers)
        await response.finish(surface.message_stream(key, asked, decision))
    else:
        await response.json(message, HTTPStatus.OK, headers)
