"""End users in bulk: finding and making them by the ids that apps give them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from config import ids
from config.sql import Statement, array
from paywalls.models.paywall import WALLETS


@dataclass(frozen=True, slots=True, order=True)
class UserRef:
    """An end user as an app names them: the paywall's key and the app's own id."""

    paywall_id: uuid.UUID
    external_id: str


def insert_missing(refs: Sequence[UserRef]) -> Statement:
    """Make the users that are not there yet. Rows are inserted in one order, so that batches can't deadlock."""
    refs = sorted(refs)
    return Statement(
        """
        INSERT INTO paywalls_enduser (id, paywall_id, external_id)
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS new(id, paywall_id, external_id)
        ON CONFLICT (paywall_id, external_id) DO NOTHING
        """,
        (
            [ids.new() for _ in refs],
            [ref.paywall_id for ref in refs],
            [ref.external_id for ref in refs],
        ),
        returns=False,
    )


def with_paywalls(refs: Sequence[UserRef]) -> Statement:
    """Rows (paywall id, external id, user id, tenant id, trial credit in nano-dollars) of the users that exist."""
    return Statement(
        """
        SELECT u.paywall_id, u.external_id, u.id, p.tenant_id, p.trial_credit
        FROM unnest(%s::uuid[], %s::text[]) AS ref(paywall_id, external_id)
        JOIN paywalls_enduser u USING (paywall_id, external_id)
        JOIN paywalls_paywall p ON p.id = u.paywall_id
        """,
        ([ref.paywall_id for ref in refs], [ref.external_id for ref in refs]),
    )


def paywalls_with_wallets(paywall_ids: Sequence[uuid.UUID]) -> Statement:
    """Rows (paywall id, whether its end users have wallets of their own there) of the paywalls that exist.

    In shared mode they haven't: they are connected to one, which is in the installation's own paywall.
    """
    return Statement(
        "SELECT id, mode = 'default' OR id = %s FROM paywalls_paywall WHERE id = ANY(%s::uuid[])",
        (WALLETS, list(paywall_ids)),
    )


def existing_paywalls(paywall_ids: Sequence[uuid.UUID]) -> Statement:
    """Rows (paywall id, configuration version) of the paywalls that exist."""
    return Statement(
        "SELECT id, config_version FROM paywalls_paywall WHERE id = ANY(%s::uuid[])", (array(paywall_ids),)
    )
