"""The table of prices: many models at once, all or none, nobody's change undone by another's page."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from config.money import NANO
from paywalls import services
from paywalls.models import PaywallModel
from tests.factories import make_model, make_paywall, make_provider

pytestmark = pytest.mark.django_db

TABLE = reverse("admin:paywalls_paywallmodel_price_table")


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def models() -> list[PaywallModel]:
    provider = make_provider(make_paywall(name="Chat", markup_percent=Decimal(10)))
    return [
        make_model(
            provider.paywall,
            provider,
            model_id=name,
            prompt_price=3 * NANO,
            completion_price=15 * NANO,
            prompt_cost=2 * NANO,
            completion_cost=10 * NANO,
        )
        for name in ("large", "small")
    ]


def shown(root: Client, **query: str) -> dict[str, str]:
    """The fields of the form as a browser would send them back."""
    html = root.get(TABLE, query).content.decode()
    inputs = re.findall(r"<input[^>]*>", html)
    found = {}
    for tag in inputs:
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and "_" in name[1] and name[1][:8] != "csrfmidd":
            found[name[1]] = value[1] if value else ""
    return found


def field(model: PaywallModel, name: str) -> str:
    return f"{model.pk.hex}-{name}"


def test_many_models_are_priced_at_once_and_logged(root: Client, models: list[PaywallModel]) -> None:
    large, small = models
    form = {**shown(root), field(large, "prompt_price"): "4.5", field(small, "completion_cost"): "11"}
    page = root.post(TABLE, form, follow=True).content.decode()
    assert "2 changed, from the next request on." in page
    for model in models:
        model.refresh_from_db()
    assert (large.prompt_price, large.completion_price) == (4_500_000_000, 15 * NANO)
    assert (small.completion_cost, small.cost_source) == (11 * NANO, "operator")
    told = {entry.object_repr: entry.get_change_message() for entry in LogEntry.objects.all()}
    assert told["large"] == "Changed prompt price from $3 to $4.5."
    assert told["small"] == "Changed completion cost from $10 to $11."


def test_one_fault_keeps_all_as_they_were(root: Client, models: list[PaywallModel]) -> None:
    large, small = models
    form = {**shown(root), field(large, "prompt_price"): "4", field(small, "prompt_price"): "-1"}
    response = root.post(TABLE, form)
    assert response.status_code == 200
    assert "This must be a decimal string" in response.content.decode()
    large.refresh_from_db()
    assert large.prompt_price == 3 * NANO
    assert not LogEntry.objects.exists()


def test_a_page_that_is_older_than_anothers_change_does_not_undo_it(
    root: Client, models: list[PaywallModel]
) -> None:
    large, _ = models
    form = {**shown(root), field(large, "prompt_price"): "4"}
    services.update_model(PaywallModel.objects.get(pk=large.pk), completion_price=20 * NANO)
    root.post(TABLE, form)
    large.refresh_from_db()
    assert (large.prompt_price, large.completion_price) == (4 * NANO, 20 * NANO)


def test_what_is_sold_below_cost_is_told(root: Client, models: list[PaywallModel]) -> None:
    large, _ = models
    page = root.post(TABLE, {**shown(root), field(large, "prompt_price"): "1"}, follow=True).content.decode()
    assert "prompt is sold at $1.1 and costs $2" in page


def test_a_price_of_zero_in_every_part_is_refused(root: Client, models: list[PaywallModel]) -> None:
    large, _ = models
    zero = {field(large, name): "0" for name in ("prompt_price", "completion_price")}
    response = root.post(TABLE, {**shown(root), **zero})
    assert response.status_code == 200
    assert 'role="alert"' in response.content.decode()


def test_models_are_found_and_paywalls_chosen(root: Client, models: list[PaywallModel]) -> None:
    other = make_model(make_paywall(name="Zoo"), model_id="sandbox/zebra")
    chosen: dict[str, Any] = {"paywall": str(other.paywall_id)}
    assert {name.split("-")[-2] for name in shown(root, **chosen)} >= {other.pk.hex}
    assert all(models[1].pk.hex in name for name in shown(root, q="sma"))
