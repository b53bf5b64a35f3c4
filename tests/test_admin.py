"""The operators' site: every page with rows, settings through services, keys shown once, books that refuse writes."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from config import ids, secrets
from config.admin import INSTALLATION, ReadOnlyAdmin, paging
from config.money import NANO
from ledger import services as ledger
from ledger.alerts import raise_alert
from ledger.models import (
    Account,
    AutoCharge,
    BurnTable,
    Entitlement,
    FeatureUsage,
    Hold,
    Lot,
    OperatorAlert,
    PlanSubscription,
    ProxyRequest,
    ReconciliationItem,
    StripeAccount,
    StripeCheckout,
    StripeEvent,
    StripePayment,
    TopUpLink,
    Transfer,
    UsageEvent,
    Withdrawal,
)
from ledger.operations import Capture, PlaceHold
from ledger.posting import post_one
from paywalls import keys, playgrounds
from paywalls.models import (
    AuditEntry,
    EndUser,
    Membership,
    Paywall,
    PaywallKey,
    PaywallModel,
    Plan,
    Provider,
    ProviderCost,
    Team,
    TeamMember,
    Tenant,
    TenantKey,
    TierLimits,
)
from paywalls.roles import MAY, Role
from paywalls.users import UserRef
from tests.factories import (
    make_connection,
    make_model,
    make_paywall,
    make_provider,
    make_route,
    make_tenant,
    make_wallet_user,
)
from tests.tenants import TenantApi, event
from webhooks import services as webhooks

pytestmark = pytest.mark.django_db

REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
READ_ONLY = [model for model in REGISTERED if isinstance(admin.site._registry[model], ReadOnlyAdmin)]
PLAIN = "sk-the-provider-key-in-the-clear"


@pytest.fixture
def root(client: Client) -> Client:
    """A browser in which a superuser is logged in."""
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def world() -> SimpleNamespace:
    """One paywall with a charge behind it, so that every page has a row."""
    paywall = make_paywall(make_tenant(name="Acme"), name="Acme Chat", trial_credit=NANO // 20)
    provider = make_provider(paywall, name="openai", base_url="https://api.openai.com/v1", api_key=PLAIN)
    model = make_model(paywall, provider, model_id="gpt", upstream_model="gpt")
    make_route(model, provider)
    webhooks.create(paywall.pk, url="https://example.com/hook", events=["paywall.balance.trial.granted"])
    key = keys.find(keys.issue_key(paywall))
    user, hold = spend(paywall, "alice")
    link = TopUpLink.objects.create(user=user, expires_at=timezone.now() + timedelta(days=1))
    raise_alert(OperatorAlert.Kind.BOOKS, "a wallet's balance is 1 nano-dollar off")
    owner = User.objects.create(username="owner", is_staff=True)
    Membership.objects.create(user=owner, tenant=paywall.tenant, role=Role.OWNER)
    AuditEntry.objects.create(
        tenant=paywall.tenant,
        actor_type="operator",
        actor="owner",
        action="request",
        subject_type="POST",
        subject="/",
    )
    ProxyRequest.objects.create(
        paywall=paywall, external_id="alice", surface="chat", status="completed", created_at=timezone.now()
    )
    ReconciliationItem.objects.create(hold=hold, deadline=timezone.now())
    Entitlement.objects.create(
        tenant=paywall.tenant, feature_id="search", limit_type="HARD", limit_value=5, period="DAILY"
    )
    FeatureUsage.objects.create(
        tenant=paywall.tenant,
        user_id="alice",
        feature_id="search",
        day=timezone.now().date(),
        day_used=1,
        month_used=1,
        total_used=1,
    )
    api = TenantApi(paywall.tenant)
    api.ingest(event(user_id="alice", team_id="red", model="nobody-knows"))
    TeamMember.objects.create(team=Team.objects.get(), user=user)
    BurnTable.objects.create(
        tenant=paywall.tenant, name="2026", version=1, rules={"*": {"inputTokens": 1, "outputTokens": 1}}
    )
    TierLimits.objects.create(tier="GROWTH", rate_per_minute=600)
    playgrounds.configure(paywall)
    ProviderCost.objects.create(provider="OPENAI", model="house", prompt_cost=NANO, completion_cost=2 * NANO)
    stripe_rows(paywall, user)
    return SimpleNamespace(
        paywall=paywall, provider=provider, model=model, key=key, user=user, hold=hold, link=link
    )


def stripe_rows(paywall: Paywall, user: EndUser) -> None:
    """One of everything that payments write."""
    account = StripeAccount.objects.create(
        paywall=paywall, livemode=False, key_digest="", key_suffix="fake", connected_by="root"
    )
    plan = Plan.objects.create(paywall=paywall, name="Pro", price_id="price_1", credit=NANO)
    wallet = user.wallet
    at = {"account": account, "wallet": wallet}
    StripeCheckout.objects.create(**at, purpose="payment", amount=NANO, session_id="cs_1")
    StripePayment.objects.create(**at, kind="checkout", object_id="cs_1", amount=NANO, credited=NANO)
    StripeEvent.objects.create(
        account=account, event_id="evt_1", type="invoice.paid", payload={}, next_attempt_at=timezone.now()
    )
    AutoCharge.objects.create(wallet=wallet, next_attempt_at=timezone.now())
    PlanSubscription.objects.create(
        **at, plan=plan, subscription_id="sub_1", customer_id="cus_1", status="active"
    )


def spend(paywall: Paywall, external_id: str) -> tuple[EndUser, Hold]:
    """A user with $12.34 deposited beside the trial, $0.000012 of which a request cost."""
    ref = UserRef(paywall.pk, external_id)
    user = ledger.ensure_user(ref)
    ledger.deposit(ref, 12_340_000_000, source=f"deposit:{external_id}")
    request = ids.new()
    post_one(PlaceHold(wallet=user.wallet.pk, hold_id=request, amount=NANO // 100, seconds=60))
    charge = Capture(
        wallet=user.wallet.pk,
        hold_id=request,
        amount=12_000,
        source=f"usage:{request.hex}",
        metadata={"model": "gpt"},
    )
    post_one(charge)
    return user, Hold.objects.get(pk=request)


@pytest.fixture
def shared_mode() -> None:
    """A wallet that a shared paywall has charged, and what it earned by that."""
    alice = UserRef(make_paywall(mode="shared").pk, "alice")
    connection = make_connection(alice, make_wallet_user(balance=NANO))
    ledger.charge(alice, 1_000, source="shared")
    ledger.request_withdrawal(connection.paywall, 1_000)


def page(model: type[Model], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def get(client: Client, address: str, **query: Any) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, address
    return response.content.decode()


def rows(html: str) -> int:
    """How many rows a list shows."""
    return len(re.findall(r"<tbody", html))


def errors(response: Any) -> dict[str, list[str]]:
    """The faults that a form shows."""
    assert response.status_code == 200
    return {field: list(faults) for field, faults in response.context["adminform"].form.errors.items()}


# --- Every page --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_the_list_and_the_pages_of_every_model(
    model: type[Model], root: Client, world: SimpleNamespace, shared_mode: None
) -> None:
    assert model._default_manager.exists(), "the fixture has no row of it"
    assert rows(get(root, page(model, "changelist"))) == model._default_manager.count()
    for row in model._default_manager.all():
        get(root, page(model, "change", row.pk))
        get(root, page(model, "history", row.pk))
    if model not in (*READ_ONLY, EndUser, OperatorAlert, ReconciliationItem, Withdrawal):
        get(root, page(model, "add"))


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_a_longer_list_takes_no_more_queries(
    model: type[Model], root: Client, world: SimpleNamespace
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            get(root, page(model, "changelist"))
        return len(captured)

    queries()
    few = queries()
    for name in ("bob", "carol", "dave"):
        paywall = make_paywall()
        # Its margin is told of each of its routes.
        make_route(make_model(paywall, prompt_cost=1, completion_cost=1))
        keys.issue_key(paywall)
        user, _ = spend(paywall, name)
        TopUpLink.objects.create(user=user, expires_at=timezone.now())
        User.objects.create(username=name)
    assert queries() == few


def test_the_first_page_and_the_menu(root: Client) -> None:
    html = get(root, reverse("admin:index"))
    for model in REGISTERED:
        assert page(model, "changelist") in html
    assert "Tollgate" in html


def test_a_stranger_is_asked_to_log_in(client: Client) -> None:
    response = client.get(page(Transfer, "changelist"))
    assert (response.status_code, response["Location"]) == (
        302,
        f"{reverse('admin:login')}?next={page(Transfer, 'changelist')}",
    )


def test_who_logs_in_without_coming_from_a_page_gets_to_the_first(client: Client) -> None:
    User.objects.create_superuser("root", "root@acme.test", "secret")
    response = client.post(reverse("admin:login"), {"username": "root", "password": "secret"})
    assert (response.status_code, response["Location"]) == (302, reverse("admin:index"))


# --- Money and ids -----------------------------------------------------------------------------------------


def test_money_is_shown_as_money(root: Client, world: SimpleNamespace) -> None:
    transfers = get(root, page(Transfer, "changelist"))
    assert "-$0.000012" in transfers
    assert "$12.34" in transfers
    assert "$12.389988" in get(root, page(Account, "changelist"))
    assert "$12.389988" in get(root, page(EndUser, "change", world.user.pk))
    assert "$1.00" in get(root, page(PaywallModel, "changelist"))
    html = get(root, page(PaywallModel, "change", world.model.pk))
    assert re.search(r'name="prompt_price"[^>]*value="1"|value="1"[^>]*name="prompt_price"', html)


def test_debt_stands_out(root: Client, world: SimpleNamespace) -> None:
    Account.objects.filter(pk=world.user.wallet.pk).update(posted=-5 * NANO)
    assert '<span class="money below-zero">-$5.00</span>' in get(root, page(Account, "changelist"))


def test_a_transfer_leads_to_its_wallet_request_and_lots(root: Client, world: SimpleNamespace) -> None:
    usage = Transfer.objects.get(kind="usage")
    html = get(root, page(Transfer, "change", usage.pk))
    for address in (
        page(Account, "change", world.user.wallet.pk),
        page(Account, "change", usage.credit_account_id),
        page(Hold, "change", world.hold.pk),
        page(Lot, "change", usage.lots[0][0]),
    ):
        assert address in html
    assert world.hold.public_id in html


def test_a_wallet_leads_to_its_user_transfers_holds_and_lots(root: Client, world: SimpleNamespace) -> None:
    spend(make_paywall(), "bob")
    html = get(root, page(Account, "change", world.user.wallet.pk))
    assert page(EndUser, "change", world.user.pk) in html
    found = {}
    for model in (Transfer, Hold, Lot):
        [address] = re.findall(rf'href="({page(model, "changelist")}\?[^"]+)"', html)
        found[model] = rows(get(root, address.replace("&amp;", "&")))
    assert found == {Transfer: 3, Hold: 0, Lot: 2}


def test_a_hold_leads_to_its_transfers(root: Client, world: SimpleNamespace) -> None:
    html = get(root, page(Hold, "change", world.hold.pk))
    [address] = re.findall(rf'href="({page(Transfer, "changelist")}\?[^"]+)"', html)
    assert rows(get(root, address)) == 1


SEARCHES: list[tuple[type[Model], Callable[[SimpleNamespace], str], int]] = [
    (Tenant, lambda w: w.paywall.tenant.public_id, 1),
    (Tenant, lambda w: "acme", 1),
    (Paywall, lambda w: w.paywall.public_id, 1),
    (Paywall, lambda w: w.paywall.tenant.public_id, 1),
    (Paywall, lambda w: "acme ch", 1),
    (PaywallKey, lambda w: w.key.last_four, 1),
    (PaywallKey, lambda w: w.paywall.public_id, 1),
    (Provider, lambda w: w.paywall.public_id, 1),
    (PaywallModel, lambda w: w.paywall.public_id, 1),
    (EndUser, lambda w: w.user.public_id, 1),
    (EndUser, lambda w: "alice", 1),
    (EndUser, lambda w: "ali", 0),
    (Account, lambda w: "alice", 1),
    (Account, lambda w: w.user.public_id, 1),
    (Transfer, lambda w: "alice", 3),
    (Transfer, lambda w: w.user.public_id, 3),
    (Transfer, lambda w: Transfer.objects.get(source="deposit:alice").public_id, 1),
    (Transfer, lambda w: w.hold.public_id, 1),
    (Transfer, lambda w: "deposit:al", 1),
    (Transfer, lambda w: "req_" + "0" * 32, 0),
    (Transfer, lambda w: "req_" + "x" * 32, 0),
    (Hold, lambda w: w.hold.public_id, 1),
    (Hold, lambda w: "alice", 1),
    (Lot, lambda w: "alice", 2),
    (Lot, lambda w: w.user.public_id, 2),
    (TopUpLink, lambda w: w.link.public_id, 1),
    (TopUpLink, lambda w: "alice", 1),
]


@pytest.mark.parametrize(("model", "term", "found"), SEARCHES)
def test_search(
    model: type[Model],
    term: Callable[[SimpleNamespace], str],
    found: int,
    root: Client,
    world: SimpleNamespace,
) -> None:
    other = make_paywall(make_tenant(name="Globex", email="ops@globex.test"), name="Globex")
    make_model(other)
    keys.issue_key(other)
    user, _ = spend(other, "bob")
    TopUpLink.objects.create(user=user, expires_at=timezone.now())
    assert rows(get(root, page(model, "changelist"), q=f" {term(world)} ")) == found


# --- Big tables --------------------------------------------------------------------------------------------


def test_no_list_counts_a_whole_table(root: Client, world: SimpleNamespace) -> None:
    for model in READ_ONLY:
        with CaptureQueriesContext(connection) as captured:
            get(root, page(model, "changelist"))
        counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
        assert counts, model
        assert all(f"LIMIT {paging.CEILING}" in count for count in counts), model


def test_a_list_that_was_cut_says_so(
    root: Client, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "3 transfers" in get(root, page(Transfer, "changelist"))
    monkeypatch.setattr(paging, "CEILING", 2)
    assert "the latest 2 transfers; filter to find others" in get(root, page(Transfer, "changelist"))


def test_rows_are_filtered_by_the_days_on_which_they_were_made(root: Client, world: SimpleNamespace) -> None:
    today = timezone.localdate()
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)

    def found(**days: Any) -> int:
        days = {f"created_at_{end.removesuffix('_')}": day for end, day in days.items()}
        return rows(get(root, page(Transfer, "changelist"), **days))

    assert found(from_=yesterday, to=tomorrow) == found(from_=today, to=today) == found() == 3
    assert found(to=yesterday) == found(from_=tomorrow) == 0
    assert found(from_="nonsense") == 3


def test_the_days_of_a_key_begin_at_midnight(root: Client, world: SimpleNamespace) -> None:
    """A UUIDv7 of RFC 9562's own example: 2022-02-22 19:22:22 UTC."""
    key = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    made = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    TopUpLink.objects.create(id=key, user=world.user, expires_at=made)
    assert (
        rows(
            get(root, page(TopUpLink, "changelist"), created_at_from="2022-02-22", created_at_to="2022-02-22")
        )
        == 1
    )
    assert (
        rows(
            get(root, page(TopUpLink, "changelist"), created_at_from="2022-02-23", created_at_to="2022-03-01")
        )
        == 0
    )
    assert (
        rows(
            get(root, page(TopUpLink, "changelist"), created_at_from="2022-02-01", created_at_to="2022-02-21")
        )
        == 0
    )


