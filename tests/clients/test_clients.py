"""The real clients, as their users install them, each against a running server: by base URL and key alone.

`make clients` installs them and runs these tests. A client is one file in `python/` or `node/` that goes through the
scenarios of `scenarios.py` in a process of its own and reports what it got.
"""

import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests import environment
from tests.clients import install
from tests.clients.claude import Claude
from tests.installation import Installation
from tests.story import assert_books_sum, balance

pytestmark = [
    pytest.mark.server,
    pytest.mark.clients,
    pytest.mark.skipif(
        not os.environ.get("CLIENTS"), reason="`make clients` installs the real clients and runs these"
    ),
]

HERE = Path(__file__).resolve().parent
SHARED = {"scenarios.py", "scenarios.mjs", "ai_sdk_scenarios.mjs"}
CLIENTS = sorted(
    path
    for pattern in ("python/*.py", "node/*.mjs")
    for path in HERE.glob(pattern)
    if path.name not in SHARED
)
CLIENT_SECONDS = 150
PRICING = {"prompt": "1", "completion": "2"}


def paywall(name, trial, upstream):
    """Two models that say the same: the sandbox's, which speaks chat, and one that speaks Messages."""
    providers = [
        {"name": "sandbox", "base_url": "sandbox://"},
        {
            "name": "claude",
            "base_url": upstream.base_url,
            "api_key": "provider-key",
            "surfaces": ["messages"],
        },
    ]
    models = [
        {"id": f"{provider}/echo", "provider": provider, "upstream_model": "echo", "pricing": PRICING}
        for provider in ("sandbox", "claude")
    ]
    return {"name": name, "trial_credit": trial, "providers": providers, "models": models}


@pytest.fixture(scope="module")
def site():
    with Claude() as upstream:
        shop = {
            "tenant": {"name": "Acme", "email": "ops@acme.test"},
            "paywalls": [paywall("Rich", "1", upstream), paywall("Broke", "0", upstream)],
        }
        with Installation.running(shop) as site:
            yield site
            assert_books_sum(site)


@pytest.fixture(scope="module")
def told(site):
    """What a client reported: each runs once, for all of its tests."""

    @cache
    def run(path):
        if reason := install.missing(path.parent.name):
            pytest.skip(reason)
        env = environment.clean() | {
            "TOLLGATE_URL": site.url(),
            "TOLLGATE_KEY": site.keys["Rich"],
            "TOLLGATE_BROKE_KEY": site.keys["Broke"],
            "TOLLGATE_MODEL": "claude/echo" if "anthropic" in path.name else "sandbox/echo",
            "TOLLGATE_USER": path.stem,
            # LiteLLM would fetch its prices from the internet.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        done = _run_python(path, env) if path.suffix == ".py" else _run_node(path, env)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


def _run_python(path, env):
    return _run([install.python_folder() / "bin" / "python", path], env)


def _run_node(path, env):
    # A module finds its packages in the folders above it.
    with tempfile.TemporaryDirectory(dir=install.node_folder()) as folder:
        shutil.copytree(path.parent, folder, dirs_exist_ok=True)
        return _run(["node", Path(folder) / path.name], env)


def _run(command, env):
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=CLIENT_SECONDS)


@pytest.fixture(params=CLIENTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def client(request, told):
    """What each client reported, by scenario."""
    return told(request.param)


def got(client, scenario):
    report = client[scenario]
    assert "error" not in report, report["error"]
    return report


def test_plain(client):
    assert got(client, "plain") == {"text": "You said: Hello there, gateway"}


def test_streamed_in_parts(client):
    parts = got(client, "streamed")["parts"]
    assert "".join(parts) == "You said: Hello there, gateway"
    assert len(parts) > 1


@pytest.mark.parametrize("scenario", ["tool", "tool_streamed"])
def test_a_tool_is_called_and_its_result_answered(client, scenario):
    report = got(client, scenario)
    assert (report["name"], report["arguments"]) == ("get_weather", {"city": "Paris"})
    # Some wrap what a tool returns.
    assert report["text"].startswith("The tool said: ")
    assert "21 degrees" in report["text"]


def test_who_has_no_money_reads_the_top_up_message(client, site):
    assert f"{site.url()}/t/" in got(client, "top_up")["text"]


def test_who_has_no_money_reads_the_top_up_message_from_a_stream(client, site):
    assert f"{site.url()}/t/" in "".join(got(client, "top_up_streamed")["parts"])


def test_each_call_was_charged_once_to_the_user_that_the_client_named(client, request, site):
    assert client
    user = request.node.callspec.params["client"].stem
    charges = site.sql(
        "SELECT amount, metadata FROM ledger_transfer t JOIN ledger_account a ON a.id = t.wallet_id"
        " JOIN paywalls_enduser u ON u.id = a.user_id WHERE t.kind = 'usage' AND u.external_id = %s",
        user,
    )
    # A plain answer, a stream, and two rounds of a question and a tool's result.
    assert len(charges) == 6
    assert not any(charge["metadata"]["estimated"] for charge in charges)
    assert balance(site, user) == 1_000_000_000 - sum(charge["amount"] for charge in charges)
