"""The operators' page of requests."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from config import ids
from ledger import requests
from ledger.models import ProxyRequest
from ledger.requests import RequestFacts
from tests.factories import make_paywall

pytestmark = pytest.mark.django_db


def facts(paywall, **more) -> RequestFacts:
    given = dict.fromkeys(RequestFacts._fields, 0) | dict.fromkeys(
        ("model", "provider", "upstream_model", "reason", "upstream_request_id"), ""
    )
    known = {
        "id": ids.new(),
        "created_at": datetime.now(UTC),
        "paywall_id": paywall.pk,
        "external_id": "alice",
        "surface": "chat",
        "status": "completed",
        "estimated": False,
        "streamed": False,
        "cost": None,
    }
    return RequestFacts(**{**given, **known, **more})


def test_an_operator_finds_a_request_and_reads_its_page(admin_client: Client) -> None:
    paywall = make_paywall()
    wanted = facts(paywall, model="gpt", charge=1_500_000_000)
    requests.note([wanted, facts(paywall, external_id="bob", status="blocked", reason="insufficient_funds")])
    address = reverse("admin:ledger_proxyrequest_changelist")
    public = ids.public("request", wanted.id)
    for query in ({"q": public}, {"q": "alice"}, {"status__exact": "completed"}):
        shown = admin_client.get(address, query).content.decode()
        assert "alice" in shown
        assert "bob" not in shown
    page = admin_client.get(reverse("admin:ledger_proxyrequest_change", args=[wanted.id])).content.decode()
    assert public in page
    assert "1.50" in page


def test_a_note_never_changes_what_a_settlement_wrote_and_a_settlement_corrects_a_note() -> None:
    started = facts(make_paywall(), status="started")
    requests.note([started])
    statement = requests.settled([started._replace(status="completed", charge=7)])
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.params)
    requests.note([started])
    row = ProxyRequest.objects.get(pk=started.id)
    assert (row.status, row.charge) == ("completed", 7)