# --- Books refuse writes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model._meta.label)
def test_nothing_is_added_changed_or_deleted(
    model: type[Model], root: Client, world: SimpleNamespace, shared_mode: None
) -> None:
    before = list(model._default_manager.values())
    row = model._default_manager.first()
    assert row is not None
    assert root.get(page(model, "add")).status_code == 403
    assert root.post(page(model, "add"), {"amount": 1}).status_code == 403
    assert root.post(page(model, "change", row.pk), {"amount": 1, "posted": 1}).status_code == 403
    assert root.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    root.post(
        page(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    )
    assert list(model._default_manager.values()) == before


def test_a_paywall_with_end_users_is_not_deleted(root: Client, world: SimpleNamespace) -> None:
    assert root.post(page(Paywall, "delete", world.paywall.pk), {"post": "yes"}).status_code == 403
    assert root.post(page(Tenant, "delete", world.paywall.tenant.pk), {"post": "yes"}).status_code == 403
    empty = make_paywall()
    assert root.post(page(Paywall, "delete", empty.pk), {"post": "yes"}).status_code == 302
    assert root.post(page(Tenant, "delete", empty.tenant.pk), {"post": "yes"}).status_code == 302
    assert list(Paywall.objects.all()) == [world.paywall]


@pytest.mark.parametrize("model", [Paywall, Tenant])
def test_nor_by_the_action_of_the_list(model: type[Model], root: Client, world: SimpleNamespace) -> None:
    chosen = [row.pk for row in model._default_manager.all()]
    root.post(
        page(model, "changelist"), {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    )
    assert model._default_manager.filter(pk__in=chosen).count() == len(chosen)


# --- Settings ----------------------------------------------------------------------------------------------


TOP_UP = {"topup_minimum": "1", "topup_maximum": "500", "topup_presets": "5\n10"}


def paywall_form(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    return {
        "tenant": tenant.pk,
        "name": "Globex",
        "trial_credit": "0.5",
        "markup_percent": "12.5",
        "mode": "default",
        "replies": "message",
        **TOP_UP,
        **changes,
    }


def model_form(seller: Provider, **changes: Any) -> dict[str, Any]:
    return {
        "paywall": seller.paywall.pk,
        "provider": seller.pk,
        "model_id": "mini",
        "upstream_model": "gpt-mini",
        "prompt_price": "0.15",
        "completion_price": "$0.6",
        "request_price": "0.0001",
        "minimum_price": "0",
        "max_output_tokens": "4096",
        "priority": "0",
        "weight": "1",
        **inlines("routes"),
        **changes,
    }


def inlines(*prefixes: str) -> dict[str, str]:
    """What a browser sends along for the lists on a page."""
    return {f"{p}-{key}": "0" for p in prefixes for key in ("TOTAL_FORMS", "INITIAL_FORMS")}


OF_PAYWALL = inlines("models", "providers", "keys")


def test_a_tenant_is_made_and_changed(root: Client) -> None:
    form = {
        "name": "Globex",
        "email": "Ops@Globex.test",
        "credits_per_usd": "100",
        "tier": "STARTER",
        "uncovered_usage": "debt",
        **inlines("paywalls"),
    }
    assert root.post(page(Tenant, "add"), form).status_code == 302
    tenant = Tenant.objects.get()
    assert (tenant.name, tenant.email, tenant.credits_per_usd) == ("Globex", "ops@globex.test", 100)

    assert root.post(page(Tenant, "change", tenant.pk), {**form, "name": "Globex Inc"}).status_code == 302
    assert Tenant.objects.get().name == "Globex Inc"
    assert errors(root.post(page(Tenant, "add"), form)) == {"email": ["This is another tenant's."]}


def test_a_paywall_is_made_and_changed_in_dollars(root: Client) -> None:
    tenant = make_tenant()
    assert root.post(page(Paywall, "add"), {**paywall_form(tenant), **OF_PAYWALL}).status_code == 302
    paywall = Paywall.objects.get()
    assert (paywall.tenant, paywall.mode) == (tenant, "default")
    assert (paywall.trial_credit, paywall.markup_percent) == (NANO // 2, Decimal("12.5"))

    form = {"name": "Globex", "trial_credit": "0.000000001", "markup_percent": "0", **TOP_UP, **OF_PAYWALL}
    form["replies"] = "message"
    assert root.post(page(Paywall, "change", paywall.pk), {**form, "mode": "shared"}).status_code == 302
    paywall.refresh_from_db()
    assert (paywall.trial_credit, paywall.markup_percent, paywall.mode) == (1, 0, "default")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": ""}, {"name": ["This field is required."]}),
        ({"name": "Acme Chat"}, {"name": ["This is the name of another paywall of this tenant."]}),
        (
            {"trial_credit": "-1"},
            {"trial_credit": ['This must be a decimal string of US dollars such as "0.25".']},
        ),
        (
            {"trial_credit": "0.0000000001"},
            {"trial_credit": ["This must have at most 9 decimals (the smallest unit is 0.000000001 USD)."]},
        ),
        (
            {"markup_percent": "10001"},
            {
                "markup_percent": [
                    'This must be a decimal string from "0" to "10000", at most 4 decimals, as in "12.5".'
                ]
            },
        ),
    ],
)
def test_a_paywall_that_is_refused(
    changes: dict[str, str], fault: dict[str, list[str]], root: Client, world: SimpleNamespace
) -> None:
    form = {**paywall_form(world.paywall.tenant), **OF_PAYWALL, **changes}
    assert errors(root.post(page(Paywall, "add"), form)) == fault
    assert list(Paywall.objects.all()) == [world.paywall]


def test_a_model_is_made_and_changed_in_dollars(root: Client, world: SimpleNamespace) -> None:
    assert root.post(page(PaywallModel, "add"), model_form(world.provider)).status_code == 302
    model = PaywallModel.objects.get(model_id="mini")
    assert (model.prompt_price, model.completion_price) == (150_000_000, 600_000_000)
    assert (model.request_price, model.minimum_price) == (100_000, 0)

    form = model_form(world.provider, prompt_price="0.16")
    assert root.post(page(PaywallModel, "change", model.pk), form).status_code == 302
    model.refresh_from_db()
    assert (model.prompt_price, model.completion_price) == (160_000_000, 600_000_000)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"prompt_price": ""}, {"prompt_price": ["This field is required."]}),
        (
            {"prompt_price": "NaN"},
            {"prompt_price": ['This must be a decimal string of US dollars such as "0.25".']},
        ),
        ({"model_id": "gpt"}, {"model_id": ["This is the id of another model of this paywall."]}),
        (
            {"max_output_tokens": "0"},
            {"max_output_tokens": ["This must be a whole number from 1 to 10000000."]},
        ),
    ],
)
def test_a_model_that_is_refused(
    changes: dict[str, str], fault: dict[str, list[str]], root: Client, world: SimpleNamespace
) -> None:
    assert errors(root.post(page(PaywallModel, "add"), model_form(world.provider, **changes))) == fault


