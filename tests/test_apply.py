"""Paywalls as code: what a document makes, what applying it again doesn't, and every way to get it wrong."""

import copy
import io
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config import ids, secrets
from config.money import NANO
from paywalls import keys
from paywalls.configuration import InvalidDocument, apply_document, limits, load, parts, playground, prices
from paywalls.configuration import document as configuration
from paywalls.models import Paywall, PaywallKey, PaywallModel, Provider, Tenant
from tests import databases
from tests.environment import ROOT
from tests.threads import at_once

pytestmark = pytest.mark.django_db

ACME = """
tenant: {name: Acme, email: ops@acme.test}
paywalls:
  - name: Acme Chat
    mode: default
    trial_credit: "0.05"
    markup_percent: "20"
    providers:
      - {name: openai, base_url: "https://api.openai.com/v1", api_key: "${OPENAI_API_KEY}"}
      - {name: sandbox, base_url: "sandbox://"}
    models:
      - id: openai/gpt-4o-mini
        provider: openai
        upstream_model: gpt-4o-mini
        pricing: {prompt: "0.15", completion: "0.60"}
      - id: sandbox/echo
        provider: sandbox
        upstream_model: echo
        pricing: {prompt: "1", completion: "2", request: "0.0001"}
"""
ENVIRON = {"OPENAI_API_KEY": "sk-openai-secret", "EMPTY": ""}


def document(**changes: Any) -> dict[str, Any]:
    """ACME with changes by path: `document(**{"paywalls.0.name": "Other"})`; `...` removes."""
    made = copy.deepcopy(load(ACME))
    for path, value in changes.items():
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place = made
        for step in steps:
            place = place[step]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return made


def apply(**changes: Any) -> dict[str, Any]:
    return apply_document(document(**changes), ENVIRON)


def faults(**changes: Any) -> list[str]:
    """What is wrong with a changed document; also proves that nothing of it was written."""
    with pytest.raises(InvalidDocument) as caught:
        apply(**changes)
    return caught.value.faults


# --- What it makes ---------------------------------------------------------------------------------------


def test_a_document_makes_all_it_describes() -> None:
    answer = apply()

    tenant = Tenant.objects.get()
    paywall = Paywall.objects.get()
    assert (tenant.name, tenant.email) == ("Acme", "ops@acme.test")
    assert (paywall.tenant, paywall.name, paywall.mode) == (tenant, "Acme Chat", "default")
    assert (paywall.trial_credit, paywall.markup_percent) == (50_000_000, Decimal(20))
    assert answer["tenant"] == {"id": ids.public("tenant", tenant.pk)}
    [made] = answer["paywalls"]
    assert (made["id"], made["name"]) == (ids.public("paywall", paywall.pk), "Acme Chat")
    assert keys.find(made["key"]).paywall == paywall  # type: ignore[union-attr]

    openai, sandbox = Provider.objects.order_by("name")
    assert (openai.base_url, secrets.decrypt(openai.api_key)) == (
        "https://api.openai.com/v1",
        "sk-openai-secret",
    )
    assert (sandbox.base_url, sandbox.api_key) == ("sandbox://", "")
    mini, echo = PaywallModel.objects.order_by("model_id")
    assert (mini.provider, mini.upstream_model) == (openai, "gpt-4o-mini")
    assert (mini.prompt_price, mini.completion_price) == (150_000_000, 600_000_000)
    assert (mini.request_price, mini.minimum_price, mini.max_output_tokens) == (0, 0, 4_096)
    assert (echo.provider, echo.request_price) == (sandbox, 100_000)


def test_optional_keys() -> None:
    apply(
        **{
            "paywalls.0.models.1.display_name": "Echo",
            "paywalls.0.models.1.description": "Repeats.\nEvery time.",
            "paywalls.0.models.1.pricing.minimum": "0.002",
            "paywalls.0.models.1.max_output_tokens": 99,
        }
    )
    echo = PaywallModel.objects.get(model_id="sandbox/echo")
    assert (echo.display_name, echo.description) == ("Echo", "Repeats.\nEvery time.")
    assert (echo.minimum_price, echo.max_output_tokens) == (2_000_000, 99)


