"""A paywall's config_version moves with every change of what the gateway caches, whoever writes it."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection

from config.money import NANO
from paywalls import keys, services
from paywalls.models import EndUser, Paywall, PaywallKey, PaywallModel, Provider, Route
from tests.factories import make_model, make_paywall, make_provider, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def paywall() -> Paywall:
    """A paywall with one key, one provider, one model, and one user with a limit of their own."""
    made = make_paywall()
    make_model(made, make_provider(made))
    keys.issue_key(made)
    make_limited(made, "limited")
    return made


def make_limited(paywall: Paywall, external_id: str = "bob") -> EndUser:
    return EndUser.objects.create(paywall=paywall, external_id=external_id, tokens_per_minute=9)


def version(paywall: Paywall) -> int:
    return Paywall.objects.values_list("config_version", flat=True).get(pk=paywall.pk)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


CHANGES: dict[str, Callable[[Paywall], object]] = {
    "a setting": lambda p: services.update_paywall(p, markup_percent=Decimal(20)),
    "a price": lambda p: services.update_model(p.models.get(), prompt_price=5 * NANO),
    "a provider's address": lambda p: services.update_provider(
        p.providers.get(), base_url="https://x.example"
    ),
    "a provider's key": lambda p: services.update_provider(p.providers.get(), api_key="sk-new"),
    "a new provider": make_provider,
    "a new model": lambda p: make_model(p, p.providers.get(), model_id="another"),
    "a new key": keys.issue_key,
    "a revoked key": lambda p: keys.revoke_key(p.keys.get()),
    "a rotated key": lambda p: keys.rotate_key(
        p.keys.get(), actor_type="operator", actor_id="root", overlap_seconds=60
    ),
    "a route": lambda p: Route.objects.create(
        model=p.models.get(), provider=p.providers.get(), upstream_model="slow"
    ),
    "psql on a route": lambda p: (
        Route.objects.create(model=p.models.get(), provider=p.providers.get(), upstream_model="slow"),
        execute("UPDATE paywalls_route SET weight = 2"),
    ),
    "a deleted model": lambda p: p.models.get().delete(),
    "a deleted key": lambda p: p.keys.get().delete(),
    "the ORM's update": lambda p: PaywallModel.objects.update(completion_price=1),
    "the ORM's bulk_update": lambda p: PaywallModel.objects.bulk_update(
        [PaywallModel(pk=p.models.get().pk, prompt_price=1)], ["prompt_price"]
    ),
    "the ORM's bulk_create": lambda p: Provider.objects.bulk_create(
        [Provider(paywall=p, name="bulk", base_url="sandbox://")]
    ),
    "the ORM's delete": lambda p: PaywallKey.objects.all().delete(),
    "psql on the paywall": lambda p: execute("UPDATE paywalls_paywall SET trial_credit = 1"),
    "psql on a model": lambda p: execute("UPDATE paywalls_paywallmodel SET prompt_price = 1"),
    "psql on a provider": lambda p: execute("UPDATE paywalls_provider SET base_url = 'https://x.example'"),
    "psql on a key": lambda p: execute("UPDATE paywalls_paywallkey SET revoked_at = now()"),
    "a user's own limit": lambda p: make_limited(p),
    "a user's limit that changes": lambda p: EndUser.objects.update(requests_per_minute=3),
    "a user's limit that goes": lambda p: EndUser.objects.update(tokens_per_minute=None),
    "the models that a user may ask": lambda p: EndUser.objects.update(allowed_models=["a"]),
    "a limited user who is deleted": lambda p: p.users.get().delete(),
    "psql's delete": lambda p: execute("DELETE FROM paywalls_paywallmodel"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_moves_with(change: str, paywall: Paywall) -> None:
    before = version(paywall)
    CHANGES[change](paywall)
    assert version(paywall) > before


def test_another_paywalls_change_does_not_move_it(paywall: Paywall) -> None:
    before = version(paywall)
    make_model()
    assert version(paywall) == before


def test_a_model_that_moves_to_another_paywall_moves_both(paywall: Paywall) -> None:
    other = make_paywall()
    before = version(paywall), version(other)
    execute(f"UPDATE paywalls_paywallmodel SET paywall_id = '{other.pk}'")
    assert (version(paywall) > before[0], version(other) > before[1]) == (True, True)


def test_an_end_user_does_not_move_it(paywall: Paywall) -> None:
    """Users come with traffic: if they moved it, no snapshot would live for long."""
    before = version(paywall)
    user = make_user(paywall)
    EndUser.objects.filter(pk=user.pk).update(external_id="renamed", tokens_per_minute=None)
    user.delete()
    assert version(paywall) == before


def test_an_update_to_the_same_values_writes_nothing(paywall: Paywall) -> None:
    before = version(paywall)
    model, provider = paywall.models.get(), paywall.providers.get()
    assert services.update_paywall(paywall, name=paywall.name, markup_percent=Decimal("0.0")) is False
    assert services.update_model(model, prompt_price=model.prompt_price, model_id=model.model_id) is False
    assert services.update_provider(provider, name=provider.name, base_url="sandbox://", api_key="") is False
    assert version(paywall) == before


def test_it_cannot_be_set_back(paywall: Paywall) -> None:
    before = version(paywall)
    Paywall.objects.update(config_version=1)
    assert version(paywall) == before + 1
