"""`manage.py listen`: a paywall's events on the developer's own machine."""

import signal
import subprocess
import sys
import time

import pytest
import standardwebhooks

from tests import environment
from tests.installation import Installation
from tests.receiver import Receiver
from tests.story import deposit

pytestmark = pytest.mark.server


def listen(site: Installation, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "listen", *arguments],
        cwd=environment.ROOT,
        env=site.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_events_are_forwarded_with_valid_signatures(installation) -> None:
    site = installation(worker=True)
    with Receiver() as receiver:
        listening = listen(site, "--forward-to", receiver.url, "--events", "paywall.balance.*")
        try:
            assert "Listening to Acme Chat" in listening.stdout.readline()
            secret = listening.stdout.readline().split()[-1]
            deposit(site, "1")
            requests = receiver.wait_for(2)
            for request in requests:
                standardwebhooks.Webhook(secret).verify(request.body, request.headers)
            assert receiver.types == ["paywall.balance.trial.granted", "paywall.balance.deposit.created"]
            assert "200" in listening.stdout.readline()
        finally:
            listening.send_signal(signal.SIGINT)
            assert listening.wait(15) == 0
    assert site.sql("SELECT id FROM webhooks_subscription") == []


def test_a_listener_that_was_killed_collects_nothing_for_ever(installation) -> None:
    site = installation()
    listening = listen(site, "--forward-to", "http://127.0.0.1:9/hook")
    assert "Listening" in listening.stdout.readline()
    listening.kill()
    listening.wait(15)
    site.sql("UPDATE webhooks_subscription SET listening_until = now() - interval '1 second'")
    deposit(site, "1")
    time.sleep(0.2)
    assert site.sql("SELECT id FROM webhooks_event") == []


def test_what_is_wrong_is_said(installation) -> None:
    site = installation()
    for arguments, said in (
        (["--forward-to", "http://8.8.8.8/"], "url: "),
        (["--forward-to", "http://127.0.0.1:9/", "--events", "nothing"], "'nothing' is no event"),
        (["--forward-to", "http://127.0.0.1:9/", "--paywall", "pw_1"], "--paywall: "),
    ):
        done = site.manage("listen", *arguments)
        assert done.returncode == 1
        assert said in done.stderr