def test_a_tenant_alone() -> None:
    assert apply(paywalls=...)["paywalls"] == []
    assert Tenant.objects.count() == 1


def test_two_paywalls_of_one_tenant_get_two_keys() -> None:
    both = document()["paywalls"] + document(**{"paywalls.0.name": "Acme Code"})["paywalls"]
    first, second = apply(paywalls=both)["paywalls"]
    assert first["key"] != second["key"]
    assert Tenant.objects.get().paywalls.count() == 2


def test_a_model_may_name_a_provider_that_is_only_in_the_database() -> None:
    apply()
    apply(**{"paywalls.0.providers": ..., "paywalls.0.models.0.pricing.prompt": "0.3"})
    assert PaywallModel.objects.get(model_id="openai/gpt-4o-mini").prompt_price == 300_000_000


# --- Again -----------------------------------------------------------------------------------------------


def test_applying_an_unchanged_document_writes_nothing() -> None:
    apply()
    before = (
        list(Paywall.objects.values()),
        list(Provider.objects.values()),
        list(PaywallKey.objects.values()),
    )

    with CaptureQueriesContext(
        connection,
    ) as queries:
        [again] = apply()["paywalls"]

    assert again["key"] is None
    assert before == (
        list(Paywall.objects.values()),
        list(Provider.objects.values()),
        list(PaywallKey.objects.values()),
    )
    assert not [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_config_version_moves_when_something_differs() -> None:
    apply()
    version = Paywall.objects.get().config_version
    apply(**{"paywalls.0.models.0.pricing.prompt": "0.16"})
    assert Paywall.objects.get().config_version > version


def test_what_the_document_lists_becomes_as_it_says() -> None:
    apply()
    made = Paywall.objects.get().pk
    apply(
        **{
            "tenant.name": "Acme Inc",
            "paywalls.0.trial_credit": "1",
            "paywalls.0.markup_percent": ...,
            "paywalls.0.providers.0.api_key": "sk-new",
            "paywalls.0.models.1.pricing": {"prompt": "3", "completion": "4"},
        }
    )
    paywall = Paywall.objects.get()
    assert (paywall.pk, paywall.tenant.name) == (made, "Acme Inc")
    # An absent optional key means its default, so that the same file makes the same installation everywhere.
    assert (paywall.trial_credit, paywall.markup_percent) == (NANO, Decimal(0))
    assert secrets.decrypt(Provider.objects.get(name="openai").api_key) == "sk-new"
    echo = PaywallModel.objects.get(model_id="sandbox/echo")
    assert (echo.prompt_price, echo.completion_price, echo.request_price) == (3 * NANO, 4 * NANO, 0)


def test_what_the_document_does_not_list_is_left_alone() -> None:
    apply()
    apply(**{"paywalls.0.providers": ..., "paywalls.0.models": ...})
    assert (Provider.objects.count(), PaywallModel.objects.count(), PaywallKey.objects.count()) == (2, 2, 1)


def test_a_provider_without_api_key_in_the_document_keeps_the_stored_one() -> None:
    apply()
    apply(**{"paywalls.0.providers.0.api_key": ...})
    assert secrets.decrypt(Provider.objects.get(name="openai").api_key) == "sk-openai-secret"
    apply(**{"paywalls.0.providers.0.api_key": ""})
    assert Provider.objects.get(name="openai").api_key == ""


def test_what_a_tenant_signed_up_for_is_set_and_stays_where_the_document_is_silent() -> None:
    said = {"tenant.tier": "GROWTH", "tenant.uncovered_usage": "unbilled", "tenant.credits_per_usd": 100}
    apply(**said)
    apply()
    tenant = Tenant.objects.get()
    assert (tenant.tier, tenant.uncovered_usage, tenant.credits_per_usd) == ("GROWTH", "unbilled", 100)


def test_tenants_are_found_by_email_in_any_case() -> None:
    apply()
    apply(**{"tenant.email": "Ops@ACME.test"})
    assert Tenant.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_document_four_times_at_once_makes_one_of_each() -> None:
    answers = at_once(4, apply)
    assert len(answers) == 4
    assert sum(answer["paywalls"][0]["key"] is not None for answer in answers) == 1
    assert (Tenant.objects.count(), Paywall.objects.count(), PaywallKey.objects.count()) == (1, 1, 1)
    assert (Provider.objects.count(), PaywallModel.objects.count()) == (2, 2)


# --- Variables -------------------------------------------------------------------------------------------


def test_variables_are_filled_in_anywhere_in_a_string() -> None:
    environ = {**ENVIRON, "NAME": "Acme", "PRICE": "0.5"}
    changed = document(
        **{
            "tenant.name": "${NAME} of ${NAME}",
            "paywalls.0.trial_credit": "${PRICE}",
            "paywalls.0.name": "costs $5 or $${NAME}",
        }
    )
    apply_document(changed, environ)
    paywall = Paywall.objects.get()
    assert paywall.tenant.name == "Acme of Acme"
    assert paywall.trial_credit == NANO // 2
    assert paywall.name == "costs $5 or ${NAME}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("${NOT_THERE}", "the environment variable NOT_THERE is not set"),
        ("${EMPTY}", "the environment variable EMPTY is empty"),
        ("${not-a-name}", '"${" must go on as in "${OPENAI_API_KEY}"; write "$${" for a plain "${"'),
        ("${", '"${" must go on as in "${OPENAI_API_KEY}"; write "$${" for a plain "${"'),
    ],
)
def test_a_variable_that_cannot_be_filled_in(text: str, fault: str) -> None:
    assert faults(**{"paywalls.0.providers.0.api_key": text}) == [
        f"paywalls[0].providers[0].api_key: {fault}"
    ]


