"""The audit log: every write by an operator or a key, by triggers; never a secret; never changed."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import get_resolver, reverse

from config.money import NANO
from ledger import services as ledger
from ledger.alerts import raise_alert
from ledger.models import OperatorAlert
from paywalls import keys
from paywalls.models import AuditEntry, Membership, Paywall, PaywallModel, Provider
from paywalls.roles import Can, Role
from paywalls.users import UserRef
from tests.factories import make_model, make_paywall, make_provider, make_tenant
from tests.tenants import TenantApi, event
from tests.test_admin import page

pytestmark = pytest.mark.django_db

SECRET = "provider-key-in-the-clear"

# Tables whose writes are not logged: what the gateway, the worker and end users write, and sums of it.
UNAUDITED = {
    "django_admin_log", "auth_permission", "auth_group", "django_content_type", "django_session",
    "webhooks_event", "webhooks_delivery", "paywalls_auditentry", "paywalls_walletuser", "paywalls_signincode",
    "paywalls_authorizationrequest", "paywalls_playgroundday", "ledger_featureusage", "ledger_featureuse",
    "ledger_hold", "ledger_idempotencykey", "ledger_lot", "ledger_plansubscription", "ledger_proxyrequest",
    "ledger_requestkey", "ledger_usageincrement", "ledger_usagehour", "ledger_usageday", "ledger_rawhorizon",
    "ledger_payermonth", "ledger_payerday",
    "ledger_savedcard", "ledger_autocharge", "ledger_settlement", "ledger_split", "ledger_topuplink",
    "ledger_stripecheckout", "ledger_stripeevent", "ledger_stripepayment", "ledger_usageevent", "ledger_usagemonth",
    "ledger_cardremoval", "ledger_modelspend", "paywalls_session", "axes_accessattempt", "axes_accessattemptexpiration",
    "axes_accesslog", "axes_accessfailurelog",
}  # fmt: skip


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


def log() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("pk"))


def test_every_table_is_audited_or_said_not_to_be() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'audited'")
        audited = {name for (name,) in cursor.fetchall()}
    tables = {model._meta.db_table for model in apps.get_models()}
    assert audited | UNAUDITED >= tables, (
        "a new table: add the trigger `audited`, or say here that it has none"
    )
    assert not audited & UNAUDITED


def test_a_change_on_the_site_is_logged_with_who_from_where_before_and_after(root: Client) -> None:
    row = make_provider(name="old", base_url="https://old.test/v1")
    assert log() == []
    form = {"name": "new", "base_url": "https://old.test/v1", "surfaces": row.surfaces, "new_key": SECRET}
    assert root.post(page(Provider, "change", row.pk), form).status_code == 302
    (entry,) = log()
    assert (entry.actor_type, entry.actor, entry.address) == ("operator", "root", "127.0.0.1")
    assert (entry.action, entry.subject_type, entry.subject) == ("update", "paywalls_provider", str(row.pk))
    assert entry.tenant_id == row.paywall.tenant_id
    assert (entry.before["name"], entry.after["name"]) == ("old", "new")
    assert entry.after["api_key"] == "***"
    assert entry.request_id is not None


def test_who_resolves_an_alert_is_logged_and_the_product_that_raises_it_is_not(root: Client) -> None:
    raise_alert(OperatorAlert.Kind.BOOKS, "They don't sum.")
    alert = OperatorAlert.objects.get()
    assert log() == []
    root.post(page(OperatorAlert, "changelist"), {"action": "resolve", "_selected_action": [str(alert.pk)]})
    (entry,) = log()
    assert (entry.actor, entry.subject_type, entry.subject) == ("root", "ledger_operatoralert", str(alert.pk))
    assert entry.before["resolved_at"] is None
    assert entry.after["resolved_by"] == "root"


def test_what_nobody_acts_in_is_not_logged(root: Client) -> None:
    paywall = make_paywall()
    root.get(page(Paywall, "change", paywall.pk))
    root.post(page(Paywall, "change", paywall.pk), {"name": ""})
    ledger.deposit(UserRef(paywall.pk, "alice"), NANO, source="x")
    assert log() == []


def test_what_is_rolled_back_is_not_logged(root: Client) -> None:
    from paywalls import audit

    paywall = make_paywall()
    with audit.acting(audit.Actor(AuditEntry.Actor.COMMAND, "test")):
        with transaction.atomic():
            Paywall.objects.filter(pk=paywall.pk).update(name="x")
            transaction.set_rollback(True)
        Paywall.objects.filter(pk=paywall.pk).update(name="y")
    Paywall.objects.filter(pk=paywall.pk).update(name="z")
    assert [entry.after for entry in log()] == [{"name": "y"}]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE paywalls_auditentry SET actor = 'nobody'",
        "DELETE FROM paywalls_auditentry",
        "TRUNCATE paywalls_auditentry",
    ],
)
def test_the_log_is_append_only(statement: str, root: Client) -> None:
    root.post(page(Provider, "change", make_provider().pk), {})
    AuditEntry.objects.create(
        actor_type="command", actor="x", action="request", subject_type="x", subject="x"
    )
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_no_secret_reaches_the_log(root: Client) -> None:
    paywall = make_paywall()
    page_of_new = page(Provider, "add")
    form = {"paywall": str(paywall.pk), "name": "p", "base_url": "https://a.test/v1", "surfaces": "chat"}
    root.post(page_of_new, {**form, "new_key": SECRET})
    root.post(page(Paywall, "issue_key", paywall.pk), {"confirmed": "yes"})
    api = TenantApi(paywall.tenant)
    api.post("/v1/keys", name="second")
    User.objects.get(username="root").set_password("x")
    written = json.dumps([[entry.before, entry.after] for entry in log()])
    assert len(log()) >= 3
    assert SECRET not in written
    columns = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.fields
        if model._meta.db_table not in UNAUDITED
    }
    likely = {
        (t, c) for t, c in columns if any(word in c for word in ("secret", "digest", "password", "api_key"))
    }
    harmless = {"secret_suffix", "previous_secret_until"}
    with connection.cursor() as cursor:
        for table, column in likely:
            cursor.execute("SELECT audit_masked(%s::jsonb)", [json.dumps({column: "plain"})])
            masked = "plain" not in str(cursor.fetchone()[0])
            assert masked or column in harmless, (table, column)


# --- Keys -----------------------------------------------------------------------------------------------------


def test_what_a_paywalls_key_moves_is_logged_and_reads_are_not() -> None:
    paywall = make_paywall()
    plain = keys.issue_key(paywall)
    client = Client(headers={"Authorization": f"Bearer {plain}"})
    client.get("/v1/user/balance", {"user": "alice"})
    assert log() == []
    body = {"user": "alice", "amount": "2.50"}
    assert client.post("/v1/user/balance/deposit", body, content_type="application/json").status_code == 200
    (entry,) = log()
    assert (entry.actor_type, entry.actor, entry.subject_type) == (
        "paywall_key",
        f"…{plain[-4:]}",
        "ledger_transfer",
    )
    assert (entry.tenant_id, entry.after["amount"], entry.after["kind"]) == (
        paywall.tenant_id,
        2_500_000_000,
        "deposit",
    )


def test_reported_usage_is_not_logged_but_a_grant_is() -> None:
    api = TenantApi()
    api.ingest(event(user_id="alice"))
    assert log() == []
    api.post("/v1/credits/grant", userId="alice", amount=5)
    assert {entry.subject_type for entry in log()} == {"ledger_transfer"}
    assert log()[0].actor_type == "tenant_key"


# What each writing endpoint of the REST API needs to carry something out; None: it writes nothing that is audited.
REST: dict[str, Any] = {
    "v1/user/balance/deposit": {"user": "alice", "amount": "1"},
    "v1/user/charge": {"user": "alice", "amount": "0.25"},
    "v1/user/balance/topup": None,
    "v1/webhooks/subscriptions": {"url": "https://example.com/x", "events": ["*"], "secret": "s" * 20},
    "v1/teams": {"teamId": "red"},
    "v1/keys": {"name": "k"},
    "v1/credits/grant": {"userId": "alice", "amount": 5},
    "v1/burn-tables": {"name": "t", "rules": {"*": {"inputTokens": 1, "outputTokens": 1}}},
    "v1/entitlements": {"featureId": "f", "limitType": "HARD", "limitValue": 5},
}


@pytest.mark.parametrize("path", [path for path, body in REST.items() if body])
def test_a_write_by_key_is_logged(path: str) -> None:
    paywall = make_paywall()
    ledger.deposit(UserRef(paywall.pk, "alice"), NANO, source="start")
    api = TenantApi(paywall.tenant)
    view = get_resolver().resolve(f"/{path}").func.cls
    is_tenants = "TenantKeyAuthentication" in {one.__name__ for one in view.authentication_classes}
    plain = api.plain if is_tenants else keys.issue_key(paywall)
    client = Client(headers={"Authorization": f"Bearer {plain}"})
    answer = client.post(f"/{path}", REST[path], content_type="application/json")
    assert answer.status_code < 300, answer.content
    assert log(), path


def test_every_write_of_a_key_that_is_no_calculation_is_audited() -> None:
    free = {
        "RatingView",
        "CalculateView",
        "BulkView",
        "PricingView",
        "ConsumeView",
        "SimulateView",
        "IngestView",
    }
    silent = set()
    for pattern in get_resolver().url_patterns:
        for one in getattr(pattern, "url_patterns", ()):
            view = getattr(one.callback, "cls", None)
            if view is not None and not getattr(view, "audited", True):
                silent.add(view.__name__)
    assert silent <= free


# --- The page ---------------------------------------------------------------------------------------------------


def test_an_action_that_changes_no_audited_row_is_logged_by_its_address(root: Client) -> None:
    model = make_model()
    chosen = {"action": "look_up", "_selected_action": [str(model.pk)]}
    assert root.post(page(PaywallModel, "changelist"), chosen).status_code == 302
    (entry,) = log()
    assert (entry.action, entry.subject) == ("request", page(PaywallModel, "changelist"))
    assert entry.after == {"action": ["look_up"], "_selected_action": [str(model.pk)]}


def test_who_may_reads_and_exports_the_log_of_their_tenant_only(client: Client, root: Client) -> None:
    mine, other = make_provider(), make_provider()
    for row in (mine, other):
        form = {"name": "=cmd", "base_url": "https://a.test/v1", "surfaces": row.surfaces}
        assert root.post(page(Provider, "change", row.pk), form).status_code == 302
    for role in Role:
        user = User.objects.create(username=role, is_staff=True)
        Membership.objects.create(user=user, tenant=mine.paywall.tenant, role=role)
        browser = Client()
        browser.force_login(user)
        allowed = role in (Role.OWNER, Role.FINANCE)
        answer = browser.get(page(AuditEntry, "changelist"))
        assert answer.status_code == (200 if allowed else 403)
        exported = browser.get(page(AuditEntry, "export"))
        assert exported.status_code == (200 if allowed else 403), Can.AUDIT
        if allowed:
            text = b"".join(exported.streaming_content).decode()
            assert str(mine.pk) in text
            assert str(other.pk) not in text


# --- Invitations --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_owner_invites_a_member_who_sets_a_password_and_logs_in(root: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    tenant = make_tenant()
    form = {"tenant": str(tenant.pk), "email": "New@acme.test", "role": "support"}
    answer = root.post(page(Membership, "add"), form)
    assert answer.status_code == 302
    member = Membership.objects.get()
    assert (member.tenant, member.role, member.user.email) == (tenant, "support", "new@acme.test")
    told = root.get(page(Membership, "changelist")).content.decode()
    link = next(word for word in told.split() if "/admin/invitation/" in word)
    browser = Client()
    path = "/" + link.split("/", 3)[3].split("<")[0]
    asked = browser.get(path, follow=True)
    assert asked.status_code == 200
    place = asked.redirect_chain[-1][0]
    new = "a-long-enough-word-9"
    browser.post(place, {"new_password1": new, "new_password2": new})
    logged_in = browser.post(reverse("admin:login"), {"username": "new@acme.test", "password": new})
    assert logged_in.status_code == 302
    assert browser.get(reverse("admin:index")).status_code == 200
    # The link works once.
    assert Client().get(path, follow=True).context["validlink"] is False


def test_no_owner_gets_a_link_to_somebody_elses_invited_account() -> None:
    from paywalls import invitations

    first = invitations.invite(make_tenant(), "new@acme.test", Role.OWNER)
    assert first.link
    assert invitations.invite(make_tenant(), "new@acme.test", Role.OWNER).link == ""
    assert User.objects.count() == 1