def test_a_model_takes_a_provider_of_its_own_paywall(root: Client, world: SimpleNamespace) -> None:
    other = make_provider(name="elsewhere")
    form = model_form(world.provider, provider=other.pk)
    assert errors(root.post(page(PaywallModel, "add"), form)) == {
        "provider": ["This must be a provider of the same paywall."]
    }
    assert "elsewhere" not in get(root, page(PaywallModel, "add"), paywall=world.paywall.pk)
    assert "elsewhere" not in get(root, page(PaywallModel, "change", world.model.pk))


def test_a_model_of_the_sandbox_that_it_does_not_know(root: Client, world: SimpleNamespace) -> None:
    sandbox = make_provider(world.paywall)
    assert errors(root.post(page(PaywallModel, "add"), model_form(sandbox))) == {
        "upstream_model": ["This must be a model of the sandbox: echo, slow, error, breaks, no-usage."]
    }


def test_an_address_with_a_key_that_is_none(root: Client) -> None:
    get(root, page(PaywallModel, "add"), paywall="nonsense", provider="nonsense")


def test_a_paywalls_only_provider_is_chosen(root: Client, world: SimpleNamespace) -> None:
    html = get(root, page(PaywallModel, "add"), paywall=world.paywall.pk)
    assert f'<option value="{world.provider.pk}" selected' in html