# --- Bad input -------------------------------------------------------------------------------------------

DECIMAL = 'must be a decimal string of US dollars such as "0.25"'
PERCENT = 'must be a decimal string from "0" to "10000", at most 4 decimals, as in "12.5"'
ADDRESS = 'must be "sandbox://", or an address such as "https://api.openai.com/v1"'
NO_CONTROL = "must be one line without control characters"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("tenant", ..., "tenant: is required"),
        (
            "tenant",
            "Acme",
            "tenant: must be a mapping with the keys credits_per_usd, email, name, tier, uncovered_usage",
        ),
        ("tenant.name", ..., "tenant.name: is required"),
        ("tenant.name", " ", "tenant.name: must not be empty"),
        ("tenant.name", "x" * 256, "tenant.name: must have at most 255 characters (it has 256)"),
        ("tenant.name", "Ac\x00me", f"tenant.name: {NO_CONTROL}"),
        ("tenant.name", "Ac\nme", f"tenant.name: {NO_CONTROL}"),
        ("tenant.name", "Ac\ud800me", f"tenant.name: {NO_CONTROL}"),
        ("tenant.name", None, "tenant.name: must be a string (there is nothing after the key)"),
        (
            "tenant.name",
            7,
            "tenant.name: must be a string (put it in quotes: unquoted, YAML reads it as int)",
        ),
        ("tenant.name", ["Acme"], "tenant.name: must be a string"),
        ("tenant.email", "acme", 'tenant.email: must be an email address such as "ops@acme.test"'),
        ("tenant.emial", "x", 'tenant: unknown key "emial": did you mean "email"?'),
        ("tenant.tier", "gold", "tenant.tier: must be one of STARTER, GROWTH, ENTERPRISE"),
        ("tenant.uncovered_usage", "free", "tenant.uncovered_usage: must be one of debt, unbilled"),
        (
            "tenant.zzz",
            "x",
            'tenant: unknown key "zzz": the keys here are credits_per_usd, email, name, tier, uncovered_usage',
        ),
        ("tenants", {}, 'document: unknown key "tenants": did you mean "tenant"?'),
        ("paywalls", {}, "paywalls: must be a list (write [] for none)"),
        ("paywalls", None, "paywalls: must be a list (write [] for none)"),
        (
            "paywalls.0",
            "Acme Chat",
            "paywalls[0]: must be a mapping with the keys " + ", ".join(sorted(configuration._PAYWALL)),
        ),
        ("paywalls.0.name", ..., "paywalls[0].name: is required"),
        ("paywalls.0.mode", "prepaid", 'paywalls[0].mode: must be "default" or "shared"'),
        (
            "paywalls.0.mode",
            "shared",
            "paywalls[0].trial_credit: must be 0 in shared mode: the balance is the user's own wallet",
        ),
        (
            "paywalls.0.icon_url",
            "http://acme.test/icon.png",
            'paywalls[0].icon_url: must be an https address of a picture, such as "https://acme.test/icon.png"',
        ),
        (
            "paywalls.0.trial_credit",
            0.05,
            f"paywalls[0].trial_credit: {DECIMAL} (put it in quotes: unquoted, YAML reads it as float)",
        ),
        ("paywalls.0.trial_credit", "-1", f"paywalls[0].trial_credit: {DECIMAL}"),
        ("paywalls.0.trial_credit", "1e3", f"paywalls[0].trial_credit: {DECIMAL}"),
        ("paywalls.0.trial_credit", "NaN", f"paywalls[0].trial_credit: {DECIMAL}"),
        ("paywalls.0.trial_credit", "1000001", "paywalls[0].trial_credit: must be at most 1000000"),
        (
            "paywalls.0.trial_credit",
            "0.0000000001",
            "paywalls[0].trial_credit: must have at most 9 decimals (the smallest unit is 0.000000001 USD)",
        ),
        ("paywalls.0.markup_percent", "10000.0001", f"paywalls[0].markup_percent: {PERCENT}"),
        ("paywalls.0.markup_percent", "1.00001", f"paywalls[0].markup_percent: {PERCENT}"),
        ("paywalls.0.markup_percent", "-5", f"paywalls[0].markup_percent: {PERCENT}"),
        ("paywalls.0.markup_percent", "NaN", f"paywalls[0].markup_percent: {PERCENT}"),
        (
            "paywalls.0.markup_percent",
            20,
            'paywalls[0].markup_percent: must be a decimal string such as "20" '
            "(put it in quotes: unquoted, YAML reads it as int)",
        ),
        ("paywalls.0.markup", "20", 'paywalls[0]: unknown key "markup": did you mean "markup_percent"?'),
        ("paywalls.0.providers.0.name", ..., "paywalls[0].providers[0].name: is required"),
        ("paywalls.0.providers.0.base_url", ..., "paywalls[0].providers[0].base_url: is required"),
        (
            "paywalls.0.providers.0.url",
            "x",
            'paywalls[0].providers[0]: unknown key "url": did you mean "base_url"?',
        ),
        (
            "paywalls.0.providers.0.api_key",
            "sk-ä",
            "paywalls[0].providers[0].api_key: "
            "must hold only visible ASCII characters (it is sent in an HTTP header)",
        ),
        (
            "paywalls.0.providers.0.api_key",
            "sk\r\nX-Evil: 1",
            "paywalls[0].providers[0].api_key: "
            "must hold only visible ASCII characters (it is sent in an HTTP header)",
        ),
        ("paywalls.0.models.0.id", ..., "paywalls[0].models[0].id: is required"),
        ("paywalls.0.models.0.provider", ..., "paywalls[0].models[0].provider: is required"),
        (
            "paywalls.0.models.0.provider",
            "openia",
            "paywalls[0].models[0].provider: "
            '"openia" is no provider of this paywall (it has openai, sandbox)',
        ),
        ("paywalls.0.models.0.upstream_model", ..., "paywalls[0].models[0].upstream_model: is required"),
        (
            "paywalls.0.models.1.upstream_model",
            "ecko",
            "paywalls[0].models[1].upstream_model: "
            "must be a model of the sandbox: echo, slow, error, breaks, no-usage",
        ),
        ("paywalls.0.models.0.pricing", ..., "paywalls[0].models[0].pricing: is required"),
        (
            "paywalls.0.models.0.pricing",
            None,
            "paywalls[0].models[0].pricing: "
            "must be a mapping with the keys cache_read, cache_write, completion, image, minimum, prompt, "
            "request, tiers",
        ),
        ("paywalls.0.models.0.pricing.prompt", ..., "paywalls[0].models[0].pricing.prompt: is required"),
        ("paywalls.0.models.0.pricing.prompt", "-1", f"paywalls[0].models[0].pricing.prompt: {DECIMAL}"),
        (
            "paywalls.0.models.0.pricing.prompt",
            0.15,
            f"paywalls[0].models[0].pricing.prompt: {DECIMAL} "
            "(put it in quotes: unquoted, YAML reads it as float)",
        ),
        (
            "paywalls.0.models.0.pricing.completions",
            "1",
            'paywalls[0].models[0].pricing: unknown key "completions": did you mean "completion"?',
        ),
        (
            "paywalls.0.models.0.max_output_tokens",
            0,
            "paywalls[0].models[0].max_output_tokens: must be a whole number from 1 to 10000000",
        ),
        (
            "paywalls.0.models.0.max_output_tokens",
            True,
            "paywalls[0].models[0].max_output_tokens: must be a whole number from 1 to 10000000",
        ),
        (
            "paywalls.0.models.0.max_output_tokens",
            "4096",
            "paywalls[0].models[0].max_output_tokens: must be a whole number from 1 to 10000000",
        ),
        (
            "paywalls.0.models.0.description",
            "x" * 2_001,
            "paywalls[0].models[0].description: must have at most 2000 characters (it has 2001)",
        ),
        (
            "paywalls.0.models.0.description",
            "a\x00b",
            "paywalls[0].models[0].description: "
            "must not hold control characters other than line breaks and tabs",
        ),
    ],
)
def test_a_fault_names_its_path_and_says_what_to_change(path: str, value: Any, fault: str) -> None:
    assert faults(**{path: value}) == [fault]
    assert not Tenant.objects.exists()


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("", ADDRESS),
        ("api.openai.com/v1", ADDRESS),
        ("ftp://api.openai.com", ADDRESS),
        ("https://", ADDRESS),
        ("https:///v1", ADDRESS),
        ("sandbox://x", ADDRESS),
        ("https://api openai.com", f"{ADDRESS} (no blanks or special characters)"),
        ("https://api.openai.com/\x00", f"{ADDRESS} (no blanks or special characters)"),
        ("https://exämple.com", f"{ADDRESS} (no blanks or special characters)"),
        ("https://api.openai.com:99999", f"{ADDRESS} (its host or port can't be read)"),
        ("https://[::1", f"{ADDRESS} (its host or port can't be read)"),
        (
            "https://user:hunter2@api.openai.com",
            "must hold no credentials; put the provider's key into api_key",
        ),
        ("https://api.openai.com/v1?key=hunter2", "must end with its path: no '?' query and no '#' fragment"),
        ("https://api.openai.com/v1#x", "must end with its path: no '?' query and no '#' fragment"),
        ("https://x/" + "y" * 500, "must have at most 500 characters"),
    ],
)
def test_a_base_url_that_is_none(address: str, fault: str) -> None:
    [told] = faults(**{"paywalls.0.providers.0.base_url": address})
    assert told == f"paywalls[0].providers[0].base_url: {fault}"
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1"),
        ("https://gateway.example", "https://gateway.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_base_url_of_ones_own(address: str, stored: str) -> None:
    apply(**{"paywalls.0.providers.0.base_url": address})
    assert Provider.objects.get(name="openai").base_url == stored
    apply(**{"paywalls.0.providers.0.base_url": address})


@pytest.mark.parametrize("value", [None, "Acme", [], 7])
def test_a_document_that_is_no_mapping(value: object) -> None:
    with pytest.raises(InvalidDocument) as caught:
        apply_document(value, ENVIRON)
    assert caught.value.faults == [
        "document: must be a mapping with the keys entitlements, paywalls, provider_costs, tenant"
    ]


def test_namesakes_are_faults() -> None:
    twice = document()["paywalls"] * 2
    assert faults(paywalls=twice) == ["paywalls[1].name: is already taken by paywalls[0]"]
    providers = document()["paywalls"][0]["providers"] * 2
    assert faults(**{"paywalls.0.providers": providers}) == [
        "paywalls[0].providers[2].name: is already taken by paywalls[0].providers[0]",
        "paywalls[0].providers[3].name: is already taken by paywalls[0].providers[1]",
    ]
    models = document()["paywalls"][0]["models"] * 2
    assert faults(**{"paywalls.0.models": models}) == [
        "paywalls[0].models[2].id: is already taken by paywalls[0].models[0]",
        "paywalls[0].models[3].id: is already taken by paywalls[0].models[1]",
    ]


def test_all_faults_are_told_at_once_those_against_the_database_too() -> None:
    apply()
    assert faults(
        **{
            "tenant.name": "",
            "paywalls.0.trial_credit": "much",
            "paywalls.0.providers.1.base_url": "sandbox",
            "paywalls.0.models.0.provider": "nobody",
            "paywalls.0.models.1.pricing.prompt": 1,
        }
    ) == [
        "tenant.name: must not be empty",
        f"paywalls[0].trial_credit: {DECIMAL}",
        f"paywalls[0].providers[1].base_url: {ADDRESS}",
        f"paywalls[0].models[1].pricing.prompt: {DECIMAL} (put it in quotes: unquoted, YAML reads it as int)",
        'paywalls[0].models[0].provider: "nobody" is no provider of this paywall (it has openai, sandbox)',
    ]


def test_a_late_fault_undoes_what_was_sound() -> None:
    apply()
    faults(
        **{"tenant.name": "Changed", "paywalls.0.trial_credit": "9", "paywalls.0.models.1.provider": "nobody"}
    )
    paywall = Paywall.objects.get()
    assert (paywall.tenant.name, paywall.trial_credit) == ("Acme", 50_000_000)


def test_the_mode_of_a_paywall_is_fixed() -> None:
    tenant = Tenant.objects.create(name="Acme", email="ops@acme.test")
    Paywall.objects.create(tenant=tenant, name="Acme Chat", mode="shared")
    assert faults() == [
        "paywalls[0].mode: can't change after the paywall is made: "
        'it is "shared"; make another paywall instead'
    ]


def test_a_stored_key_is_not_sent_to_another_host() -> None:
    apply()
    moved = {
        "paywalls.0.providers.0.base_url": "https://evil.example/v1",
        "paywalls.0.providers.0.api_key": ...,
    }
    assert faults(**moved) == [
        "paywalls[0].providers[0].api_key: must be given again when base_url moves to another host: "
        "a stored key is only sent to the host that it was given for"
    ]
    apply(**{**moved, "paywalls.0.providers.0.base_url": "https://api.openai.com/v2"})
    apply(**{**moved, "paywalls.0.providers.0.api_key": "sk-theirs"})


def test_a_provider_cannot_become_the_sandbox_under_models_that_it_does_not_know() -> None:
    apply()
    assert faults(
        **{
            "paywalls.0.providers.0.base_url": "sandbox://",
            "paywalls.0.providers.0.api_key": "",
            "paywalls.0.models": ...,
        }
    ) == [
        "paywalls[0].providers[0].base_url: "
        "can't become the sandbox, which doesn't know the upstream_model of openai/gpt-4o-mini; "
        "make another provider for the sandbox"
    ]


def test_a_faulty_provider_is_told_once_not_again_at_its_models() -> None:
    assert faults(**{"paywalls.0.providers.0.base_url": "x"}) == [
        f"paywalls[0].providers[0].base_url: {ADDRESS}"
    ]


# --- The text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\na: 2\n", 'line 2, column 1: the key "a" is given twice'),
        ("{a: {b: 1, b: 2}}", 'line 1, column 12: the key "b" is given twice'),
        ("a: [", "line 1, column 5: expected the node content, but found '<stream end>'"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("--- 1\n--- 2\n", "but found another document"),
        (b"\xff\xfe\xfa", "document: is no readable YAML (truncated data)"),
        ("a: \x00", "document: is no readable YAML (special characters are not allowed)"),
        ("{[1]: 2}", "line 1, column 2: found unhashable key"),
    ],
)
def test_a_text_that_is_no_document(text: str | bytes, fault: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        load(text)
    assert fault in caught.value.faults[0]
    assert len(caught.value.faults) == 1


def test_anchors_and_merges_work() -> None:
    text = """
    base: &base {a: "1", b: "2"}
    made: {<<: *base, b: "3"}
    """
    assert load(text)["made"] == {"a": "1", "b": "3"}


def test_a_secret_in_a_broken_line_is_not_repeated() -> None:
    with pytest.raises(InvalidDocument) as caught:
        load('api_key: "hunter2\n')
    assert "hunter2" not in str(caught.value)


# --- The command -------------------------------------------------------------------------------------------


def test_the_command_prints_each_new_key_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "acme.yaml"
    file.write_text(ACME)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-secret")

    first, second = io.StringIO(), io.StringIO()
    call_command("apply", str(file), stdout=first)
    call_command("apply", str(file), stdout=second)

    answer = json.loads(first.getvalue())
    assert answer["paywalls"][0]["key"].startswith("sk-paywalls-")
    answer["paywalls"][0]["key"] = None
    assert json.loads(second.getvalue()) == answer


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"can't read .*: No such file or directory"):
        call_command("apply", str(tmp_path / "nothing.yaml"))


