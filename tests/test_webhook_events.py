"""What is told: every event of the catalogue where it happens, with exactly its fields."""

import ast
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config import ids
from config.money import NANO
from ledger import services as ledger
from ledger import topups
from ledger.errors import InsufficientFunds
from ledger.models import Hold, Settlement, TopUpLink
from ledger.services import WalletSettings
from paywalls import connections, keys, standing
from paywalls import services as paywalls
from paywalls.models import AuthorizationRequest, EndUser, Paywall
from paywalls.users import UserRef
from tests.factories import (
    make_connection,
    make_model,
    make_paywall,
    make_provider,
    make_tenant,
    make_wallet_user,
)
from webhooks import catalogue, services
from webhooks.models import Event

ROOT = Path(__file__).resolve().parent.parent


def test_there_are_the_contracts_27() -> None:
    assert len(catalogue.ALL.keys() - {catalogue.LOW}) == 27


def _strings() -> set[str]:
    """Every event key in the product's own code."""
    strings = set()
    for app in ("ledger", "paywalls", "proxy"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Constant(value=str(text)) if text.startswith("paywall."):
                        strings.add(text)
    return strings


def test_every_event_is_emitted_somewhere_and_nothing_else_is() -> None:
    strings = _strings()
    spelled = {text for text in strings if text in catalogue.ALL or text.count(".") > 1}
    spelled |= {f"paywall.authorization.{end}" for end in ("requested", "completed", "declined", "revoked")}
    assert spelled - {"paywall.authorization."} == set(catalogue.ALL)


@pytest.fixture
def paywall(transactional_db: None) -> Paywall:
    """A paywall with a trial, to whose every event somebody listens."""
    made = make_paywall(make_tenant(credits_per_usd=1_000), trial_credit=NANO // 2)
    services.create(made.pk, url="https://example.com/hook", events=["*"])
    return made


def told() -> list[tuple[str, dict[str, Any]]]:
    """The events so far: type and data, without what is in all of them."""
    rows = [event.content for event in Event.objects.order_by("id")]
    for row in rows:
        assert set(row["data"]) == {"paywallId", "ownerUserId", *catalogue.ALL[row["type"]].fields}
        assert set(row["trigger"]) == {"source", "actorType", "actorId"}
        assert set(row["subject"]) == {"type", "id", "externalId"}
    own = ("paywallId", "ownerUserId")
    return [
        (row["type"], {name: value for name, value in row["data"].items() if name not in own}) for row in rows
    ]


def alice(paywall: Paywall) -> UserRef:
    return UserRef(paywall.pk, "alice")


class TestMoney:
    def test_a_first_deposit(self, paywall: Paywall) -> None:
        receipt = ledger.deposit(alice(paywall), 1_500_000_001, source="deposit:1")
        user = EndUser.objects.get().public_id
        trial, deposit = told()
        assert trial[0] == "paywall.balance.trial.granted"
        assert (trial[1]["walletUserId"], trial[1]["credits"]) == (user, 500)
        assert deposit == (
            "paywall.balance.deposit.created",
            {
                "walletUserId": user,
                "externalUserId": "alice",
                "amount": 1.500000001,
                "currency": "USD",
                "source": "api.deposit",
                "activityId": f"act_{receipt.transfer_id.hex}",
            },
        )
        # The number on the wire is the exact decimal, not what a float makes of it.
        body = bytes(Event.objects.get(type="paywall.balance.deposit.created").body)
        assert b'"amount":1.500000001,' in body

    def test_a_replay_tells_nothing_again(self, paywall: Paywall) -> None:
        for _ in range(3):
            ledger.deposit(alice(paywall), NANO, source="deposit:1")
        assert [type for type, _ in told()].count("paywall.balance.deposit.created") == 1

    def test_a_balance_that_falls_below_its_threshold_tells_once_a_crossing(self, paywall: Paywall) -> None:
        user = ledger.ensure_user(alice(paywall))
        ledger.configure_wallet(alice(paywall), WalletSettings(low_balance=NANO // 4))
        for number in range(3):
            ledger.charge(alice(paywall), NANO // 8, source=f"charge:{number}")
        lows = [data for type, data in told() if type == "paywall.balance.low"]
        assert lows == [
            {"walletUserId": user.public_id, "externalUserId": "alice", "balance": 0.125, "threshold": 0.25}
        ]
        ledger.deposit(alice(paywall), NANO, source="deposit:1")
        ledger.charge(alice(paywall), NANO, source="charge:3")
        assert [type for type, _ in told()].count("paywall.balance.low") == 2

    def test_a_captured_hold_of_an_app_is_a_charge_too(self, paywall: Paywall) -> None:
        hold_id = ids.new()
        ledger.hold(alice(paywall), NANO // 4, hold_id=hold_id, seconds=60)
        ledger.capture(Hold.objects.get(pk=hold_id), NANO // 8)
        created, completed = told()[-2:]
        assert (created[0], created[1]["amount"]) == ("paywall.balance.charge.created", 0.125)
        assert completed[0] == "paywall.balance.charge.completed"
        assert completed[1]["activityId"] == created[1]["activityId"]

    def test_a_charge(self, paywall: Paywall) -> None:
        ledger.ensure_user(alice(paywall))
        receipt = ledger.charge(alice(paywall), NANO // 4, source="charge:1")
        _, created, completed = told()
        activity = f"act_{receipt.transfer_id.hex}"
        assert created[0] == "paywall.balance.charge.created"
        assert (created[1]["activityId"], created[1]["amount"], created[1]["processingFeeAmount"]) == (
            activity,
            0.25,
            0,
        )
        assert completed[0] == "paywall.balance.charge.completed"
        assert (completed[1]["activityId"], completed[1]["settlementReference"]) == (activity, "charge:1")

    def test_a_charge_that_is_refused(self, paywall: Paywall) -> None:
        with pytest.raises(InsufficientFunds):
            ledger.charge(alice(paywall), NANO, source="charge:1")
        _, failed, depleted = told()
        assert failed[0] == "paywall.balance.charge.failed"
        assert (failed[1]["amount"], failed[1]["errorCode"]) == (1, "insufficient_funds")
        assert depleted[0] == "paywall.balance.depleted"
        assert (depleted[1]["requestedAmount"], depleted[1]["availableBalance"]) == (1, 0.5)

    def test_a_top_up(self, paywall: Paywall) -> None:
        user = ledger.ensure_user(alice(paywall))
        url = topups.link_for(user)
        topups.link_for(user)
        link = TopUpLink.objects.get()
        topups.pay_in_sandbox(link, 5 * NANO)
        _, created, deposit, completed = told()
        assert created == (
            "paywall.balance.topup.link.created",
            {"walletUserId": user.public_id, "redirectUrl": url, "checkoutSessionId": link.public_id},
        )
        assert (deposit[0], deposit[1]["source"]) == ("paywall.balance.deposit.created", "sandbox.checkout")
        assert completed[0] == "paywall.stripe.checkout.session.completed"
        assert (completed[1]["checkoutSessionId"], completed[1]["amount"]) == (link.public_id, 5)


class TestConnections:
    @pytest.fixture
    def shared(self, transactional_db: None) -> Paywall:
        """A shared paywall, to whose every event somebody listens."""
        made = make_paywall(mode="shared")
        services.create(made.pk, url="https://example.com/hook", events=["*"])
        return made

    def test_asked_approved_and_revoked(self, shared: Paywall) -> None:
        person = make_wallet_user()
        url = connections.link_for(alice(shared))
        user, request = EndUser.objects.get(paywall=shared), AuthorizationRequest.objects.get()
        made = connections.approve(request, person, None)
        connections.end(made)
        who = {"externalUserId": "alice", "walletUserId": user.public_id}
        assert told() == [
            (
                "paywall.authorization.requested",
                {**who, "requestId": request.public_id, "approvalUrl": url, "mode": "shared"},
            ),
            ("paywall.authorization.completed", {**who, "connectionId": made.public_id}),
            ("paywall.authorization.revoked", who),
        ]

    def test_declined_with_its_reason(self, shared: Paywall) -> None:
        connections.link_for(alice(shared))
        connections.decline(AuthorizationRequest.objects.get(), None, "too dear")
        type, data = told()[-1]
        assert (type, data["reason"]) == ("paywall.authorization.declined", "too dear")

    def test_a_charge_is_completed_by_its_settlement(self, shared: Paywall, settings: Any) -> None:
        settings.PLATFORM_FEE_PERCENT = Decimal(10)
        make_connection(alice(shared), make_wallet_user(balance=NANO))
        receipt = ledger.charge(alice(shared), NANO // 4, source="charge:1")
        type, data = told()[-1]
        assert (type, data["amount"], data["processingFeeAmount"]) == (
            "paywall.balance.charge.created",
            0.25,
            0.025,
        )
        ledger.settle_earnings()
        type, data = told()[-1]
        assert (type, data["activityId"]) == (
            "paywall.balance.charge.completed",
            f"act_{receipt.transfer_id.hex}",
        )
        assert data["settlementReference"] == Settlement.objects.get().public_id


class TestSettings:
    def test_what_changed_is_named(self, paywall: Paywall) -> None:
        paywalls.update_paywall(paywall, name="Renamed", trial_credit=2 * NANO)
        [(type, data)] = told()
        assert type == "paywall.updated"
        assert sorted(data["changedFields"]) == ["name", "trial_credit"]
        assert "trial_credit changed from $0.50 to $2.00" in data["summarySections"]

    def test_what_did_not_change_is_not(self, paywall: Paywall) -> None:
        paywalls.update_paywall(paywall, name=paywall.name)
        assert told() == []

    def test_models_and_providers_are_part_of_it_and_keys_stay_secret(self, paywall: Paywall) -> None:
        provider = make_provider(paywall, name="openai", base_url="https://api.openai.com/v1")
        model = make_model(paywall, provider, model_id="gpt", upstream_model="gpt")
        paywalls.update_provider(provider, api_key="sk-very-secret")
        paywalls.update_model(model, prompt_price=5 * NANO)
        fields = [field for _, data in told() for field in data["changedFields"]]
        assert fields == [
            "providers.openai",
            "models.gpt",
            "providers.openai.api_key",
            "models.gpt.prompt_price",
        ]
        assert not any(b"very-secret" in bytes(event.body) for event in Event.objects.all())

    def test_a_replaced_key(self, paywall: Paywall) -> None:
        keys.issue_key(paywall)
        plain = keys.rotate_key(paywall.keys.get(), actor_type="operator", actor_id="admin")
        assert plain
        assert told() == [
            (
                "paywall.secret.rotated",
                {"secretLastFour": plain[-4:], "actorId": "admin", "actorType": "operator"},
            )
        ]

    def test_an_archived_paywall_and_its_return(self, paywall: Paywall) -> None:
        assert standing.archive_paywall(paywall, " moved ")
        assert not standing.archive_paywall(paywall, "again")
        assert standing.restore_paywall(paywall)
        assert not standing.restore_paywall(paywall)
        archived, restored = told()
        assert archived == ("paywall.archived", {"reason": "moved"})
        assert restored[1]["changedFields"] == ["archived"]
