"""What an end user gets for their money, in words that need no tokens."""

from dataclasses import dataclass

from config import money
from paywalls import pricing
from paywalls.models import Paywall
from paywalls.pricing import WHOLE, Units

# A short question with its history, and a few paragraphs of answer.
MESSAGE = Units(input=500, output=300)

MODELS = 3


@dataclass(frozen=True, slots=True)
class Bought:
    """How many messages of usual length an amount buys with a model."""

    model: str
    messages: int


def buys(paywall: Paywall, amount: int = 1 * money.NANO) -> list[Bought]:
    """What `amount` nano-dollars buy with the paywall's cheapest models, most first; free ones are left out."""
    found = []
    markup = int(paywall.markup_percent * WHOLE / 100)
    for model in paywall.models.all():
        each = pricing.charge(model.price(markup), MESSAGE)
        if each:
            found.append(Bought(model.display_name or model.model_id, amount // each))
    found.sort(key=lambda bought: (-bought.messages, bought.model))
    return [bought for bought in found if bought.messages][:MODELS]
