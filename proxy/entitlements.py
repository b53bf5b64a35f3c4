"""`POST /v1/entitlements/check`: may this user use this feature now? It advises; `consume` also counts."""

import asyncio

import orjson
from django.conf import settings

from config.db import in_thread
from config.errors import ApiError, TooManyRequests
from ledger.entitlements import answers, estimates, questions
from ledger.entitlements.facts import Asker
from ledger.entitlements.rules import decide
from paywalls import keys, ratelimit, tenantkeys
from paywalls.errors import MissingScope, MissingTenantKey, UnknownTenantKey
from paywalls.models import Scope, TenantKey
from proxy.gateway import Gateway
from proxy.http import Request, Response


async def check(gateway: Gateway, request: Request, response: Response) -> None:
    """Answer a check. Raises ApiError."""
    plain = keys.presented(request.header("authorization"), request.header("x-api-key"))
    if not plain:
        raise MissingTenantKey
    question = questions.parse(_json(await request.body(settings.MAX_BODY_BYTES)))
    found = await gateway.checks.ask(keys.digest(plain), question)
    if found is None:
        raise UnknownTenantKey
    asker, facts = found
    headers = await _counted(asker)
    if Scope.READ not in asker.scopes:
        raise MissingScope(Scope.READ)
    if not asker.is_noted:
        gateway.spawn(in_thread(_note, asker))
    tables = gateway.burn_tables.cached(asker)
    if tables is None:
        tables = await in_thread(gateway.burn_tables.load, asker)
    estimate = estimates.of(question, tables, asker.override, asker.credits_per_usd)
    verdict = decide(facts, cost=estimate.amount or 0, team_pays=bool(question.team_id))
    told = answers.verdict_json(facts, verdict, estimate, asker.credits_per_usd)
    if verdict.remedy:
        told["actions"] = await in_thread(answers.actions, verdict.remedy, asker.tenant_id, question)
    await response.json(told, headers=headers)


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(f"The request body is not valid JSON: {error}.", code="invalid_json") from None


async def _counted(asker: Asker) -> dict[str, str]:
    """Count the request in its key's minute; what the answer says of it. Raises TooManyRequests."""
    rate = settings.RATE_LIMIT_PER_MINUTE if asker.rate_per_minute is None else asker.rate_per_minute
    if not rate:
        return {}
    caller = f"key:{asker.key_id}"
    # Redis is asked in a thread: the loop is also the gateway's.
    if settings.REDIS_URL:
        window = await asyncio.to_thread(ratelimit.count, caller, rate)
    else:
        window = ratelimit.count(caller, rate)
    if window is None:
        return {}
    if not window.allowed:
        raise TooManyRequests(
            f"More than {rate} requests a minute.",
            retry_after=window.retry_after,
            headers=dict(window.headers),
        )
    return window.headers


def _note(asker: Asker) -> None:
    tenantkeys.note_use(TenantKey.objects.get(pk=asker.key_id))
