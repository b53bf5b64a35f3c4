"""An end user's transactions and settings, and the ledger as a file."""

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from config import ids
from config.money import NANO
from ledger import export, services
from ledger.models import Transfer
from ledger.operations import Credit, Debit
from ledger.posting import post
from paywalls.users import UserRef
from tests.app import CHARGE, DEPOSIT, App, refusal

TRANSACTIONS, SETTINGS, EXPORT = "/v1/user/transactions", "/v1/user/settings", "/v1/ledger/export"


@pytest.fixture
def app(db: None) -> App:
    return App()


def listed(app, **query):
    answer = app.call("GET", TRANSACTIONS, query_params={"user": "alice", **query})
    assert answer.status_code == 200, answer.content
    return answer.json()


class TestTransactions:
    def test_each_says_what_it_moved_exactly(self, app):
        app.post(DEPOSIT, amount="1")
        charged = app.post(CHARGE, amount="0.000000001", metadata={"for": "tea"})
        newest, oldest = listed(app)["transactions"]
        assert newest == {
            "activityId": charged.json()["activityId"],
            "kind": "charge",
            "amount": "-0.000000001",
            "amountNano": "-1",
            "balanceBefore": "1",
            "balanceAfter": "0.999999999",
            "balanceAfterNano": "999999999",
            "requestId": charged["X-Request-Id"],
            "reverses": None,
            "createdAt": Transfer.objects.get(kind="charge").created_at.isoformat(),
            "metadata": {"for": "tea"},
        }
        assert (oldest["kind"], oldest["amountNano"]) == ("deposit", str(NANO))

    def test_pages_are_stable_while_money_moves(self, app):
        for _ in range(5):
            app.post(DEPOSIT, amount="1")
        first = listed(app, limit=2)
        app.post(DEPOSIT, amount="9")
        second = listed(app, limit=2, cursor=first["nextCursor"])
        third = listed(app, limit=2, cursor=second["nextCursor"])
        seen = [one["balanceAfter"] for page in (first, second, third) for one in page["transactions"]]
        assert (seen, third["nextCursor"]) == (["5", "4", "3", "2", "1"], None)

    def test_filters_by_kind_date_and_request(self, app):
        app.post(DEPOSIT, amount="1")
        request = app.post(CHARGE, amount="0.5")["X-Request-Id"]
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
        assert [one["kind"] for one in listed(app, kind="deposit")["transactions"]] == ["deposit"]
        assert [one["kind"] for one in listed(app, requestId=request)["transactions"]] == ["charge"]
        assert len(listed(app, to=tomorrow)["transactions"]) == 2
        assert listed(app, **{"from": tomorrow})["transactions"] == []

    def test_a_user_never_seen_and_another_paywalls_have_none(self, app):
        app.post(DEPOSIT, amount="1")
        assert listed(App())["transactions"] == []

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("kind", "gift"),
            ("from", "yesterday"),
            ("to", "2026-02-30"),
            ("to", "2026-02-03T10:00:00"),
            ("requestId", "act_1"),
            ("limit", "0"),
            ("limit", "101"),
            ("cursor", "x"),
        ],
    )
    def test_what_can_not_be_read_is_refused_by_name(self, app, name, value):
        refusal(app.call("GET", TRANSACTIONS, query_params={"user": "alice", name: value}), 400, name)


class TestSettings:
    def put(self, app, **body):
        data = json.dumps({"user": "alice", **body})
        return app.call("PUT", SETTINGS, data=data, content_type="application/json")

    def test_they_are_kept_and_what_is_left_out_is_none(self, app):
        asked = {
            "dayLimit": "5",
            "monthLimit": "0",
            "lowBalance": "1.5",
            "autoTopUp": {"amount": "10", "monthLimit": "50"},
        }
        assert self.put(app, **asked).json() == asked
        assert app.get(SETTINGS).json() == asked
        nothing = dict.fromkeys(asked)
        assert self.put(app).json() == nothing
        assert app.get(SETTINGS, "nobody").json() == nothing

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"dayLimit": "-1"}, "dayLimit"),
            ({"dayLimit": 5}, "dayLimit"),
            ({"lowBalance": "0"}, "lowBalance"),
            ({"autoTopUp": {"amount": "5"}}, "autoTopUp"),
            ({"lowBalance": "1", "autoTopUp": {"amount": "5", "monthLimit": "4"}}, "autoTopUp.monthLimit"),
            ({"lowBalance": "1", "autoTopUp": {}}, "autoTopUp.amount"),
        ],
    )
    def test_what_makes_no_sense_is_refused_by_name(self, app, body, param):
        refusal(self.put(app, **body), 400, param)

    def test_a_charge_over_the_limit_is_told_and_claims_no_key(self, app):
        app.post(DEPOSIT, amount="10")
        self.put(app, dayLimit="1")
        key = {"Idempotency-Key": "order-1"}
        refused = app.post(CHARGE, amount="1.01", headers=key).json()
        assert refused["success"] is False
        assert "limit of $1.00 a day" in refused["message"]
        self.put(app, dayLimit="2")
        assert app.post(CHARGE, amount="1.01", headers=key).json()["success"] is True


