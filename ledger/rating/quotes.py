"""What usage of this moment would cost: the rating of an event that isn't one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from config.sql import Work
from ledger import posting
from ledger.metering import statements
from ledger.metering.ingest import versions
from ledger.rating import catalogue, rating
from ledger.rating.rating import Rated
from ledger.rating.rules import Measure
from paywalls.models import Tenant


@dataclass(frozen=True, slots=True)
class Question:
    """Tokens of a provider's model."""

    provider: str
    model: str
    input_tokens: int
    output_tokens: int


def quote(tenant: Tenant, questions: Sequence[Question], at: datetime) -> list[Rated]:
    """The price of each, at this moment; what nobody knows is None in it."""
    rated: list[Rated] = posting.run(lambda: _steps(tenant, questions, at))
    return rated


def _steps(tenant: Tenant, questions: Sequence[Question], at: datetime) -> Work:
    named = {(question.provider, question.model) for question in questions}
    rows, typed = yield [statements.burn_tables(tenant.pk), catalogue.overrides(named)]
    found, known = versions(rows), catalogue.cards(named, typed)
    return [
        _priced(tenant, question, at, found, known[question.provider, question.model])
        for question in questions
    ]


def _priced(
    tenant: Tenant,
    question: Question,
    at: datetime,
    found: Sequence[rating.Version],
    card: rating.CostCard | None,
) -> Rated:
    used = Measure(input=question.input_tokens, output=question.output_tokens)
    rated = rating.rate(used, question.model, at, found, card, tenant.credits_per_usd)
    # Nothing of an unknown model costs nothing, but it is unknown all the same.
    return Rated(None, None) if rated.burn_table is None and card is None else rated
