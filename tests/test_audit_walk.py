"""Every write by an operator or a key is in the audit log: a walk over the URL table, and over the site's pages.

The triggers (test_audit.py) tell what a write changed. Here it is shown that no address gets past the log: whatever it
does, an entry is written once it succeeded.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.response import Response

from config.admin.base import ReadOnlyMixin
from paywalls import keys
from paywalls.models import AuditEntry
from tests.factories import make_paywall
from tests.tenants import TenantApi
from tests.test_admin import REGISTERED, page, shared_mode, world  # noqa: F401  (fixtures)
from tests.test_admin_strangers import OF_A_ROW, model_of

pytestmark = pytest.mark.django_db

WRITES = ("post", "put", "patch", "delete")
# Views by key that only compute, or take what is metered: reported usage is in a log of its own.
SILENT = {"CalculateView", "BulkView", "SimulateView", "ConsumeView", "IngestView"}
# Nobody is known yet who could be named.
WITHOUT_KEY = {"RegisterView"}
# Pages that edit rows of tables without a trigger: what they do is logged by the address.
BY_ADDRESS = {"ledger.OperatorAlert"}


def api(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(path, view, method) of every write of the REST API."""
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api(pattern, path)
        elif isinstance(pattern, URLPattern) and (view := getattr(pattern.callback, "cls", None)):
            yield from ((path, view, method) for method in WRITES if hasattr(view, method))


REST = list(api(get_resolver()))


def test_every_write_of_the_rest_api_is_logged_once_it_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The views' own work is put aside: what lets them be called is what logs them."""
    paywall = make_paywall()
    plain = {True: TenantApi(paywall.tenant).plain, False: keys.issue_key(paywall)}
    clients = {
        is_tenants: Client(headers={"Authorization": f"Bearer {plain[is_tenants]}"}) for is_tenants in plain
    }
    assert len(REST) > 25
    for path, view, method in REST:
        if view.__name__ in WITHOUT_KEY:
            continue
        monkeypatch.setattr(view, method, lambda self, request, **kwargs: Response({}))
        is_tenants = "TenantKeyAuthentication" in {one.__name__ for one in view.authentication_classes}
        address = "/" + path.replace("<uuid:", "<str:")
        while "<str:" in address:
            start, _, rest = address.partition("<str:")
            address = f"{start}{paywall.pk}{rest.partition('>')[2]}"
        before = AuditEntry.objects.count()
        answer = getattr(clients[is_tenants], method)(address)
        assert answer.status_code == 200, (method, address, answer.content)
        logged = AuditEntry.objects.count() - before
        assert logged == (0 if view.__name__ in SILENT else 1), (method, address)
        if logged:
            entry = AuditEntry.objects.latest("pk")
            assert (entry.subject, entry.tenant_id) == (address, paywall.tenant_id), address


def test_every_page_that_edits_rows_edits_a_table_with_a_trigger(rf: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'audited'")
        audited = {name for (name,) in cursor.fetchall()}
    request = rf.get("/")
    request.user = User(is_active=True, is_staff=True, is_superuser=True)
    for model in REGISTERED:
        ours = admin.site._registry[model]
        edits = not isinstance(ours, ReadOnlyMixin) and (
            ours.has_add_permission(request)
            or ours.has_change_permission(request)
            or ours.has_delete_permission(request)
        )
        assert not edits or model._meta.db_table in audited or model._meta.label in BY_ADDRESS, model


def test_whatever_an_operator_carries_out_is_logged(world: Any, shared_mode: None, client: Client) -> None:  # noqa: F811
    """Each address of a row and each action of a list is sent its form: what leads on was carried out."""
    root = User.objects.create(username="root", is_staff=True, is_superuser=True)
    client.force_login(root)
    form = {"confirmed": "yes", "post": "yes", "reason": "a walk", "overlap": "0", "amount": "1"}
    carried_out = set()

    def send(address: str, name: str, more: dict[str, Any]) -> None:
        before = AuditEntry.objects.count()
        answer = client.post(address, {**form, **more})
        if answer.status_code == 302:
            carried_out.add(name)
            assert AuditEntry.objects.count() > before, (address, name)

    def row_of(model: Any) -> Any:
        rows = model._default_manager.order_by("pk")
        return (rows.exclude(pk=root.pk) if model is User else rows).last()

    for model in REGISTERED:
        names = [name for name in (admin.site._registry[model].actions or ()) if isinstance(name, str)]
        row = row_of(model)
        for name in names if row else ():
            send(page(model, "changelist"), name, {"action": name, "_selected_action": [str(row.pk)]})
    # Of Django's own pages only the one that deletes, and last: an empty form changes nothing.
    done_here = [one for one in OF_A_ROW if one[1] and not one[1].endswith(("_change", "_history"))]
    for path, name in sorted(done_here, key=lambda one: one[1].endswith("_delete")):
        if row := row_of(model_of(path)):
            send(path.replace("<path:object_id>", str(row.pk)), name, {})
    assert len(carried_out) > 15, carried_out
