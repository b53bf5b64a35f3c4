"""What an end user has spent on one model, where the model limits that."""

import uuid

from django.db import connection, models

# Rows removed in one transaction.
FORGET_BATCH = 5_000


class ModelSpend(models.Model):
    """The spend windows of one payer on one model, as an account has them for everything.

    The payer is the wallet, in shared mode the connection; the key is made of payer and model (`key_of`), so that
    posting needs no look-up. Its account's lock guards the row, which is there from the first request on that the
    limit was asked for. `day_used` and `month_used` (nano-dollars) are of `window_day` (UTC) and its month; a row of a
    month that is over says nothing any more and is removed.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(
        "ledger.Account", on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    # No constraint: a model that is deleted meanwhile must not fail the batch.
    model = models.ForeignKey(
        "paywalls.PaywallModel",
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    window_day = models.DateField()
    day_used = models.BigIntegerField()
    month_used = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["window_day"], name="model_spend_day")]

    def __str__(self) -> str:
        return f"{self.account_id} on {self.model_id}"


def forget_old() -> int:
    """Remove the windows of months that are over; how many.

    A batch that is about to write a row makes it anew, so that nobody waits: what is locked is left for the next time.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM ledger_modelspend WHERE id IN (
                SELECT id FROM ledger_modelspend
                WHERE window_day < date_trunc('month', now() AT TIME ZONE 'UTC')::date - 1
                LIMIT %s FOR UPDATE SKIP LOCKED
            )
            """,
            [FORGET_BATCH],
        )
        return cursor.rowcount


def key_of(payer: uuid.UUID, model_id: uuid.UUID) -> uuid.UUID:
    """The key of a payer's windows on a model."""
    return uuid.uuid5(payer, model_id.hex)
