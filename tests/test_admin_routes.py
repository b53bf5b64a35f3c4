"""A model's further routes on the operators' site: added, changed and removed, priced, audited, losses told."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from config.money import NANO
from paywalls.models import AuditEntry, Membership, Paywall, PaywallModel, Provider, Route
from paywalls.roles import Role
from tests.factories import make_model, make_paywall, make_provider, make_route

pytestmark = pytest.mark.django_db

LIST = reverse("admin:paywalls_route_changelist")
ADD = reverse("admin:paywalls_route_add")


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def model() -> PaywallModel:
    """`mini` at $1 and $2 from OpenAI's address."""
    provider = make_provider(make_paywall(name="Chat"), name="first", base_url="https://first.test/v1")
    return make_model(provider=provider, model_id="mini", upstream_model="up")


@pytest.fixture
def spare(model: PaywallModel) -> Provider:
    return make_provider(model.paywall, name="spare", base_url="https://api.openai.com/v1")


def form(model: PaywallModel, provider: Provider, **changes: Any) -> dict[str, Any]:
    asked = {"model": model.pk, "provider": provider.pk, "upstream_model": "gpt-4o-mini"}
    return {**asked, "priority": "1", "weight": "1", **changes}


def change(route: Route) -> str:
    return reverse("admin:paywalls_route_change", args=[route.pk])


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {field: list(faults) for field, faults in response.context["adminform"].form.errors.items()}


def shown(client: Client, route: Route) -> dict[str, Any]:
    """What the page's form would send as it stands."""
    fields = client.get(change(route)).context["adminform"].form
    return {field.html_name: "" if field.value() is None else field.value() for field in fields}


def test_a_route_is_added_from_its_models_page(root: Client, model: PaywallModel, spare: Provider) -> None:
    address = reverse("admin:paywalls_paywallmodel_add_route", args=[model.pk])
    leads_to = root.get(address)["Location"]
    assert leads_to == f"{ADD}?model={model.pk}"
    others = make_provider(name="elsewhere")
    page = root.get(leads_to).content.decode()
    assert "spare (Chat)" in page
    assert others.name not in page
    assert root.post(ADD, form(model, spare, priority="3", weight="7")).status_code == 302
    route = Route.objects.get()
    assert (route.priority, route.weight, route.upstream_model) == (3, 7, "gpt-4o-mini")
    assert (route.price, route.cost, route.cost_source) == (None, None, "")
    on_page = root.get(reverse("admin:paywalls_paywallmodel_change", args=[model.pk])).content.decode()
    assert change(route) in on_page


def test_a_price_and_a_cost_of_its_own_are_stored_and_shown_in_dollars(
    root: Client, model: PaywallModel, spare: Provider
) -> None:
    tiers = '- {above: 200000, prompt: "6", completion: "22.5"}'
    price = {"prompt_price": "3", "completion_price": "15", "image_price": "0.004", "tiers": tiers}
    cost = {"prompt_cost": "2", "completion_cost": "10", "cache_read_cost": "0"}
    root.post(ADD, form(model, spare, **price, **cost))
    route = Route.objects.get()
    tier = {"above": 200_000, "prompt": 6 * NANO, "completion": 22_500_000_000}
    assert route.price == {
        "prompt": 3 * NANO,
        "completion": 15 * NANO,
        "image": 4_000_000,
        "tiers": [tier],
    }
    assert route.cost == {"prompt": 2 * NANO, "completion": 10 * NANO, "cache_read": 0}
    assert route.cost_source == "operator"
    page = shown(root, route)
    assert (page["prompt_price"], page["cache_read_cost"], page["request_price"]) == ("3", "0", "")
    assert 'value="0.004"' in root.get(change(route)).content.decode()


def test_saving_what_the_page_shows_changes_nothing(
    root: Client, model: PaywallModel, spare: Provider
) -> None:
    cost = {"prompt": 1, "completion": 2, "request": 0, "tiers": [{"above": 5, "prompt": 2, "completion": 3}]}
    route = make_route(model, spare, cost=cost, cost_source="genai-prices")
    page = root.get(change(route)).content.decode()
    assert "genai-prices" in page
    version = Paywall.objects.get().config_version
    values = shown(root, route)
    assert root.post(change(route), values).status_code == 302
    route.refresh_from_db()
    assert (route.cost, route.cost_source) == (cost, "genai-prices")
    assert Paywall.objects.get().config_version == version
    root.post(change(route), {**values, "prompt_cost": "0.5"})
    route.refresh_from_db()
    assert (route.cost["prompt"], route.cost_source) == (NANO // 2, "operator")
    emptied = dict.fromkeys(("prompt_cost", "completion_cost", "request_cost", "cost_tiers"), "")
    root.post(change(route), {**values, **emptied})
    route.refresh_from_db()
    assert (route.cost, route.cost_source) == (None, "")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"prompt_price": "3"},
            {"completion_price": ["This must be given where another part of the price is."]},
        ),
        ({"request_cost": "0"}, {"prompt_cost": ["This must be given where another part of the cost is."]}),
        (
            {"prompt_price": "0", "completion_price": "0"},
            {"prompt_price": ["This must not be zero in every part."]},
        ),
        ({"prompt_cost": "-1", "completion_cost": "1"}, {"prompt_cost": None}),
        ({"weight": "0"}, {"weight": ["This must be a whole number from 1 to 1000."]}),
        ({"upstream_model": ""}, {"upstream_model": ["This field is required."]}),
    ],
)
def test_a_route_that_is_refused(
    root: Client, model: PaywallModel, spare: Provider, changes: dict[str, str], fault: dict[str, Any]
) -> None:
    told = errors(root.post(ADD, form(model, spare, **changes)))
    assert told.keys() == fault.keys()
    assert all(faults is None or told[field] == faults for field, faults in fault.items())
    assert not Route.objects.exists()