def test_standard_output_is_json_alone_and_faults_go_to_standard_error() -> None:
    """A real process, as a deployment script runs it, with the document on standard input."""
    name = f"tollgate_apply_{os.getpid()}"
    databases.create(name, databases.migrated())
    try:
        good = _manage(name, ACME)
        assert good.returncode == 0, good.stderr
        assert json.loads(good.stdout)["paywalls"][0]["name"] == "Acme Chat"

        bad = _manage(name, ACME.replace('"0.15"', "0.15").replace("ops@", ""))
        assert (bad.returncode, bad.stdout) == (1, "")
        assert "\npaywalls[0].models[0].pricing.prompt: must be a decimal string" in bad.stderr
        assert "\ntenant.email: must be an email address" in bad.stderr
        assert "Traceback" not in bad.stderr
    finally:
        databases.drop(name)


def _manage(database: str, text: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": databases.url_of(database),
        "OPENAI_API_KEY": "sk-openai-secret",
    }
    return subprocess.run(
        [sys.executable, "manage.py", "apply", "-"],
        cwd=ROOT,
        env=env,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


# --- The documentation --------------------------------------------------------------------------------------


def test_the_documented_example_applies() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    example = text.split("```yaml\n")[1].split("```")[0]
    assert apply_document(load(example), ENVIRON)["paywalls"][0]["name"] == "Acme Chat"


@pytest.mark.parametrize("keys_of", ["_TENANT", "_PAYWALL", "_PROVIDER", "_MODEL"])
def test_every_key_is_documented(keys_of: str) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert [key for key in getattr(configuration, keys_of) if f"\n| `{key}` |" not in text] == []


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("`pricing`, `cost`", prices.PRICING),
        ("`tiers[]`", prices.TIER),
        ("`limits` of a paywall", limits.PAYWALL),
        ("`playground`", playground.KEYS),
        ("`playground.visitor`, `playground.link`", playground.EACH),
        *((f"`{part.key}[]`", part.entry_keys) for part in parts.registered()),
    ],
)
def test_every_key_is_documented_in_its_table(heading: str, keys: set[str]) -> None:
    table = (ROOT / "docs" / "configuration.md").read_text().split(f"\n| {heading} | |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == keys
