"""The docs' Node sample verifies a real delivery, as it is written there."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clients import install
from tests.factories import make_paywall
from tests.test_webhook_samples import sample
from webhooks import outbox, services
from webhooks.delivery import Courier
from webhooks.drafts import Draft, Subject
from webhooks.models import Delivery

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(
        not os.environ.get("CLIENTS"), reason="`make clients` installs the real clients and runs these"
    ),
]

PROGRAM = """
import express from "express";
const app = express();
let secret = "";
app.post("/secret", express.text(), (request, response) => { secret = request.body; response.sendStatus(204); });
%s
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The sample's app, running; where it is."""
    if reason := install.missing("node"):
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(dir=install.node_folder()) as folder:
        program = Path(folder, "hooks.mjs")
        program.write_text(PROGRAM % sample("import { Webhook }"))
        with subprocess.Popen(["node", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
            finally:
                process.terminate()


@pytest.mark.django_db(transaction=True)
def test_node_with_the_library(endpoint: str, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    paywall = make_paywall()
    _, secret = services.create(paywall.pk, url=f"{endpoint}/hooks", events=["*"])
    requests.post(
        f"{endpoint}/secret", data=secret, headers={"content-type": "text/plain"}
    ).raise_for_status()
    outbox.emit(
        paywall.pk, Draft("paywall.archived", {"reason": "Grüße 😀"}, Subject("paywall", paywall.public_id))
    )
    Courier(senders=1).run()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.response_status) == ("succeeded", 204), delivery.response_body
    forged = requests.post(f"{endpoint}/hooks", json={"event": {}})
    assert forged.status_code == 500
    assert "WebhookVerificationError" in forged.text
