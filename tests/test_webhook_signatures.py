"""Signatures, verified as customers do: by the contract's words, and by the public libraries in Python and Node."""

import hashlib
import hmac
import json
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix
from django.utils import timezone

from paywalls.models import Paywall
from tests.factories import make_paywall
from tests.receiver import Received, Receiver
from tests.test_webhook_delivery import archived, deliver
from webhooks import services, signing
from webhooks.models import Subscription

BOTH = {"standardwebhooks", "svix"}
OWN = "my own secret, 24 letters"


@pytest.fixture(autouse=True)
def _loopback_allowed(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]


def verified_by(request: Received, secret: str) -> set[str]:
    """The public libraries that accept the request with the secret: they raise where they don't."""
    standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    svix.Webhook(secret).verify(request.body, request.headers)
    return BOTH


def refused_by_all(request: Received, secret: str) -> bool:
    for library in (standardwebhooks, svix):
        with pytest.raises(library.webhooks.WebhookVerificationError):
            library.Webhook(secret).verify(request.body, request.headers)
    return True


@pytest.mark.django_db(transaction=True)
class TestARotation:
    def test_the_libraries_verify_before_during_and_after(self) -> None:
        paywall: Paywall = make_paywall()
        with Receiver() as receiver:
            row, old = services.create(paywall.pk, url=receiver.url, events=["*"])
            self.send(paywall)
            new = services.rotate(row)
            self.send(paywall)
            Subscription.objects.update(previous_secret_until=timezone.now() - timedelta(seconds=1))
            self.send(paywall)
            before, during, after = receiver.requests
        assert verified_by(before, old) == BOTH
        assert refused_by_all(before, new)
        assert verified_by(during, old) == verified_by(during, new) == BOTH
        assert verified_by(after, new) == BOTH
        assert refused_by_all(after, old)

    def test_both_secrets_sign_in_our_own_headers_too(self) -> None:
        paywall = make_paywall()
        with Receiver() as receiver:
            row, old = services.create(paywall.pk, url=receiver.url, events=["*"])
            new = services.rotate(row)
            self.send(paywall)
            [request] = receiver.requests
        assert request.headers["x-paywalls-signature"] == hex_of(new, request.body)
        assert request.headers["x-paywalls-signature-previous"] == hex_of(old, request.body)

    def test_under_load_every_delivery_has_the_old_or_the_new_secret(self) -> None:
        paywall = make_paywall()
        with Receiver() as receiver:
            row, old = services.create(paywall.pk, url=receiver.url, events=["*"])
            for number in range(60):
                archived(paywall, str(number))
            secrets = [old]
            rotation = threading.Timer(0.05, lambda: secrets.append(services.rotate(row)))
            rotation.start()
            # As the scan of every second would: one round passes over what the rotation has locked.
            receiver.wait_until(lambda: deliver() >= 0 and len(receiver.requests) >= 60)
            rotation.join()
            requests = receiver.wait_for(60)
        new = secrets[1]
        for request in requests:
            accepted = False
            for secret in (old, new):
                try:
                    accepted = accepted or verified_by(request, secret) == BOTH
                except standardwebhooks.WebhookVerificationError:
                    continue
            assert accepted

    def send(self, paywall: Paywall) -> None:
        archived(paywall)
        assert deliver() == 1


def hex_of(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers(secrets: list[str], body: bytes = b"{}") -> dict[str, str]:
    return signing.headers(secrets, "evt_1", "paywall.archived@2024-05-01", body, datetime.now(UTC))


def test_the_contracts_own_header_is_hex_hmac_of_the_raw_body() -> None:
    signed = headers([OWN], b'{"a": 1}')
    assert signed["X-Paywalls-Signature"] == hex_of(OWN, b'{"a": 1}')
    assert signed["X-Paywalls-Event"] == "paywall.archived@2024-05-01"
    assert datetime.fromisoformat(signed["X-Paywalls-Timestamp"]).tzinfo
    assert "X-Paywalls-Signature-Previous" not in signed


def test_an_owners_own_secret_is_verified_by_its_base64() -> None:
    import base64

    encoded = base64.b64encode(OWN.encode()).decode()
    assert standardwebhooks.Webhook(encoded).verify(b"{}", headers([OWN])) == {}


def test_an_altered_body_is_refused() -> None:
    secret = signing.generate()
    request = Received("/", headers([secret], b'{"amount": 1}'), b'{"amount": 2}')
    assert refused_by_all(request, secret)


NODE = """
const { Webhook: Standard } = require("standardwebhooks");
const { Webhook: Svix } = require("svix");
const { createHmac } = require("crypto");
const { secret, body, headers } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const verdicts = {};
for (const [name, Verifier] of Object.entries({ standardwebhooks: Standard, svix: Svix })) {
  try { new Verifier(secret).verify(body, headers); verdicts[name] = true; } catch (e) { verdicts[name] = false; }
}
verdicts.hex = createHmac("sha256", secret).update(body).digest("hex") === headers["x-paywalls-signature"];
console.log(JSON.stringify(verdicts));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: Any) -> Path:
    """A folder with Node's verifiers."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder: Path = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "standardwebhooks@1", "svix@1"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm took too long to install the verifiers")
    if done.returncode:
        pytest.skip(f"npm can't install the verifiers here: {done.stderr[-300:]}")
    (folder / "verify.js").write_text(NODE)
    return folder


def in_node(folder: Path, secret: str, signed: dict[str, str], body: bytes) -> dict[str, bool]:
    asked = {
        "secret": secret,
        "body": body.decode(),
        "headers": {name.lower(): value for name, value in signed.items()},
    }
    done = subprocess.run(
        ["node", "verify.js"], cwd=folder, input=json.dumps(asked), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    verdicts: dict[str, bool] = json.loads(done.stdout)
    return verdicts


def test_the_node_libraries_verify_before_during_and_after_a_rotation(node: Path) -> None:
    old, new = signing.generate(), signing.generate()
    body = '{"event": {"data": {"note": "é ✓"}}}'.encode()
    yes = {"standardwebhooks": True, "svix": True}
    no = {"standardwebhooks": False, "svix": False}
    assert in_node(node, old, headers([old], body), body) == {**yes, "hex": True}
    assert in_node(node, old, headers([new, old], body), body) == {**yes, "hex": False}
    assert in_node(node, new, headers([new, old], body), body) == {**yes, "hex": True}
    assert in_node(node, old, headers([new], body), body) == {**no, "hex": False}
