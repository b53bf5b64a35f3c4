"""What a document says for the metering API: entitlements, and what providers charge."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ledger.models import Entitlement
from ledger.rating import catalogue
from paywalls.configuration import InvalidDocument, apply_document
from paywalls.models import ProviderCost, Tenant

pytestmark = pytest.mark.django_db

CHAT = {"feature_id": "chat", "limit_type": "HARD", "limit_value": 100, "period": "DAILY"}
SONIC = {"provider": "OPENAI", "model": "sonic", "prompt": "2.5", "completion": "10"}


def apply(**lists: Any) -> Tenant:
    apply_document({"tenant": {"name": "Acme", "email": "ops@acme.test"}, **lists}, {})
    return Tenant.objects.get()


def faults(**lists: Any) -> list[str]:
    """What is wrong with a document; also proves that nothing of it was written."""
    with pytest.raises(InvalidDocument) as caught:
        apply(**lists)
    assert not Tenant.objects.exists()
    return caught.value.faults


def limits() -> set[tuple[Any, ...]]:
    return set(
        Entitlement.objects.values_list("feature_id", "user_id", "limit_type", "limit_value", "period")
    )


def test_entitlements_are_made_for_everybody_and_for_one_user() -> None:
    tenant = apply(entitlements=[CHAT, {"feature_id": "chat", "user_id": "alice", "limit_type": "NONE"}])
    assert set(tenant.entitlements.all()) == set(Entitlement.objects.all())
    assert limits() == {("chat", "", "HARD", 100, "DAILY"), ("chat", "alice", "NONE", None, "TOTAL")}


def test_an_entitlement_that_differs_is_changed_and_keeps_its_metadata_and_one_not_listed_stays() -> None:
    apply(entitlements=[CHAT, {**CHAT, "feature_id": "search"}])
    Entitlement.objects.filter(feature_id="chat").update(metadata={"plan": "gold"})
    kept = Entitlement.objects.get(feature_id="chat").pk
    apply(entitlements=[{**CHAT, "limit_value": 5, "limit_type": "SOFT"}])
    assert limits() == {("chat", "", "SOFT", 5, "DAILY"), ("search", "", "HARD", 100, "DAILY")}
    assert Entitlement.objects.get(pk=kept).metadata == {"plan": "gold"}


def test_the_cost_of_a_model_goes_before_the_shipped_one() -> None:
    apply(provider_costs=[{**SONIC, "cache_read": "0.25", "image": "0.01", "unit": "0.006"}])
    row = ProviderCost.objects.get()
    assert (row.provider, row.model, row.prompt_cost, row.cache_read_cost) == (
        "OPENAI",
        "sonic",
        2_500_000_000,
        250_000_000,
    )
    assert (row.cache_write_cost, row.request_cost, row.unit_cost) == (None, 0, 6_000_000)
    assert ("OPENAI", "sonic", "operator") in {(p, m, source) for p, m, _, source in catalogue.all_known()}
    apply(provider_costs=[{**SONIC, "prompt": "3"}])
    row.refresh_from_db()
    assert (row.prompt_cost, row.cache_read_cost, row.image_cost) == (3_000_000_000, None, 0)


def test_applying_them_again_writes_nothing() -> None:
    lists = {"entitlements": [CHAT], "provider_costs": [SONIC]}
    apply(**lists)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        apply(**lists)
    assert not [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({**CHAT, "limit_value": None}, "limit_value: must be a whole number of uses, without quotes"),
        ({**CHAT, "limit_value": "5"}, "limit_value: must be a whole number of uses, without quotes"),
        ({**CHAT, "limit_value": -1}, "limit_value: must be between 0 and 1000000000000000"),
        ({"feature_id": "chat", "limit_type": "SOFT"}, "limit_value: a SOFT limit needs a number of uses"),
        ({**CHAT, "limit_type": "hard"}, "limit_type: must be one of HARD, SOFT, NONE"),
        ({**CHAT, "period": "WEEKLY"}, "period: must be one of DAILY, MONTHLY, TOTAL"),
        ({**CHAT, "feature_id": ""}, "feature_id: must not be empty"),
        ({**CHAT, "user_id": ""}, "user_id: must not be empty"),
        ({"limit_type": "NONE"}, "feature_id: is required"),
    ],
)
def test_a_faulty_entitlement_is_named_by_its_path(entry: dict[str, Any], expected: str) -> None:
    assert faults(entitlements=[entry]) == [f"entitlements[0].{expected}"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            {**SONIC, "provider": "openai"},
            ".provider: must be one of OPENAI, ANTHROPIC, GOOGLE, COHERE, MISTRAL",
        ),
        ({"provider": "OPENAI", "model": "sonic", "prompt": "1"}, ".completion: is required"),
        ({**SONIC, "units": "1"}, ': unknown key "units": did you mean "unit"?'),
    ],
)
def test_a_faulty_cost_is_named_by_its_path(entry: dict[str, Any], expected: str) -> None:
    assert faults(provider_costs=[entry]) == [f"provider_costs[0]{expected}"]


def test_no_two_entries_are_about_the_same() -> None:
    other_user = {**CHAT, "user_id": "alice"}
    assert faults(
        entitlements=[CHAT, other_user, {**CHAT, "limit_value": 1}], provider_costs=[SONIC, SONIC]
    ) == [
        "entitlements[2].feature_id: is already taken by entitlements[0]",
        "provider_costs[1].model: is already taken by provider_costs[0]",
    ]
