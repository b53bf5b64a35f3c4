"""Requests whose settlement did not come: items, charged late from the disk or by an operator, else released."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from config import ids
from ledger import reconciliation, services, tasks, unsettled
from ledger.errors import Contention, HoldNotOpen
from ledger.models import Account, Hold, OperatorAlert, ReconciliationItem, RequestKey, Transfer
from ledger.operations import Capture, Claim, PlaceHold, RequestEvent
from ledger.posting import post_one
from ledger.verification import verify
from paywalls.users import UserRef
from tests import databases
from tests.factories import make_paywall
from tests.fake_upstream import FakeUpstream
from tests.story import HELLO, assert_books_sum, charges, document
from webhooks import services as webhooks
from webhooks.models import Event


@pytest.fixture
def lost(transactional_db):
    """Alice's request for 80 of her 100 nano-dollars, whose process died: swept, with an item."""
    alice = UserRef(make_paywall(trial_credit=0).id, "alice")
    services.deposit(alice, 100, source="d")
    hold_id = ids.new()
    post_one(PlaceHold(alice, hold_id, 80, -1))
    assert services.sweep_stale_holds() == 1
    yield ReconciliationItem.objects.get(hold_id=hold_id)
    assert list(verify()) == []


@pytest.fixture
def spool(tmp_path, settings):
    settings.DATA_DIR = tmp_path
    return tmp_path / "unsettled"


def settlement(item, amount):
    hold = item.hold
    return Capture(hold.account_id, hold.pk, amount, f"usage:{hold.pk.hex}", {"model": "gpt"})


def posted():
    return Account.objects.get(kind="wallet").posted


class TestItems:
    def test_a_swept_request_is_an_open_item_with_a_deadline(self, lost):
        assert (lost.state, lost.closed_at) == ("open", None)
        assert timedelta(hours=71) < lost.deadline - timezone.now() < timedelta(hours=73)

    def test_at_the_deadline_it_is_left_released(self, lost):
        assert reconciliation.close_overdue() == 0
        ReconciliationItem.objects.update(deadline=timezone.now())
        assert reconciliation.close_overdue() == 1
        lost.refresh_from_db()
        assert (lost.state, posted()) == ("released", 100)

    def test_an_operator_charges_what_they_know(self, lost):
        reconciliation.charge_lost(lost, 30, actor="root", note="invoice 7")
        again = reconciliation.charge_lost(lost, 40, actor="root")
        lost.refresh_from_db()
        assert (lost.state, lost.closed_by, again.captured, posted()) == ("charged", "root", 30, 70)
        assert Transfer.objects.get(kind="usage").metadata["reconciled_by"] == "root"

    def test_an_operator_leaves_it_released_once(self, lost):
        assert reconciliation.leave_released(lost, actor="root", note="provider says no")
        assert not reconciliation.leave_released(lost, actor="root")

    def test_a_settlement_after_the_deadline_still_charges(self, lost):
        reconciliation.leave_released(lost, actor="root")
        services.settle(lost.hold.account_id, lost.hold_id, 20)
        lost.refresh_from_db()
        assert (lost.state, posted()) == ("charged", 80)


