"""The proof finds what is wrong: each rule, broken past the triggers, names its row."""

import pytest
from django.db import connection, transaction
from django.utils import timezone

from config import ids
from ledger import services
from ledger.analytics import rollups
from ledger.models import (
    Account,
    Hold,
    Lot,
    ProxyRequest,
    ReconciliationItem,
    StripeAccount,
    StripeCheckout,
    StripePayment,
    Transfer,
)
from ledger.operations import OnModel, PlaceHold
from ledger.payments.credit import credit
from ledger.posting import post_one
from ledger.services import WalletSettings
from ledger.verification import RULES, verify
from ledger.windows import Limits
from paywalls.users import UserRef
from tests.factories import make_connection, make_paywall, make_wallet_user

pytestmark = pytest.mark.django_db(transaction=True)

# What breaks each rule of money (and at times another one with it).
BREAKS = {
    "a wallet's balance is the sum of its transfers": """
        UPDATE ledger_account SET posted = posted + 1 WHERE kind = 'wallet'
    """,
    "a wallet's versions have no gap": "UPDATE ledger_account SET version = version + 1 WHERE kind = 'wallet'",
    "each transfer starts at the balance that the one before left": """
        UPDATE ledger_transfer SET balance_before = balance_before + 1, balance_after = balance_after + 1
        WHERE kind = 'charge'
    """,
    "what a wallet holds is the sum of its open holds": "UPDATE ledger_account SET held = 1 WHERE kind = 'wallet'",
    "what is left of a wallet's lots is its balance, or nothing in debt": """
        UPDATE ledger_lot SET remaining = remaining - 1 WHERE kind = 'paid'
    """,
    "a wallet knows the earliest expiry of its lots": "UPDATE ledger_lot SET expires_at = now() WHERE remaining > 0",
    "a captured hold has one transfer of just its amount": """
        UPDATE ledger_hold SET captured = captured + 1 WHERE state = 'captured'
    """,
    "every usage charge belongs to a captured hold": """
        UPDATE ledger_transfer SET request_id = gen_random_uuid() WHERE kind = 'usage'
    """,
    "both accounts of a transfer belong to its tenant": "UPDATE ledger_transfer SET tenant_id = gen_random_uuid()",
    "what a lot has left is what its transfers gave it, less what they took": """
        UPDATE ledger_transfer SET lots = '[]' WHERE kind = 'usage'
    """,
    "no more of a transfer was given or taken back than it moved": """
        UPDATE ledger_transfer SET amount = amount - 25, balance_after = balance_after + 25 WHERE kind = 'charge'
    """,
    "what moves between wallets passes through": """
        DELETE FROM ledger_transfer WHERE kind = 'transfer' AND source LIKE '%:in'
    """,
    "a request that was lost has a reconciliation item, charged just where its hold is": """
        DELETE FROM ledger_reconciliationitem
    """,
    "a wallet's day is what was held or charged on it": "UPDATE ledger_account SET day_used = day_used + 1",
    "what was spent on a model in a day is what was held or charged for it": """
        UPDATE ledger_modelspend SET day_used = day_used + 1
    """,
    "a charge or refund of a shared wallet is shared out to the nano": """
        UPDATE ledger_split SET amount = amount + 1, earned = earned + 1 WHERE amount > 0
    """,
    "a settlement credits the sum of its splits": "UPDATE ledger_settlement SET amount = amount + 1",
    "a withdrawal has left the earnings, but for one that was refused": """
        UPDATE ledger_withdrawal SET amount = amount + 1
    """,
    "a connection's day is what was held or charged through it": """
        UPDATE paywalls_connection SET day_used = day_used + 1
    """,
    "what Stripe took, less what it took back, is what it credited": """
        UPDATE ledger_stripepayment SET reversed = reversed + 1
    """,
    "a payment of Stripe has one credit of just its amount": """
        UPDATE ledger_stripepayment SET object_id = 'cs_other'
    """,
    "a checkout that was paid has a payment of just its amount": """
        UPDATE ledger_stripecheckout SET state = 'open'
    """,
    "a wallet is marked low just while it is": "UPDATE ledger_account SET is_low = NOT is_low WHERE kind = 'wallet'",
    "roll-ups and increments are the raw rows, hour by hour": "UPDATE ledger_usagehour SET charged = charged + 1",
    "users' roll-ups and increments are the raw rows, day by day": "DELETE FROM ledger_usageincrement",
    "what users paid in a month is the sum of their days": "UPDATE ledger_payermonth SET charged = charged + 1",
    "how many users paid on a day, and on which they had paid last, is what their days say": """
        UPDATE ledger_payerday SET users = users + 1
    """,
}