def test_who_changed_what_is_logged(root: Client, world: SimpleNamespace) -> None:
    form = model_form(world.provider, model_id="gpt", upstream_model="gpt", prompt_price="9")
    root.post(page(PaywallModel, "change", world.model.pk), form)
    entry = LogEntry.objects.latest("action_time")
    assert (entry.user.username, entry.object_id) == ("root", str(world.model.pk))
    assert "Prompt" in entry.get_change_message()


# --- Providers' keys ---------------------------------------------------------------------------------------


def provider_form(paywall: Paywall, **changes: str) -> dict[str, Any]:
    return {
        "paywall": paywall.pk,
        "name": "openai",
        "base_url": "https://api.openai.com/v1",
        "new_key": "",
        **changes,
    }


def stored_key() -> str:
    return secrets.decrypt(Provider.objects.get(name="openai").api_key)


def test_a_providers_key_is_on_no_page(root: Client, world: SimpleNamespace) -> None:
    token = world.provider.api_key
    for address in (
        page(Provider, "changelist"),
        page(Provider, "change", world.provider.pk),
        page(Provider, "history", world.provider.pk),
        page(Provider, "delete", world.provider.pk),
        page(Paywall, "change", world.paywall.pk),
    ):
        html = get(root, address)
        assert PLAIN not in html
        assert token not in html
    form = provider_form(world.paywall, new_key="sk-typed-in", base_url="nonsense")
    assert "sk-typed-in" not in root.post(page(Provider, "change", world.provider.pk), form).content.decode()