class TestTheSpool:
    def test_a_kept_settlement_is_charged_once_and_closes_its_item(self, lost, spool):
        unsettled.keep(settlement(lost, 30))
        kept = (spool / f"{lost.hold_id.hex}.json").read_bytes()
        assert tasks.replay_unsettled() == 1
        (spool / f"{lost.hold_id.hex}.json").write_bytes(
            kept
        )  # a worker that died before it removed the file
        assert tasks.replay_unsettled() == 1
        lost.refresh_from_db()
        assert (lost.state, posted(), list(spool.iterdir())) == ("charged", 70, [])
        assert Transfer.objects.get(kind="usage").metadata == {"model": "gpt", "settled_late": True}

    def test_a_kept_settlement_tells_its_events_once(self, lost, spool):
        paywall = lost.hold.account.user.paywall
        webhooks.create(paywall.pk, url="https://example.com/hook", events=["*"])
        request = ids.public("request", lost.hold_id)
        completed = RequestEvent(
            "paywall.proxy.request.completed", lost.hold_id, {"requestId": request, "model": "gpt"}
        )
        unsettled.keep(settlement(lost, 30)._replace(events=(completed,)))
        kept = (spool / f"{lost.hold_id.hex}.json").read_bytes()
        assert tasks.replay_unsettled() == 1
        (spool / f"{lost.hold_id.hex}.json").write_bytes(kept)
        assert tasks.replay_unsettled() == 1
        told = {event.type: event.content for event in Event.objects.all()}
        assert Event.objects.count() == 2
        assert set(told) == {completed.type, "paywall.usage.charge.created"}
        data = told[completed.type]["data"]
        assert (data["requestId"], data["model"]) == (request, "gpt")
        assert data["walletUserId"] == lost.hold.account.user.public_id

    def test_what_can_not_be_settled_stays_and_raises_one_alert(self, lost, spool):
        services.settle(lost.hold.account_id, lost.hold_id, 0)
        spool.mkdir()
        (spool / "torn.json").write_text('{"wallet"')
        hold_id = ids.new()
        post_one(PlaceHold(lost.hold.account_id, hold_id, 5, 60))
        services.release(Hold.objects.get(pk=hold_id))
        unsettled.keep(Capture(lost.hold.account_id, hold_id, 5, "usage:x"))
        for _ in range(2):
            assert tasks.replay_unsettled() == 0
        alert = OperatorAlert.objects.get()
        assert "torn.json can't be read" in alert.text
        assert "released" in alert.text
        assert len(list(spool.iterdir())) == 2
        with pytest.raises(HoldNotOpen):
            services.settle(lost.hold.account_id, hold_id, 5)

    def test_what_the_database_refuses_keeps_no_other_waiting(self, lost, spool):
        hold_id = ids.new()
        post_one(PlaceHold(lost.hold.account_id, hold_id, 5, 60))
        poison = settlement(lost, 30)._replace(metadata={"model": "a zero byte: \x00"})
        unsettled.keep(poison)
        (spool / f"{lost.hold_id.hex}.json").rename(spool / "0-first.json")
        (spool / "1-old.json").write_text('{"of": "another version"}')
        unsettled.keep(Capture(lost.hold.account_id, hold_id, 5, "usage:x"))
        assert tasks.replay_unsettled() == 1
        assert Hold.objects.get(pk=hold_id).state == "captured"
        assert sorted(path.name for path in spool.iterdir()) == ["0-first.json", "1-old.json"]
        assert "0-first.json" in OperatorAlert.objects.get().text

    def test_a_wallet_that_is_busy_keeps_no_other_waiting_and_is_no_fault(self, lost, spool, monkeypatch):
        unsettled.keep(settlement(lost, 30))
        (spool / f"{lost.hold_id.hex}.json").rename(spool / "0-first.json")
        unsettled.keep(settlement(lost, 30))
        settle, asked = unsettled.settle, []

        def busy(*args, **more):
            asked.append(args)
            if len(asked) == 1:
                raise Contention("the wallet stayed busy")
            return settle(*args, **more)

        monkeypatch.setattr(unsettled, "settle", busy)
        assert unsettled.replay() == (1, [])
        assert [path.name for path in spool.iterdir()] == ["0-first.json"]

    def test_while_the_database_is_away_all_wait(self, lost, spool, monkeypatch):
        def away(*args, **more):
            raise OperationalError("the connection is lost")

        unsettled.keep(settlement(lost, 30))
        monkeypatch.setattr(unsettled, "settle", away)
        with pytest.raises(OperationalError):
            unsettled.replay()
        monkeypatch.undo()
        assert len(list(spool.iterdir())) == 1

    def test_a_kept_answer_is_there_for_a_retry(self, lost, spool):
        alice = lost.hold.account.user
        claim = Claim(alice.paywall_id, alice.external_id, "digest", "fingerprint")
        hold_id = ids.new()
        post_one(PlaceHold(lost.hold.account_id, hold_id, 5, 60, claim=claim))
        unsettled.keep(Capture(lost.hold.account_id, hold_id, 5, "usage:x", answer="encrypted"))
        assert tasks.replay_unsettled() == 1
        assert RequestKey.objects.get(pk=hold_id).answer == "encrypted"

    def test_a_draft_that_was_never_finished_is_no_settlement(self, lost, spool):
        spool.mkdir()
        (spool / "half.tmp").write_text("{")
        assert unsettled.replay() == (0, [])


@pytest.mark.server
def test_the_database_stops_after_the_provider_answered_and_the_charge_survives(installation):
    """Longer than the gateway waits: the settlement goes to the disk and the worker charges it."""
    with FakeUpstream() as upstream:
        upstream.delay = 4
        price = {"prompt": "0", "completion": "0", "request": "0.01"}
        site = installation(document(upstream, markup="0", pricing=price))
        site.kill(0)
        site.start_server(0, module="tests.impatient_web")
        name = site.env["DATABASE_URL"].partition("?")[0].rpartition("/")[2]
        asked = threading.Thread(
            target=lambda: site.client().chat.completions.create(
                model="fake/model", user="alice", messages=HELLO, timeout=60
            )
        )
        asked.start()
        # Its hold may be seen before the disk has it: the provider is asked after that.
        while not upstream.requests:
            time.sleep(0.02)
        stop = (
            f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        with databases.connect(databases.url_of("postgres")) as server:
            for statement in stop:
                server.execute(statement)
            folder = site.folder / "var" / "unsettled"
            deadline = time.monotonic() + 30
            while not list(folder.glob("*.json")):
                assert time.monotonic() < deadline, site.log(0)[-2000:]
                time.sleep(0.1)
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        asked.join()
        assert charges(site) == []
        site.start_worker()
        deadline = time.monotonic() + 40
        while not charges(site):
            assert time.monotonic() < deadline, site.log("worker")
            time.sleep(0.1)
        assert [charge["amount"] for charge in charges(site)] == [10_000_000]
        assert_books_sum(site)
