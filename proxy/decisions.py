"""Why the paywall answers instead of the model, and in which words."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from config import money
from config.errors import ApiError
from paywalls.wording import Case
from proxy.snapshot import Voice


class PaymentRequired(ApiError):
    """The decision as an error. An empty balance is never 429, which clients retry for ever."""

    status = HTTPStatus.PAYMENT_REQUIRED

    def __init__(self, text: str, case: Case) -> None:
        super().__init__(text, code=case, headers={"x-should-retry": "false"})
        self.type = case


@dataclass(frozen=True, slots=True)
class Decision:
    """A case, and what to tell the end user of it. Amounts are nano-dollars, None where none are concerned.

    `error` is the answer for those who would rather have an HTTP error than a message.
    """

    case: Case
    voice: Voice
    text: str
    error: ApiError
    url: str = ""
    required: int | None = None
    available: int | None = None

    def extension(self) -> dict[str, Any]:
        """The member `paywall` of an answer, by which programs tell it from a model's."""
        told: dict[str, Any] = {"decision": self.case}
        if self.url:
            told["url"] = self.url
        if self.required is not None and self.available is not None:
            told |= {"required": money.plain(self.required), "available": money.plain(self.available)}
        return told


def authorization_required(voice: Voice, url: str) -> Decision:
    """The user has not connected this paywall to their wallet yet; the link does."""
    text = voice.wording.text(Case.AUTHORIZATION_REQUIRED, url)
    error = PaymentRequired(text, Case.AUTHORIZATION_REQUIRED)
    return Decision(Case.AUTHORIZATION_REQUIRED, voice, text, error, url)


def insufficient_funds(voice: Voice, url: str, required: int, available: int) -> Decision:
    """The balance does not cover the request; the link tops it up."""
    text = voice.wording.text(Case.INSUFFICIENT_FUNDS, url)
    error = PaymentRequired(text, Case.INSUFFICIENT_FUNDS)
    return Decision(Case.INSUFFICIENT_FUNDS, voice, text, error, url, required, available)


def provider_error(voice: Voice, error: ApiError) -> Decision:
    """No provider could answer; nothing was charged. `error` (502, 503) is for those who asked for errors."""
    return Decision(Case.PROVIDER_ERROR, voice, voice.wording.text(Case.PROVIDER_ERROR), error)