def test_an_empty_field_keeps_the_key_and_a_filled_one_replaces_it(
    root: Client, world: SimpleNamespace
) -> None:
    address = page(Provider, "change", world.provider.pk)
    assert root.post(address, provider_form(world.paywall, name="openai")).status_code == 302
    assert stored_key() == PLAIN
    assert root.post(address, provider_form(world.paywall, new_key="sk-new")).status_code == 302
    assert stored_key() == "sk-new"
    assert "sk-new" not in LogEntry.objects.latest("action_time").change_message
    assert root.post(address, provider_form(world.paywall, remove_key="on")).status_code == 302
    assert stored_key() == ""


def test_a_provider_is_made_with_its_key(root: Client) -> None:
    assert root.post(page(Provider, "add"), provider_form(make_paywall(), new_key=PLAIN)).status_code == 302
    assert stored_key() == PLAIN


def test_the_stored_key_does_not_follow_the_address_to_another_host(
    root: Client, world: SimpleNamespace
) -> None:
    form = provider_form(world.paywall, base_url="https://evil.example/v1")
    address = page(Provider, "change", world.provider.pk)
    assert list(errors(root.post(address, form))) == ["new_key"]
    assert Provider.objects.get().base_url == "https://api.openai.com/v1"
    assert root.post(address, {**form, "new_key": "sk-theirs"}).status_code == 302