@pytest.fixture(autouse=True)
def books(transactional_db):
    """Two users with every sort of movement; the books sum."""
    paywall = make_paywall(trial_credit=50)
    alice, bob = UserRef(paywall.id, "alice"), UserRef(paywall.id, "bob")
    services.deposit(alice, 1_000, source="d")
    services.configure_wallet(alice, WalletSettings(low_balance=5))
    charge = services.charge(alice, 100, source="c")
    services.refund(charge.transfer_id, 90, source="r")
    services.transfer(alice, bob, 20, source="t")
    wallet = Account.objects.get(user__external_id="alice").pk
    settled, lost = ids.new(), ids.new()
    on_model = OnModel(ids.new(), Limits(day=1_000))
    post_one(PlaceHold(wallet, settled, 60, 60, on_model=on_model))
    services.settle(wallet, settled, 40)
    post_one(PlaceHold(wallet, lost, 60, -1))
    services.sweep_stale_holds()
    _pay_by_stripe(wallet)
    assert (Transfer.objects.count(), Hold.objects.count(), Lot.objects.count()) == (10, 2, 5)
    assert ReconciliationItem.objects.count() == 1
    for user in ("alice", "bob"):
        rollups.roll_up()
        ProxyRequest.objects.create(
            paywall=paywall,
            external_id=user,
            surface="chat",
            status="completed",
            charge=40,
            created_at=timezone.now(),
        )
    carol = UserRef(make_paywall(mode="shared").pk, "carol")
    made = make_connection(carol, make_wallet_user(balance=1_000))
    shared = services.charge(carol, 100, source="s")
    services.refund(shared.transfer_id, 50, source="sr")
    services.request_withdrawal(made.paywall, 20)
    assert list(verify()) == []


def _pay_by_stripe(wallet_id):
    """Ten cents through a checkout, of which a cent was taken back."""
    wallet = Account.objects.get(pk=wallet_id)
    account = StripeAccount.objects.create(livemode=False, key_digest="", key_suffix="")
    StripeCheckout.objects.create(
        account=account, wallet=wallet, purpose="payment", amount=100_000_000, session_id="cs_1", state="done"
    )
    paid = credit(
        account,
        wallet,
        StripePayment.Kind.CHECKOUT,
        "cs_1",
        payment_intent="pi_1",
        amount=100_000_000,
        credited=100_000_000,
    )
    services.reverse(paid.transfer_id, 10_000_000, source="stripe:cs_1:taken:0:1")
    StripePayment.objects.update(reversed=10_000_000, corrections=1)


def test_every_rule_is_tried():
    assert set(BREAKS) == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_a_rule_is_found(name):
    with transaction.atomic(), connection.cursor() as cursor:
        # As somebody with the database's own rights could: past triggers and constraints.
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        cursor.execute("ALTER TABLE ledger_transfer DROP CONSTRAINT transfer_balances_follow")
        cursor.execute(BREAKS[name])
        [rule] = [rule for rule in RULES if rule.name == name]
        cursor.execute(rule.statement)
        assert cursor.fetchall()
        transaction.set_rollback(True)
