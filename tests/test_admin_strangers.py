"""The operators' site is limited to one's tenants and role, at every address that it has.

The walk goes through the URL table and the registered actions, so that a page that comes later is asked, too.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from config.admin import INSTALLATION
from config.admin.tenancy import TenantPages
from paywalls.models import AuditEntry, Membership, Paywall, PaywallModel, Provider, Tenant
from paywalls.operators import access_of
from paywalls.roles import MAY, Can, Role, table
from tests.environment import ROOT
from tests.factories import make_model, make_paywall, make_tenant
from tests.test_admin import REGISTERED, page, shared_mode, world  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db

# Names and ids of the other tenant that the pages of its rows would show.
SECRETS = ("Acme", "https://example.com/hook", "only-of-acme")


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every path below the operators' site, with its name."""
    for pattern in resolver.url_patterns:
        path = prefix + re.sub(r"[\^$]|\\Z|\(\?P", "", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith("admin/"):
            yield "/" + path, pattern.name or ""


ADDRESSES = list(addresses(get_resolver()))
# Not Django's "view on site", which has no model of its own; no page of ours uses it.
OF_A_ROW = [
    (path, name) for path, name in ADDRESSES if "<path:object_id>" in path and "content_type" not in path
]


def model_of(path: str) -> Any:
    _, _, app, model, *_ = path.split("/")
    return next(one for one in REGISTERED if (one._meta.app_label, one._meta.model_name) == (app, model))


def operator(tenant: Tenant | None, role: Role = Role.OWNER, name: str = "stranger") -> Client:
    user = User.objects.create_user(name, f"{name}@other.test", is_staff=True)
    if tenant:
        Membership.objects.create(user=user, tenant=tenant, role=role)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def stranger(world: Any, shared_mode: None) -> Client:  # noqa: F811
    """The owner of another tenant, which has nothing."""
    return operator(make_tenant(name="Zenith", email="zenith@other.test"))


def state() -> list[Any]:
    return [
        list(model._default_manager.order_by("pk").values())
        for model in REGISTERED
        if model not in (User, AuditEntry)
    ]


# --- The walk ----------------------------------------------------------------------------------------------


def test_a_stranger_finds_no_row_at_any_address(stranger: Client) -> None:
    before = state()
    for path, name in OF_A_ROW:
        model = model_of(path)
        for row in model._default_manager.all()[:2]:
            if "Zenith" in (str(row), str(getattr(row, "tenant", ""))):
                continue
            address = path.replace("<path:object_id>", str(row.pk))
            for answer in (
                stranger.get(address),
                stranger.post(address, {"confirmed": "yes", "post": "yes"}),
            ):
                assert answer.status_code in (301, 302, 403, 404), (address, name, answer.status_code)
                for secret in SECRETS:
                    assert secret not in answer.content.decode(), address
    assert state() == before


def test_a_stranger_finds_nothing_on_pages_without_a_row(stranger: Client) -> None:
    for path, _ in ADDRESSES:
        if "<" in path or "logout" in path:
            continue
        answer = stranger.get(path, {"q": "alice"})
        assert answer.status_code in (200, 301, 302, 400, 403, 404), path
        if answer.status_code == 200 and not answer.streaming:
            for secret in SECRETS:
                assert secret not in answer.content.decode(), path


def test_a_strangers_lists_are_empty(stranger: Client) -> None:
    own = {Tenant: 1, Membership: 1}
    for model in REGISTERED:
        answer = stranger.get(page(model, "changelist"))
        if admin.site._registry[model].tenant_path == INSTALLATION:
            assert answer.status_code == 403, model
        else:
            assert answer.context["cl"].result_count == own.get(model, 0), model


def test_no_action_reaches_a_strangers_row(stranger: Client) -> None:
    before = state()
    for model in REGISTERED:
        ours = admin.site._registry[model]
        names = [name for name in (ours.actions or ()) if isinstance(name, str)]
        for row in model._default_manager.all()[:2]:
            if "Zenith" in (str(row), str(getattr(row, "tenant", ""))):
                continue
            for name in (*names, "delete_selected"):
                chosen = {
                    "action": name,
                    "_selected_action": [str(row.pk)],
                    "post": "yes",
                    "confirmed": "yes",
                }
                answer = stranger.post(page(model, "changelist"), {**chosen, "reason": "mine now"})
                assert answer.status_code in (200, 302, 403), (model, name)
    assert state() == before


def test_typing_finds_no_strangers_row(stranger: Client, world: Any) -> None:  # noqa: F811
    address = reverse("admin:autocomplete")
    for model in REGISTERED:
        for field in model._meta.fields:
            if field.is_relation:
                source = {
                    "app_label": model._meta.app_label,
                    "model_name": model._meta.model_name,
                    "field_name": field.name,
                }
                answer = stranger.get(address, {**source, "term": ""})
                if answer.status_code == 200:
                    assert "Acme" not in answer.content.decode(), source


def test_a_filter_does_not_name_a_strangers_row(stranger: Client, world: Any) -> None:  # noqa: F811
    for model in (Provider, PaywallModel):
        answer = stranger.get(page(model, "changelist"), {"paywall__id__exact": str(world.paywall.pk)})
        assert "Acme" not in answer.content.decode()


def test_nothing_is_added_to_a_strangers_paywall(stranger: Client, world: Any) -> None:  # noqa: F811
    address = page(Provider, "add")
    preset = stranger.get(address, {"paywall": str(world.paywall.pk)})
    assert "Acme" not in preset.content.decode()
    form = {
        "paywall": str(world.paywall.pk),
        "name": "mine",
        "base_url": "https://evil.test/v1",
        "surfaces": "chat",
    }
    answer = stranger.post(address, form)
    assert "paywall" in answer.context["adminform"].form.errors
    assert not Provider.objects.filter(name="mine").exists()


def test_nobody_without_a_log_in_gets_anywhere(world: Any) -> None:  # noqa: F811
    for path, _ in ADDRESSES:
        if "login" in path or "password" in path or "invitation" in path:
            continue
        address = path.replace("<path:object_id>", str(world.paywall.pk))
        if "<" not in address:
            answer = Client().get(address)
            assert answer.status_code in (301, 302, 404), address


# --- Two tenants, two roles ----------------------------------------------------------------------------------


def test_who_works_for_two_tenants_has_each_ones_role(world: Any) -> None:  # noqa: F811
    theirs = make_model(make_paywall(name="Other"))
    user = User.objects.create_user("both", is_staff=True)
    Membership.objects.create(user=user, tenant=world.paywall.tenant, role=Role.OWNER)
    Membership.objects.create(user=user, tenant=theirs.paywall.tenant, role=Role.READ_ONLY)
    client = Client()
    client.force_login(user)
    assert client.get(page(Paywall, "changelist")).context["cl"].result_count == 2
    assert client.post(page(Paywall, "archive", theirs.paywall.pk), {"confirmed": "y"}).status_code == 403
    assert client.post(page(Paywall, "change", theirs.paywall.pk), {"name": "x"}).status_code == 403
    assert client.get(page(Paywall, "archive", world.paywall.pk)).status_code == 200
    # Of the chosen rows an action gets those that the role allows.
    assert client.get(page(Provider, "add"), {"paywall": theirs.paywall.pk}).status_code == 200
    form = {"paywall": theirs.paywall.pk, "name": "mine", "base_url": "https://a.test/v1", "surfaces": "chat"}
    assert "paywall" in client.post(page(Provider, "add"), form).context["adminform"].form.errors


def test_each_role_may_what_the_table_says(world: Any) -> None:  # noqa: F811
    for role in Role:
        user = User.objects.create_user(f"a-{role}", is_staff=True)
        Membership.objects.create(user=user, tenant=world.paywall.tenant, role=role)
        client = Client()
        client.force_login(user)
        access = access_of(user)
        assert {can for can in Can if access.may(can)} == MAY[role]
        for action, needed in (("issue_key", Can.KEYS), ("archive", Can.SETTINGS)):
            asked = client.get(page(Paywall, action, world.paywall.pk)).status_code
            assert asked == (200 if needed in MAY[role] else 403), (role, action)
        for model, needed in ((Provider, Can.SETTINGS), (PaywallModel, Can.PRICES)):
            asked = client.get(page(model, "add")).status_code
            assert asked == (200 if needed in MAY[role] else 403), (role, model)


def test_a_role_that_is_taken_away_is_gone_at_once(world: Any) -> None:  # noqa: F811
    client = operator(world.paywall.tenant)
    assert client.get(page(Paywall, "change", world.paywall.pk)).status_code == 200
    Membership.objects.all().delete()
    assert client.get(page(Paywall, "change", world.paywall.pk)).status_code == 403
    assert client.get(page(Paywall, "changelist")).status_code == 403


# --- The checks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "nowhere", "paywall", "name"])
def test_a_page_that_leads_to_no_tenant_fails_the_check(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = admin.site._registry[Provider]
    monkeypatch.setattr(type(ours), "tenant_path", path)
    assert "tollgate.E040" in {fault.id for fault in ours.check()}


def test_an_action_without_a_known_permission_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = admin.site._registry[PaywallModel]
    monkeypatch.setattr(ours.look_up.__func__, "allowed_permissions", ["whatever"])
    assert "tollgate.E041" in {fault.id for fault in ours.check()}


def test_every_page_is_limited_by_the_one_mechanism() -> None:
    call_command("check", fail_level="ERROR")
    assert all(isinstance(ours, TenantPages) for ours in admin.site._registry.values())


def test_the_docs_have_the_table_of_roles() -> None:
    assert table() in (ROOT / "docs" / "operators.md").read_text()