def test_a_provider_that_models_use_is_not_deleted(root: Client, world: SimpleNamespace) -> None:
    root.post(page(Provider, "delete", world.provider.pk), {"post": "yes"})
    assert Provider.objects.exists()


# --- Paywall keys ------------------------------------------------------------------------------------------


def shown_keys(response: Any) -> list[str]:
    assert response.status_code == 200
    return re.findall(r"sk-paywalls-[A-Za-z0-9_-]{43}", response.content.decode())


def choose(root: Client, action: str, *chosen: PaywallKey, **more: str) -> Any:
    form = {"action": action, "_selected_action": [key.pk for key in chosen], **more}
    return root.post(page(PaywallKey, "changelist"), form)


def test_a_key_is_issued_after_a_question_and_shown_once(root: Client, world: SimpleNamespace) -> None:
    address = page(Paywall, "issue_key", world.paywall.pk)
    assert "Issue a secret key of Acme Chat?" in get(root, address)
    assert PaywallKey.objects.count() == 1

    response = root.post(address, {"confirmed": "yes"})
    [plain] = shown_keys(response)
    assert "no-store" in response["Cache-Control"]
    assert keys.find(plain).paywall == world.paywall  # type: ignore[union-attr]
    assert LogEntry.objects.get().get_change_message() == f"Issued the secret key …{plain[-4:]}."
    for later in (page(Paywall, "change", world.paywall.pk), page(PaywallKey, "changelist")):
        assert plain not in get(root, later)