def test_it_is_no_twin_and_of_the_same_paywall(root: Client, model: PaywallModel, spare: Provider) -> None:
    twin = form(model, model.provider, upstream_model=model.upstream_model)
    assert errors(root.post(ADD, twin)) == {"upstream_model": ["This is another route of this model."]}
    elsewhere = form(model, make_provider(base_url="https://else.test/v1"))
    assert errors(root.post(ADD, elsewhere)) == {"provider": ["This must be a provider of the same paywall."]}


def test_a_route_is_changed_and_removed_and_each_is_in_the_audit_log(
    root: Client, model: PaywallModel, spare: Provider
) -> None:
    root.post(ADD, form(model, spare))
    route = Route.objects.get()
    root.post(change(route), {**shown(root, route), "weight": "5"})
    route.refresh_from_db()
    assert route.weight == 5
    deleted = root.post(reverse("admin:paywalls_route_delete", args=[route.pk]), {"post": "yes"})
    assert deleted.status_code == 302
    assert not Route.objects.exists()
    log = AuditEntry.objects.filter(subject_type="paywalls_route").order_by("pk")
    assert [(entry.action, entry.actor) for entry in log] == [
        ("insert", "root"),
        ("update", "root"),
        ("delete", "root"),
    ]
    assert log[1].after == {"weight": 5}
    assert log[0].tenant_id == model.paywall.tenant_id


def test_several_are_removed_from_the_list(root: Client, model: PaywallModel, spare: Provider) -> None:
    chosen = [make_route(model, spare, upstream_model=name).pk for name in ("a", "b")]
    stays = make_route(model, spare, upstream_model="c")
    root.post(LIST, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert list(Route.objects.all()) == [stays]


def test_a_loss_is_told_when_it_is_saved_and_shown_in_the_list(
    root: Client, model: PaywallModel, spare: Provider
) -> None:
    answer = root.post(ADD, form(model, spare, prompt_cost="4", completion_cost="1"))
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    assert "mini: prompt by spare (gpt-4o-mini) is sold at $1 and costs $4." in told
    assert "below cost" in root.get(LIST).content.decode()
    models = root.get(reverse("admin:paywalls_paywallmodel_changelist")).content.decode()
    assert "below cost" in models


def test_costs_are_looked_up_from_the_list(root: Client, model: PaywallModel, spare: Provider) -> None:
    known = make_route(model, spare, upstream_model="gpt-4o-mini")
    typed = make_route(model, spare, upstream_model="gpt-4o", cost={"prompt": 1, "completion": 1})
    chosen = [known.pk, typed.pk]
    answer = root.post(LIST, {"action": "look_up", "_selected_action": chosen})
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    assert any(line.endswith("kept: an operator typed it.") for line in told)
    known.refresh_from_db()
    assert (known.cost_source, known.cost["prompt"]) == ("genai-prices", 150_000_000)


def test_nobody_adds_a_route_to_another_tenants_model(
    client: Client, model: PaywallModel, spare: Provider
) -> None:
    mine = make_model(make_paywall(name="Mine"))
    user = User.objects.create(username="stranger", is_staff=True)
    Membership.objects.create(user=user, tenant=mine.paywall.tenant, role=Role.OWNER)
    client.force_login(user)
    told = errors(client.post(ADD, form(model, spare)))
    assert told.keys() == {"model", "provider"}
    assert client.get(ADD, {"model": model.pk}).context["adminform"].form.initial.get("model") is None
    assert "Chat" not in client.get(ADD).content.decode()
    finance = User.objects.create(username="reader", is_staff=True)
    Membership.objects.create(user=finance, tenant=model.paywall.tenant, role=Role.READ_ONLY)
    client.force_login(finance)
    assert client.post(ADD, form(model, spare)).status_code == 403
