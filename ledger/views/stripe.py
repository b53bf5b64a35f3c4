"""Where Stripe's webhooks come in."""

import logging
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from config import ids
from ledger.payments import incoming

log = logging.getLogger("tollgate.payments")


@csrf_exempt
@require_POST
def webhook(request: HttpRequest, account_id: str) -> HttpResponse:
    """Store a signed event and say so; it is processed by the worker."""
    try:
        new = incoming.receive(
            ids.parse("stripe_account", account_id),
            request.body,
            request.headers.get("Stripe-Signature", ""),
        )
    except (ValueError, incoming.UnknownEndpoint):
        return JsonResponse({"error": "There is no such endpoint."}, status=HTTPStatus.NOT_FOUND)
    except incoming.NotBelieved as refusal:
        log.warning("a Stripe webhook was refused: %s", refusal)
        return JsonResponse({"error": f"This was refused: {refusal}."}, status=HTTPStatus.BAD_REQUEST)
    return JsonResponse({"received": True, "new": new})