def test_keys_are_revoked_after_a_question(root: Client, world: SimpleNamespace) -> None:
    assert "Revoke these keys?" in choose(root, "revoke", world.key).content.decode()
    assert not PaywallKey.objects.exclude(revoked_at=None).exists()

    response = choose(root, "revoke", world.key, confirmed="yes")
    assert response.status_code == 302
    assert "Revoked 1 of 1 keys." in get(root, response["Location"])
    assert not PaywallKey.objects.filter(revoked_at=None).exists()
    assert LogEntry.objects.get().get_change_message() == "Revoked."


def test_keys_are_rotated_after_a_question(root: Client, world: SimpleNamespace) -> None:
    other = keys.find(keys.issue_key(make_paywall()))
    assert other is not None
    assert "Rotate these keys?" in choose(root, "rotate", world.key, other).content.decode()
    assert PaywallKey.objects.filter(revoked_at=None).count() == 2

    plains = shown_keys(choose(root, "rotate", world.key, other, confirmed="yes", overlap="0"))
    assert {keys.find(plain).paywall for plain in plains} == {world.paywall, other.paywall}  # type: ignore[union-attr]
    assert PaywallKey.objects.filter(revoked_at=None).count() == 2
    world.key.refresh_from_db()
    assert world.key.revoked_at is not None


def test_a_revoked_key_is_not_rotated(root: Client, world: SimpleNamespace) -> None:
    keys.revoke_key(world.key)
    assert shown_keys(choose(root, "rotate", world.key, confirmed="yes", overlap="0")) == []
    assert PaywallKey.objects.count() == 1


def test_a_paywalls_key_is_rotated_with_an_overlap(root: Client, world: SimpleNamespace) -> None:
    address = page(Paywall, "rotate_key", world.paywall.pk)
    assert str(world.key) in get(root, address)
    refused = root.post(address, {"confirmed": "yes", "key": world.key.pk, "overlap": "12"})
    assert "how long the old one stays good" in refused.content.decode()
    assert PaywallKey.objects.count() == 1

    response = root.post(address, {"confirmed": "yes", "key": world.key.pk, "overlap": "3600"})
    [plain] = shown_keys(response)
    world.key.refresh_from_db()
    assert world.key.revoked_at is None
    assert abs(world.key.expires_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)
    assert keys.live().count() == 2
    assert keys.find(plain)
    assert "the old one works until" in LogEntry.objects.get().get_change_message()
    assert "ending" in get(root, page(PaywallKey, "changelist"))


def test_keys_are_filtered_by_their_state(root: Client, world: SimpleNamespace) -> None:
    keys.issue_key(world.paywall)
    keys.revoke_key(world.key)
    found = [
        rows(get(root, page(PaywallKey, "changelist"), state=state))
        for state in ("live", "expired", "revoked", "")
    ]
    assert found == [1, 0, 1, 2]


