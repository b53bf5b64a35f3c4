"""Entitlements: kept, and used up. The check itself is the gateway's (`proxy/entitlements.py`)."""

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import ApiError, NotFound, Unprocessable
from config.openapi import tenant_errors
from ledger.entitlements import answers, consuming, estimates, questions, services
from ledger.entitlements.rules import Facts, Limit, Verdict
from ledger.models import Entitlement
from ledger.serializers import entitlements as wire
from paywalls.models import Scope
from paywalls.views.base import TenantView

TAGS = ["Entitlements"]


class EntitlementsView(TenantView):
    @extend_schema(
        operation_id="listEntitlements",
        summary="The customer's entitlements",
        tags=TAGS,
        responses={200: OpenApiResponse(wire.EntitlementsAnswer, "By feature and user."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        rows = Entitlement.objects.filter(tenant=self.tenant).order_by("feature_id", "user_id")
        return Response({"data": [wire.entitlement_json(row) for row in rows]})

    @extend_schema(
        operation_id="createEntitlement",
        summary="Limit how often a feature may be used",
        tags=TAGS,
        request=wire.EntitlementRequest,
        responses={
            201: OpenApiResponse(wire.EntitlementAnswer, "In force from now on."),
            **tenant_errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Of one user, or without `userId` of every user who has none of their own, each with their own count. What was
        used so far counts. Windows are UTC days and months; without a period a limit is for good."""
        asked = self.read(wire.EntitlementRequest)
        limit = _limit(asked["limitType"], asked.get("limitValue"), asked.get("period"))
        try:
            made = services.create(
                self.tenant.pk,
                asked["featureId"],
                limit,
                user_id=asked.get("userId", ""),
                metadata=asked.get("metadata", {}),
            )
        except services.EntitlementExists as error:
            raise ApiError(f"featureId: {error}.", code="entitlement_exists", param="featureId") from None
        return Response({"data": wire.entitlement_json(made)}, status=201)


class EntitlementView(TenantView):
    @extend_schema(
        operation_id="updateEntitlement",
        summary="Change a limit",
        tags=TAGS,
        request=wire.LimitPatch,
        responses={
            200: OpenApiResponse(wire.EntitlementAnswer, "In force from now on."),
            **tenant_errors(404, 413, 415),
        },
    )
    def put(self, request: Request, entitlement_id: uuid.UUID) -> Response:
        """What is left out stays as it is."""
        row = self.own(entitlement_id)
        asked = self.read(wire.LimitPatch)
        limit = _limit(
            asked.get("limitType", row.limit_type),
            asked.get("limitValue", row.limit_value),
            asked.get("period", row.period),
        )
        services.change(row, limit, asked.get("metadata", row.metadata))
        return Response({"data": wire.entitlement_json(row)})

    @extend_schema(
        operation_id="deleteEntitlement",
        summary="Remove a limit",
        tags=TAGS,
        responses={
            204: OpenApiResponse(description="It is gone; its uses stay counted."),
            **tenant_errors(404),
        },
    )
    def delete(self, request: Request, entitlement_id: uuid.UUID) -> Response:
        self.own(entitlement_id).delete()
        return Response(status=204)

    def own(self, entitlement_id: uuid.UUID) -> Entitlement:
        """The tenant's entitlement. Raises NotFound."""
        row = Entitlement.objects.filter(tenant=self.tenant, pk=entitlement_id).first()
        if row is None:
            raise NotFound("There is no such entitlement.")
        return row


class ConsumeView(TenantView):
    audited = False

    scopes = {"POST": Scope.INGEST}

    @extend_schema(
        operation_id="consumeEntitlement",
        summary="Check and count a use in one step",
        tags=TAGS,
        request=wire.ConsumeRequest,
        responses={
            200: OpenApiResponse(wire.VerdictJson, "Counted where `allowed`, else nothing was."),
            **tenant_errors(413, 415, 422),
        },
    )
    def post(self, request: Request) -> Response:
        """Decides as `check` does, and counts `units` uses where all of them are allowed: a HARD limit holds whoever
        asks at once. It moves no credits: the event that reports the use does."""
        body: Any = self.request.data
        question = questions.parse(body, needs_action=False)
        asked = self.read(
            wire.UnitsRequest, {name: body[name] for name in ("units", "idempotencyKey") if name in body}
        )
        tenant, units = self.tenant, asked["units"]
        estimate = estimates.now(tenant, question)
        remedies = []

        def answer(facts: Facts, verdict: Verdict) -> dict[str, object]:
            if verdict.remedy:
                remedies.append(verdict.remedy)
            counted = units if verdict.allowed else 0
            return answers.verdict_json(facts, verdict, estimate, tenant.credits_per_usd, counted=counted)

        try:
            told = consuming.consume(
                tenant.pk,
                question.user_id,
                question.feature_id,
                units=units,
                cost=estimate.amount or 0,
                key=asked.get("idempotencyKey") or None,
                answer=answer,
                team_id=question.team_id,
            )
        except consuming.UseKeyReused:
            raise Unprocessable(
                "idempotencyKey: has counted another use. Send the same body again, or a new key.",
                code="idempotency_key_reused",
                param="idempotencyKey",
            ) from None
        for remedy in remedies:
            told["actions"] = answers.actions(remedy, tenant.pk, question)
        return Response(told)


def _limit(limit_type: str, value: int | None, period: str | None) -> Limit:
    try:
        return services.checked_limit(limit_type, value, period)
    except services.InvalidLimit as error:
        raise ApiError(f"{error}.", code="validation_error", param=error.field) from None
