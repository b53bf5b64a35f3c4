"""`GET /v1/models`: what a paywall sells, at the prices that end users pay."""

from typing import Any

from paywalls import pricing
from proxy.admission import ModelNotFound
from proxy.call import presented_key
from proxy.gateway import Gateway
from proxy.http import Request, Response
from proxy.snapshot import ModelSnapshot, PaywallSnapshot


async def list_models(gateway: Gateway, request: Request, response: Response) -> None:
    """Answer the list, in OpenAI's shape."""
    snapshot = await _current(gateway, request)
    await response.json({"object": "list", "data": [_shown(model) for model in snapshot.models.values()]})


async def show_model(gateway: Gateway, request: Request, response: Response, model_id: str) -> None:
    """Answer one model. Raises ModelNotFound."""
    snapshot = await _current(gateway, request)
    model = snapshot.models.get(model_id)
    if model is None:
        raise ModelNotFound(model_id)
    await response.json(_shown(model))


async def _current(gateway: Gateway, request: Request) -> PaywallSnapshot:
    key = presented_key(request)
    return await gateway.snapshots.refreshed(key, await gateway.snapshots.get(key))


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