@pytest.mark.parametrize(("action", "target"), [("add_provider", Provider), ("add_model", PaywallModel)])
def test_a_paywalls_page_leads_to_more_of_it(
    action: str, target: type[Model], root: Client, world: SimpleNamespace
) -> None:
    response = root.get(page(Paywall, action, world.paywall.pk))
    assert response["Location"] == f"{page(target, 'add')}?paywall={world.paywall.pk}"


# --- Who may ------------------------------------------------------------------------------------------------


@pytest.fixture
def viewer(client: Client) -> Client:
    """A browser of somebody who may look at everything of every tenant, and no more."""
    viewer = User.objects.create(username="viewer", is_staff=True)
    client.force_login(viewer)
    return client


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_who_may_only_look_sees_every_page_and_changes_nothing(
    model: type[Model], viewer: Client, world: SimpleNamespace, shared_mode: None
) -> None:
    join_every_tenant(User.objects.get(username="viewer"))
    row = model._default_manager.latest("pk")
    if superusers_only(model) or admin.site._registry[model].looks not in MAY[Role.READ_ONLY]:
        for address in (page(model, "changelist"), page(model, "add")):
            assert viewer.get(address).status_code == 403
        return
    get(viewer, page(model, "changelist"))
    get(viewer, page(model, "change", row.pk))
    assert viewer.post(page(model, "change", row.pk), {"name": "Mine"}).status_code == 403
    assert viewer.get(page(model, "add")).status_code == 403


def join_every_tenant(user: User, role: Role = Role.READ_ONLY) -> None:
    for tenant in Tenant.objects.all():
        Membership.objects.create(user=user, tenant=tenant, role=role)


def superusers_only(model: type[Model]) -> bool:
    return admin.site._registry[model].tenant_path == INSTALLATION


def test_who_may_only_look_issues_and_revokes_no_keys(viewer: Client, world: SimpleNamespace) -> None:
    join_every_tenant(User.objects.get(username="viewer"))
    html = get(viewer, page(Paywall, "change", world.paywall.pk))
    for action in ("issue_key", "rotate_key", "add_provider", "add_model"):
        address = page(Paywall, action, world.paywall.pk)
        assert address not in html
        assert viewer.post(address, {"confirmed": "yes"}).status_code == 403
    for action in ("revoke", "rotate"):
        choose(viewer, action, world.key, confirmed="yes")
    assert PaywallKey.objects.filter(revoked_at=None).count() == 1


def test_the_menu_shows_what_one_may_see(client: Client) -> None:
    clerk = User.objects.create(username="clerk", is_staff=True)
    client.force_login(clerk)
    assert page(Transfer, "changelist") not in get(client, reverse("admin:index"))
    Membership.objects.create(user=clerk, tenant=make_tenant(), role=Role.SUPPORT)
    html = get(client, reverse("admin:index"))
    assert page(Transfer, "changelist") in html
    assert page(OperatorAlert, "changelist") not in html


def test_an_entitlement_is_made_and_changed(root: Client, world: SimpleNamespace) -> None:
    form = {
        "tenant": world.paywall.tenant.pk,
        "feature_id": "chat",
        "user_id": "",
        "limit_type": "HARD",
        "limit_value": "",
        "period": "DAILY",
        "metadata": "{}",
    }
    address = page(Entitlement, "add")
    assert errors(root.post(address, form)) == {"limit_value": ["a HARD limit needs a number of uses"]}
    assert root.post(address, {**form, "limit_value": "3"}).status_code == 302
    made = Entitlement.objects.get(feature_id="chat")
    change = page(Entitlement, "change", made.pk)
    assert root.post(change, {**form, "limit_type": "SOFT", "limit_value": "4"}).status_code == 302
    made.refresh_from_db()
    assert (made.limit_type, made.limit_value) == ("SOFT", 4)
    again = errors(root.post(address, {**form, "limit_value": "3"}))
    assert "already exists" in again["__all__"][0]


# --- The metering API --------------------------------------------------------------------------------------


def test_a_tenants_key_is_revoked(root: Client, world: SimpleNamespace) -> None:
    key = TenantKey.objects.get()
    root.post(page(TenantKey, "changelist"), {"action": "revoke", "_selected_action": [key.pk]})
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_usage_without_a_price_is_billed_when_there_is_one(root: Client, world: SimpleNamespace) -> None:
    kept = UsageEvent.objects.get()
    assert kept.state == "unrated"
    root.post(page(UsageEvent, "changelist"), {"action": "bill", "_selected_action": [kept.pk]})
    kept.refresh_from_db()
    assert kept.state == "unbilled"
