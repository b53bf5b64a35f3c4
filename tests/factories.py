"""Rows for tests, made as operators make them: `make_paywall(trial_credit=NANO)` names what matters only."""

import itertools
import uuid
from typing import Any

from config.money import NANO
from ledger import services as ledger
from paywalls import connections, routes, services, signin
from paywalls.models import Connection, EndUser, Paywall, PaywallModel, Provider, Route, Tenant, WalletUser
from paywalls.models.catalogue import SANDBOX_URL
from paywalls.users import UserRef

_numbers = itertools.count(1)


def make_tenant(**settings: Any) -> Tenant:
    """A business with an email of its own."""
    number = next(_numbers)
    defaults = {"name": f"Acme {number}", "email": f"ops-{number}@acme.test"}
    return services.create_tenant(**{**defaults, **settings})


def make_paywall(tenant: Tenant | None = None, **settings: Any) -> Paywall:
    """A paywall without trial credit or markup, of a new tenant unless one is given."""
    name = f"Chat {next(_numbers)}"
    return services.create_paywall(tenant or make_tenant(), **{"name": name, **settings})


def make_provider(paywall: Paywall | None = None, **settings: Any) -> Provider:
    """The sandbox as a provider, unless a base_url is given."""
    name = f"provider-{next(_numbers)}"
    return services.create_provider(
        paywall or make_paywall(), **{"name": name, "base_url": SANDBOX_URL, **settings}
    )


def make_model(
    paywall: Paywall | None = None, provider: Provider | None = None, **settings: Any
) -> PaywallModel:
    """`sandbox/echo` at $1 and $2 per million tokens; its provider is made unless one is given."""
    paywall = paywall or (provider.paywall if provider else make_paywall())
    defaults = {
        "model_id": "sandbox/echo",
        "upstream_model": "echo",
        "prompt_price": 1 * NANO,
        "completion_price": 2 * NANO,
    }
    return services.create_model(
        paywall, provider=provider or make_provider(paywall), **{**defaults, **settings}
    )


def make_route(model: PaywallModel, provider: Provider | None = None, **settings: Any) -> Route:
    """A fallback of the model, by another provider unless one is given."""
    provider = provider or make_provider(model.paywall, base_url="https://fallback.test/v1")
    return routes.create_route(model, provider=provider, **{"upstream_model": "spare", **settings})


def make_user(paywall: Paywall | None = None, external_id: str = "alice") -> EndUser:
    """An end user without a wallet, as if an app had named them."""
    return EndUser.objects.create(paywall=paywall or make_paywall(), external_id=external_id)


def make_wallet_user(email: str = "person@home.test", balance: int = 0) -> WalletUser:
    """Somebody with a wallet, in which `balance` nano-dollars were deposited."""
    user = signin.check_code(*_proof(email))
    ledger.ensure_user(signin.wallet_ref(user))
    if balance:
        ledger.deposit(signin.wallet_ref(user), balance, source=f"wallet:{user.pk.hex}")
    return user


def _proof(email: str) -> tuple[uuid.UUID, str]:
    asked = signin.make_code(email, None)
    return asked.id, asked.plain


def make_connection(user: UserRef, wallet_user: WalletUser, month_limit: int | None = None) -> Connection:
    """The end user of a shared paywall, connected to a wallet."""
    token = connections.link_for(user).rpartition("/")[2]
    return connections.approve(connections.open_request(token), wallet_user, month_limit)
