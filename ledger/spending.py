"""What end users have spent, and when they were last there: from roll-ups and indexes, never by reading all rows."""

from django.db.models import Exists, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, Greatest

from ledger.models import ProxyRequest, Transfer, UsageDay, UsageIncrement
from paywalls.models import Connection, EndUser


def with_activity(users: QuerySet[EndUser]) -> QuerySet[EndUser]:
    """End users with `spent` (nano-dollars, as far as it is rolled up), `active_at` and `is_connected`."""
    days = UsageDay.objects.filter(
        tenant=OuterRef("paywall__tenant"), paywall_id=OuterRef("paywall_id"), user_id=OuterRef("external_id")
    )
    requests = ProxyRequest.objects.filter(
        paywall=OuterRef("paywall_id"), external_id=OuterRef("external_id")
    )
    transfers = Transfer.objects.filter(wallet=OuterRef("wallet"))
    return users.annotate(
        spent=Coalesce(
            Subquery(days.order_by().values("user_id").annotate(sum=Sum("charged")).values("sum")[:1]), 0
        ),
        active_at=Greatest(
            Subquery(requests.order_by("-created_at").values("created_at")[:1]),
            Subquery(transfers.order_by("-version").values("created_at")[:1]),
        ),
        is_connected=Exists(Connection.objects.filter(user=OuterRef("pk"), ended_at=None)),
    )


def not_rolled_up(user: EndUser) -> int:
    """What the user was charged that is not in the roll-ups yet (nano-dollars)."""
    waiting = UsageIncrement.objects.filter(
        tenant=user.paywall.tenant_id, paywall_id=user.paywall_id, user_id=user.external_id
    )
    total: int | None = waiting.aggregate(sum=Sum("charged"))["sum"]
    return total or 0
