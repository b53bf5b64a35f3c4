"""The docs' samples verify real deliveries, as they are written there. Node's is in `tests/clients/`."""

import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.factories import make_paywall
from tests.receiver import Received, Receiver
from webhooks import outbox, services
from webhooks.delivery import Courier
from webhooks.drafts import Draft, Subject

PAGE = Path(__file__).resolve().parent.parent / "docs" / "webhooks.md"

GO_PROGRAM = """
package main

import (
    "crypto/hmac"
    "crypto/sha256"
    "encoding/hex"
    "encoding/json"
    "fmt"
    "net/http"
    "os"
)

%s

func main() {
    var given []struct {
        Secret, Body string
        Headers map[string]string
    }
    if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
        panic(err)
    }
    for _, one := range given {
        header := http.Header{}
        for name, value := range one.Headers {
            header.Set(name, value)
        }
        fmt.Println(isOurs(one.Secret, []byte(one.Body), header))
    }
}
"""


def sample(beginning: str) -> str:
    """The docs' code block that begins so."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", PAGE.read_text(), re.MULTILINE)
    [found] = [text for block in blocks if (text := textwrap.dedent(block).strip()).startswith(beginning)]
    return found


@pytest.fixture
def deliveries(settings: Any) -> Any:
    """A delivery before and one during a rotation, with the old secret."""
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    paywall = make_paywall()
    with Receiver() as receiver:
        row, secret = services.create(paywall.pk, url=receiver.url, events=["*"])
        for _ in range(2):
            subject = Subject("paywall", paywall.public_id)
            outbox.emit(paywall.pk, Draft("paywall.archived", {"reason": "Grüße 😀"}, subject))
            Courier(senders=2).run()
            services.rotate(row)
        yield secret, receiver.requests


def cases(secret: str, requests: list[Received]) -> list[tuple[str, bytes, dict[str, str], bool]]:
    """Secret, body and headers, and whether it is ours: two that are; a forged body, a wrong secret, no signature."""
    first, second = requests
    return [
        (secret, first.body, first.headers, True),
        (secret, second.body, second.headers, True),
        (secret, first.body + b" ", first.headers, False),
        (secret + "x", first.body, first.headers, False),
        (secret, first.body, {}, False),
    ]


@pytest.mark.django_db(transaction=True)
class TestTheSamples:
    def test_python_with_the_library(self, deliveries: Any) -> None:
        secret, received = deliveries
        for one in received:
            request = requests.Request(headers=one.headers)
            request.body = one.body  # type: ignore[attr-defined]
            scope = {"secret": secret, "request": request}
            exec(sample("from standardwebhooks import"), scope)  # the docs' own
            assert scope["event"] == one.event

    def test_python_with_nothing_installed(self, deliveries: Any) -> None:
        scope: dict[str, Any] = {}
        exec(sample("import hashlib, hmac"), scope)
        for secret, body, headers, ours in cases(*deliveries):
            insensitive = requests.structures.CaseInsensitiveDict(headers)
            assert scope["is_ours"](secret, body, insensitive) is ours

    @pytest.mark.skipif(not shutil.which("go"), reason="go isn't installed")
    def test_go(self, deliveries: Any, tmp_path: Path) -> None:
        program = tmp_path / "main.go"
        program.write_text(GO_PROGRAM % sample("func isOurs("))
        given = cases(*deliveries)
        asked = [{"secret": s, "body": body.decode(), "headers": headers} for s, body, headers, _ in given]
        ran = subprocess.run(
            ["go", "run", str(program)], input=json.dumps(asked), capture_output=True, text=True, timeout=120
        )
        assert ran.stdout.split() == [str(ours).lower() for *_, ours in given], ran.stderr
