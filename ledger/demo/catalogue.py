"""What the demonstration sells: three paywalls, their models and prices."""

from dataclasses import dataclass
from decimal import Decimal

from config import money
from paywalls import services
from paywalls.models import Paywall, PaywallModel, Tenant
from webhooks import services as webhooks

EMAIL = "demo@northwind.example"


@dataclass(frozen=True, slots=True)
class Sold:
    """A model with prices and costs (US dollars a million tokens), and the share of the requests that ask for it."""

    model_id: str
    prompt: str
    completion: str
    share: int
    prompt_cost: str
    completion_cost: str

    @property
    def provider(self) -> str:
        """Who serves it."""
        return self.model_id.partition("/")[0]


SMALL = Sold("openai/gpt-5-mini", "0.40", "3.00", 50, "0.25", "2.00")
LARGE = Sold("openai/gpt-5", "2.00", "14.00", 20, "1.25", "10.00")
SONNET = Sold("anthropic/claude-sonnet-4-5", "4.00", "20.00", 25, "3.00", "15.00")
HAIKU = Sold("anthropic/claude-haiku-4-5", "1.20", "6.50", 45, "1.00", "5.00")
FLASH = Sold("google/gemini-2.5-flash", "0.40", "3.20", 30, "0.30", "2.50")

PAYWALLS = {
    "Support desk": (SMALL, HAIKU, FLASH),
    "Code review": (SONNET, LARGE, SMALL),
    "Story studio": (LARGE, SONNET, FLASH),
}


def make() -> tuple[Tenant, dict[str, Paywall]]:
    """The tenant and its paywalls with providers, models and a webhook each. No key: nothing here is to be called."""
    tenant = services.create_tenant(name="Northwind AI (demo)", email=EMAIL)
    return tenant, {name: _paywall(tenant, name, sold) for name, sold in PAYWALLS.items()}


def _paywall(tenant: Tenant, name: str, sold: tuple[Sold, ...]) -> Paywall:
    paywall = services.create_paywall(tenant, name=name, markup_percent=Decimal(0))
    providers = {
        provider: services.create_provider(
            paywall, name=provider, base_url=f"https://{provider}.example/v1", api_key="none"
        )
        for provider in dict.fromkeys(model.provider for model in sold)
    }
    for model in sold:
        services.create_model(
            paywall,
            provider=providers[model.provider],
            model_id=model.model_id,
            upstream_model=model.model_id.partition("/")[2],
            prompt_price=money.parse(model.prompt),
            completion_price=money.parse(model.completion),
            prompt_cost=money.parse(model.prompt_cost),
            completion_cost=money.parse(model.completion_cost),
            cost_source=PaywallModel.CostSource.OPERATOR.value,
        )
    slug = name.lower().replace(" ", "-")
    webhooks.create(
        paywall.pk,
        url=f"https://{slug}.northwind.example/hooks/tollgate",
        events=["paywall.usage.charge.created"],
        description="Usage for the data warehouse",
        created_by="demo",
    )
    return paywall
