"""`GET /v1/models`: what a paywall sells, at the prices that end users pay; to one who is named, what they may ask."""

from typing import Any

from paywalls import pricing
from paywalls.identity import MissingUser
from proxy.admission import ModelNotFound
from proxy.callers import checked, presented_key, user_named
from proxy.gateway import Gateway
from proxy.http import Request, Response
from proxy.snapshot import ModelSnapshot


async def list_models(gateway: Gateway, request: Request, response: Response) -> None:
    """Answer the list, in OpenAI's shape."""
    shown = [_shown(model) for model in (await _sold(gateway, request, response)).values()]
    await response.json({"object": "list", "data": shown})


async def show_model(gateway: Gateway, request: Request, response: Response, model_id: str) -> None:
    """Answer one model. Raises ModelNotFound."""
    model = (await _sold(gateway, request, response)).get(model_id)
    if model is None:
        raise ModelNotFound(model_id)
    await response.json(_shown(model))


async def _sold(gateway: Gateway, request: Request, response: Response) -> dict[str, ModelSnapshot]:
    """The models by id: all that are sold, or those that the end user may ask where the request names one."""
    key = presented_key(request)
    snapshot = await gateway.snapshots.refreshed(key, await gateway.snapshots.get(key))
    subject = await checked(request, response, key, snapshot)
    try:
        user = user_named(request, snapshot, subject, request.parameter("user"))
    except MissingUser:
        return snapshot.models
    limits = snapshot.limits_of(user.external_id)
    return {name: model for name, model in snapshot.models.items() if limits.allows(name)}


def _shown(model: ModelSnapshot) -> dict[str, Any]:
    return {
        "id": model.model_id,
        "object": "model",
        "created": model.created,
        "owned_by": model.provider.name,
        "name": model.model_id,
        "display_name": model.display_name,
        "description": model.description,
        "pricing": pricing.selling(model.price),
    }
