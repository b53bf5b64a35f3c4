"""Operator alerts: raised once, kept until an operator resolves them."""

from django.db import connection
from django.utils import timezone

from config import ids
from ledger.models import OperatorAlert


def raise_alert(kind: OperatorAlert.Kind, text: str) -> None:
    """Open an alert, or bring the open one of this kind up to date."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ledger_operatoralert (id, kind, text, seen_at, resolved_by)
            VALUES (%s, %s, %s, clock_timestamp(), '')
            ON CONFLICT (kind) WHERE resolved_at IS NULL
            DO UPDATE SET text = excluded.text, seen_at = excluded.seen_at
            """,
            [ids.new(), kind.value, text],
        )


def resolve_alert(alert: OperatorAlert, *, actor: str) -> bool:
    """Close an alert; False where it was closed before. Where the cause is still there it opens anew."""
    return bool(
        OperatorAlert.objects.filter(pk=alert.pk, resolved_at=None).update(
            resolved_at=timezone.now(), resolved_by=actor
        )
    )