def rows(chunks):
    return list(csv.DictReader(io.StringIO(b"".join(chunks).decode())))


class TestExport:
    def test_csv_and_jsonl_say_the_same(self, app):
        app.post(DEPOSIT, amount="1", metadata={"order": "A-1"})
        app.post(CHARGE, amount="0.25")
        selection = export.Selection(app.paywall.tenant_id, app.paywall.pk)
        table = rows(export.chunks(selection, "csv"))
        lines = [json.loads(line) for line in b"".join(export.chunks(selection, "jsonl")).splitlines()]
        assert [line["kind"] for line in lines] == ["deposit", "charge"]
        assert [{**line, "metadata": json.dumps(line["metadata"])} for line in lines] == table
        assert (table[1]["amount"], table[1]["debit_account"], table[1]["credit_account"]) == (
            "-0.25",
            "wallet",
            "revenue",
        )

    def test_a_range_takes_its_beginning_and_leaves_its_end(self, app):
        app.post(DEPOSIT, amount="1")
        made = Transfer.objects.get().created_at
        moment = timedelta(microseconds=1)
        for since, until, found in (
            (made, made + moment, 1),
            (made - moment, made, 0),
            (made + moment, None, 0),
            (None, None, 1),
        ):
            selection = export.Selection(app.paywall.tenant_id, None, since, until)
            assert len(rows(export.chunks(selection, "csv"))) == found

    def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(self, app):
        app.post(DEPOSIT, amount="1", user="=HYPERLINK(1)")
        selection = export.Selection(app.paywall.tenant_id)
        assert rows(export.chunks(selection, "csv"))[0]["user"] == "'=HYPERLINK(1)"
        assert b'"user":"=HYPERLINK(1)"' in b"".join(export.chunks(selection, "jsonl"))

    @pytest.mark.django_db(transaction=True)
    def test_twenty_thousand_rows_come_in_order_and_in_chunks_in_little_memory(self):
        app = App()
        ref = UserRef(app.paywall.pk, "alice")
        post([Credit(ref, NANO, "d", "deposit", "deposits")])
        for _ in range(20):
            post([Debit(ref, 1, f"c:{ids.new().hex}", "charge", "revenue") for _ in range(1_000)])
        selection = export.Selection(app.paywall.tenant_id, app.paywall.pk)
        tracemalloc.start()
        count, last, peaks = 0, "", []
        for chunk in export.chunks(selection, "jsonl"):
            lines = chunk.splitlines()
            assert len(lines) <= export.PAGE
            created = json.loads(lines[0])["created_at"]
            assert created >= last
            count, last = count + len(lines), created
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
        tracemalloc.stop()
        assert count == Transfer.objects.count() == 20_001
        assert max(peaks[-5:]) < 1.5 * max(peaks[:5])

    @pytest.mark.django_db(transaction=True)
    def test_over_http_it_is_a_paywalls_own_and_a_stream(self):
        import asyncio

        app, other = App(), App()
        for each in (app, other):
            each.post(DEPOSIT, amount="1")

        async def fetch():
            answer = await AsyncClient().get(
                EXPORT, {"format": "csv"}, headers={"Authorization": f"Bearer {app.key}"}
            )
            assert answer.streaming
            body = b"".join([chunk async for chunk in answer.streaming_content])
            await sync_to_async(connections.close_all)()  # the view's thread's
            return answer, body

        answer, body = asyncio.run(fetch())
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert [row["user"] for row in rows([body])] == ["alice"]
        refusal(app.call("GET", EXPORT, query_params={"format": "xml"}), 400, "format")
        refusal(app.call("GET", EXPORT, query_params={"from": "x"}), 400, "from")

    def test_the_command_writes_every_tenant_under_one_header(self, app, capfdbinary):
        other = App()
        for each in (app, other):
            each.post(DEPOSIT, amount="1")
        call_command("export_ledger")
        lines = capfdbinary.readouterr().out.splitlines()
        assert len(lines) == 3
        call_command("export_ledger", tenant=app.paywall.tenant.email, format="jsonl", since=timezone.now())
        assert capfdbinary.readouterr().out == b""
        services.grant(UserRef(app.paywall.pk, "alice"), 5, source="g")
