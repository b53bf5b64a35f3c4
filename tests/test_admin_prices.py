"""Prices on the operators' site: every part in dollars, zero confirmed, losses seen, costs looked up."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from config.money import NANO
from paywalls.models import Membership, PaywallModel, Provider
from paywalls.roles import Role
from tests.factories import make_model, make_paywall, make_provider

pytestmark = pytest.mark.django_db

TIERS = '- {above: 200000, prompt: "6", completion: "22.5", cache_read: "0.6"}'
STORED = [
    {"above": 200_000, "prompt": 6 * NANO, "completion": 22_500_000_000, "cache_read": 600_000_000},
]
LIST = reverse("admin:paywalls_paywallmodel_changelist")
ADD = reverse("admin:paywalls_paywallmodel_add")
# What a browser sends along for the list on the page.
NO_ROUTES = {"routes-TOTAL_FORMS": "0", "routes-INITIAL_FORMS": "0"}


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def seller() -> Provider:
    return make_provider(make_paywall(name="Chat"), name="openai", base_url="https://api.openai.com/v1")


def form(seller: Provider, **changes: str) -> dict[str, Any]:
    return {
        "paywall": seller.paywall.pk,
        "provider": seller.pk,
        "model_id": "mini",
        "upstream_model": "gpt-4o-mini",
        "prompt_price": "3",
        "completion_price": "15",
        "request_price": "0",
        "minimum_price": "0",
        "max_output_tokens": "4096",
        "priority": "0",
        "weight": "1",
        **NO_ROUTES,
        **changes,
    }


def change(model: PaywallModel) -> str:
    return reverse("admin:paywalls_paywallmodel_change", args=[model.pk])


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {field: list(faults) for field, faults in response.context["adminform"].form.errors.items()}


def told(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_every_part_is_stored_in_nano_dollars_and_shown_in_dollars(root: Client, seller: Provider) -> None:
    parts = {"cache_read_price": "0.3", "cache_write_price": "$3.75", "image_price": "0.004", "tiers": TIERS}
    costs = {"prompt_cost": "2", "completion_cost": "10", "cache_read_cost": "0", "cost_tiers": TIERS}
    assert root.post(ADD, form(seller, **parts, **costs)).status_code == 302
    model = PaywallModel.objects.get()
    assert (model.cache_read_price, model.cache_write_price) == (300_000_000, 3_750_000_000)
    assert (model.image_price, model.tiers) == (4_000_000, STORED)
    assert (model.prompt_cost, model.cache_read_cost, model.cache_write_cost) == (2 * NANO, 0, None)
    assert (model.request_cost, model.cost_tiers, model.cost_source) == (0, STORED, "operator")

    html = root.get(change(model)).content.decode()
    assert len(re.findall(r"<textarea[^>]*>\s*- {above: 200000, prompt: &quot;6&quot;,", html)) == 2
    assert re.search(r'name="cache_read_price"[^>]*value="0.3"|value="0.3"[^>]*name="cache_read_price"', html)


def test_saving_what_the_page_shows_changes_nothing(root: Client, seller: Provider) -> None:
    parts = {"tiers": TIERS, "prompt_cost": "2", "completion_cost": "10", "cost_tiers": TIERS}
    root.post(ADD, form(seller, **parts))
    PaywallModel.objects.update(cost_source="genai-prices")
    model = PaywallModel.objects.get()
    seller.paywall.refresh_from_db()
    version = seller.paywall.config_version
    shown = root.get(change(model)).context["adminform"].form
    values = {field.html_name: field.value() for field in shown}
    posted = {name: value for name, value in values.items() if value is not None and value is not False}
    assert root.post(change(model), {**posted, **NO_ROUTES}).status_code == 302
    seller.paywall.refresh_from_db()
    assert seller.paywall.config_version == version
    assert PaywallModel.objects.get().cost_source == "genai-prices"


def test_emptied_costs_are_unknown_again(root: Client, seller: Provider) -> None:
    root.post(ADD, form(seller, prompt_cost="2", completion_cost="10"))
    model = PaywallModel.objects.get()
    assert root.post(change(model), form(seller)).status_code == 302
    model.refresh_from_db()
    assert (model.cost(), model.cost_source) == (None, "")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"prompt_price": "0", "completion_price": "0"},
            {"free": ["This must be set to true where every price is zero, to confirm it."]},
        ),
        ({"free": "on"}, {"free": ["This must not be set for a model that has a price."]}),
        (
            {"cache_read_price": "-1"},
            {"cache_read_price": ['This must be a decimal string of US dollars such as "0.25".']},
        ),
        (
            {"image_price": "NaN"},
            {"image_price": ['This must be a decimal string of US dollars such as "0.25".']},
        ),
        (
            {"tiers": '- {above: 5, prompt: "-1", completion: "2"}'},
            {"tiers": ['tiers[0].prompt: must be a decimal string of US dollars such as "0.25"']},
        ),
        ({"tiers": "nonsense"}, {"tiers": ["tiers: must be a list (write [] for none)"]}),
        ({"tiers": "- {above"}, {"tiers": ["line 1, column 9: expected ',' or '}', but got '<stream end>'"]}),
        ({"tiers": '- {above: 5, prompt: "${HOME}", completion: "2"}'}, None),
        (
            {"prompt_cost": "2"},
            {"completion_cost": ["This must be given where another part of the cost is given."]},
        ),
    ],
)
def test_a_price_that_is_refused(
    changes: dict[str, str], fault: dict[str, list[str]] | None, root: Client, seller: Provider
) -> None:
    found = errors(root.post(ADD, form(seller, **changes)))
    assert found == fault if fault else found
    assert not PaywallModel.objects.exists()


def test_zero_is_a_price_where_it_is_confirmed(root: Client, seller: Provider) -> None:
    free = form(seller, prompt_price="0", completion_price="0", free="on")
    assert root.post(ADD, free).status_code == 302
    assert PaywallModel.objects.get().free


def test_a_loss_is_told_when_it_is_saved_and_shown_in_the_list(root: Client, seller: Provider) -> None:
    saved = root.post(ADD, form(seller, prompt_cost="3", completion_cost="15.01"))
    assert "mini: completion is sold at $15 and costs $15.01." in told(saved)
    make_model(seller.paywall, seller, model_id="good", prompt_cost=1, completion_cost=1)
    make_model(seller.paywall, seller, model_id="unknown")
    html = root.get(LIST).content.decode()
    assert [html.count(badge) for badge in ("below cost", "above cost", "cost unknown")] == [1, 1, 1]


def look_up(client: Client, *models: PaywallModel) -> Any:
    return client.post(LIST, {"action": "look_up", "_selected_action": [model.pk for model in models]})


def test_costs_are_looked_up_from_the_list(root: Client, seller: Provider) -> None:
    settings = {"prompt_price": 1, "upstream_model": "gpt-4o-mini"}
    mini = make_model(seller.paywall, seller, model_id="mini", **settings)
    other = make_model(seller.paywall, seller, model_id="other", upstream_model="nonesuch")
    typed = make_model(seller.paywall, seller, model_id="typed", prompt_cost=1, completion_cost=1, **settings)
    answered = look_up(root, mini, other, typed)
    assert set(told(answered)) >= {
        "mini: changed.",
        "mini: prompt is sold at $0.000000001 and costs $0.15.",
        "other: not found in genai-prices.",
        "typed: kept: an operator typed it.",
    }
    mini.refresh_from_db()
    typed.refresh_from_db()
    assert (mini.prompt_cost, mini.cost_source, typed.prompt_cost) == (150_000_000, "genai-prices", 1)
    assert "Cost looked up" in LogEntry.objects.get().get_change_message()


def test_who_may_only_look_can_not_look_up(client: Client, seller: Provider) -> None:
    viewer = User.objects.create(username="viewer", is_staff=True)
    Membership.objects.create(user=viewer, tenant=seller.paywall.tenant, role=Role.READ_ONLY)
    client.force_login(viewer)
    mini = make_model(seller.paywall, seller, model_id="mini", upstream_model="gpt-4o-mini")
    look_up(client, mini)
    mini.refresh_from_db()
    assert mini.prompt_cost is None


def test_every_part_of_a_price_is_on_the_page() -> None:
    fields = {
        name
        for _, part in admin.site._registry[PaywallModel].fieldsets or ()
        for name in flat(part["fields"])
    }
    names = {field.name for field in PaywallModel._meta.fields}
    assert {name for name in names if re.search("price|cost|tiers|free", name)} <= fields


def flat(fields: Any) -> list[str]:
    return [name for row in fields for name in ([row] if isinstance(row, str) else row)]
