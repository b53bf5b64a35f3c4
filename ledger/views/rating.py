"""What usage would cost, and the catalogue that says so."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from config.openapi import tenant_errors
from ledger.rating import catalogue, credits, quotes
from ledger.rating.rating import Rated
from ledger.serializers.rating import (
    BulkAnswer,
    Calculated,
    Calculation,
    Calculations,
    PricingAnswer,
)
from ledger.views.tenant import CreditView
from paywalls.models import Scope

TAGS = ["Rating"]


class RatingView(CreditView):
    """What the endpoints share: asking for a price only reads."""

    audited = False

    scopes = {"POST": Scope.READ}

    def rated(self, asked: Sequence[dict[str, Any]]) -> list[Rated]:
        return quotes.quote(self.tenant, [_question(one) for one in asked], timezone.now())

    def told(self, rated: Rated) -> dict[str, Any]:
        rate = self.tenant.credits_per_usd
        return {
            "cost": credits.of(rated.cost or 0, 1),
            "currency": "USD",
            "credits": credits.of(rated.amount or 0, rate),
        }


class CalculateView(RatingView):
    @extend_schema(
        operation_id="calculateCost",
        summary="What some tokens cost and burn",
        tags=TAGS,
        request=Calculation,
        responses={200: OpenApiResponse(Calculated, "Exact numbers."), **tenant_errors(404, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        """As an event of this moment would be rated: by the burn table in force, else by the provider's cost. The cost
        is 0 where only a burn table knows the model."""
        asked = self.read(Calculation)
        [rated] = self.rated([asked])
        if rated.amount is None:
            raise NotFound(f"model: nobody knows what {asked['model']} of {asked['provider']} costs.")
        return Response(self.told(rated))


class BulkView(RatingView):
    @extend_schema(
        operation_id="calculateCosts",
        summary="What up to a hundred calls cost and burn",
        tags=TAGS,
        request=Calculations,
        responses={200: OpenApiResponse(BulkAnswer, "In the order asked."), **tenant_errors(413, 415)},
    )
    def post(self, request: Request) -> Response:
        asked = self.read(Calculations)["calculations"]
        rated = self.rated(asked)
        results = [
            {**one, **(self.told(price) if price.amount is not None else _UNKNOWN), "error": _error(price)}
            for one, price in zip(asked, rated, strict=True)
        ]
        cost = sum(price.cost or 0 for price in rated)
        burned = sum(price.amount or 0 for price in rated)
        return Response(
            {
                "customerId": str(self.tenant.pk),
                "results": results,
                "total": len(results),
                "totalCost": credits.of(cost, 1),
                "totalCredits": credits.of(burned, self.tenant.credits_per_usd),
            }
        )


class PricingView(RatingView):
    @extend_schema(
        operation_id="listProviderCosts",
        summary="What providers charge for their models",
        tags=TAGS,
        responses={200: OpenApiResponse(PricingAnswer, "The whole catalogue."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        """As the installation's operator says, else as the package genai-prices has it."""
        listed = [
            {
                "provider": provider,
                "model": model,
                "inputCost": credits.of(card.price.prompt, 1),
                "outputCost": credits.of(card.price.completion, 1),
                "cacheReadCost": credits.of(card.price.read, 1),
                "cacheWriteCost": credits.of(card.price.write, 1),
                "requestCost": credits.of(card.price.request, 1),
                "imageCost": credits.of(card.price.image, 1),
                "unitCost": credits.of(card.unit, 1),
                "currency": "USD",
                "costSource": source,
            }
            for provider, model, card, source in catalogue.all_known()
        ]
        return Response({"data": listed, "total": len(listed)})


_UNKNOWN = {"cost": None, "currency": "USD", "credits": None}


def _error(rated: Rated) -> str | None:
    return "unknown_model" if rated.amount is None else None


def _question(asked: dict[str, Any]) -> quotes.Question:
    return quotes.Question(asked["provider"], asked["model"], asked["inputTokens"], asked["outputTokens"])
