"""How many queries the big lists take: no more, and no fewer, than `admin_queries.json` says."""

import json
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from paywalls.models import Membership
from paywalls.roles import Role
from tests.factories import make_paywall

BASELINE: dict[str, int] = json.loads((Path(__file__).parent / "admin_queries.json").read_text())


@pytest.mark.django_db(transaction=True)
def test_the_big_lists_take_the_queries_of_the_baseline(client: Client) -> None:
    call_command("seed_demo", rows=300, verbosity=0)
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    found = {}
    for label in BASELINE:
        opts = apps.get_model(label)._meta
        address = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        found[label] = len(captured)
    assert found == BASELINE


@pytest.mark.django_db
@pytest.mark.parametrize("label", ["ledger.ProxyRequest", "webhooks.Event"])
def test_an_operators_list_names_their_paywalls_so_that_others_rows_are_not_read(
    label: str, client: Client
) -> None:
    paywall = make_paywall()
    owner = User.objects.create(username="owner", is_staff=True)
    Membership.objects.create(user=owner, tenant=paywall.tenant, role=Role.OWNER)
    client.force_login(owner)
    opts = apps.get_model(label)._meta
    with CaptureQueriesContext(connection) as captured:
        assert client.get(reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")).status_code == 200
    [counted] = [
        query["sql"] for query in captured if "COUNT(*)" in query["sql"] and opts.db_table in query["sql"]
    ]
    assert "JOIN" not in counted
    assert paywall.pk.hex in counted
