"""All rules, and the look at the books with them."""

from collections.abc import Iterator

from django.db import connection, transaction

from ledger.verification import balances, holds, lots, rollups, shared, spending, stripe
from ledger.verification.rule import Fault

RULES = [
    *balances.RULES,
    *holds.RULES,
    *lots.RULES,
    *spending.RULES,
    *shared.RULES,
    *stripe.RULES,
    *rollups.RULES,
]


def verify() -> Iterator[Fault]:
    """Every fault in the books, at most `EXAMPLES` for each rule.

    All rules look at one snapshot, so that money that moves meanwhile is no fault. Not inside a transaction.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for rule in RULES:
            cursor.execute(rule.statement)
            for what, expected, found in cursor.fetchall():
                yield Fault(rule.name, str(what), str(expected), str(found))
