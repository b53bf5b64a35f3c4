"""What a check or a consume answers: the verdict, the figures behind it, and links that help."""

import uuid
from decimal import Decimal
from typing import Any, NamedTuple

from config.wire import stamp
from ledger import topups
from ledger.entitlements.questions import Question
from ledger.entitlements.rules import Facts, Remedy, Verdict
from paywalls import tenants
from paywalls.models import EndUser, Tenant

LABELS = {
    Remedy.CREATE_WALLET: "Open a wallet by adding credits",
    Remedy.PURCHASE: "Purchase credits",
}


class Estimate(NamedTuple):
    """Nano-dollars: what the user would be charged, and what the provider charges; None where nobody knows."""

    amount: int | None = None
    cost: int | None = None


UNKNOWN = Estimate()


def verdict_json(
    facts: Facts, verdict: Verdict, estimate: Estimate, credits_per_usd: int, *, counted: int = 0
) -> dict[str, Any]:
    """The answer without its links; `counted` uses were just added to those that the verdict saw."""
    usage = verdict.usage + counted
    wallet = facts.wallet
    return {
        "allowed": verdict.allowed,
        "reason": verdict.reason,
        "estimatedCostCredits": None
        if estimate.amount is None
        else number(estimate.amount * credits_per_usd),
        "estimatedCostUsd": None if estimate.cost is None else number(estimate.cost),
        "currentBalance": None if wallet is None else number(wallet.available * credits_per_usd),
        "actions": [],
        "usage": usage,
        "limit": verdict.limit,
        "limitType": facts.limit.type,
        "remaining": None if verdict.limit is None else max(0, verdict.limit - usage),
        "resetAt": stamp(verdict.resets_at),
    }


def number(billionths: int) -> int | float:
    """A JSON number of billionths: whole where it is. A float here is for show, and has 15 digits."""
    whole, part = divmod(billionths, 10**9)
    return whole if not part else float(Decimal(billionths).scaleb(-9))


def actions(remedy: Remedy, tenant_id: uuid.UUID, question: Question) -> list[dict[str, str]]:
    """The links of a refusal: the user's top-up page, which also opens the wallet of somebody new.

    None where a team pays: only the customer can grant it credits.
    """
    if question.team_id:
        return []
    home = tenants.home_of(Tenant.objects.get(pk=tenant_id))
    user, _ = EndUser.objects.get_or_create(paywall=home, external_id=question.user_id)
    return [{"type": remedy.value, "label": LABELS[remedy], "url": topups.link_for(user)}]
