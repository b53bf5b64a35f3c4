"""A tenant's burn tables."""

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import ApiError, NotFound
from config.openapi import tenant_errors
from config.wire import stamp
from ledger.models import BurnTable
from ledger.rating import burntables, credits
from ledger.serializers.rating import (
    ActiveAnswer,
    BurnTableAnswer,
    BurnTablePatch,
    BurnTableRequest,
    BurnTablesAnswer,
    BurnTablesQuery,
    DeletedAnswer,
    SimulateRequest,
    SimulationAnswer,
)
from ledger.views.tenant import CreditView
from paywalls.models import Scope

TAGS = ["Burn tables"]

# What the wire calls a setting.
NAMES = {
    "name": "name",
    "rules": "rules",
    "isActive": "is_active",
    "validFrom": "valid_from",
    "validUntil": "valid_until",
}
# The longest time that a trial looks at: each event of it is read.
LONGEST_TRIAL = timedelta(days=92)


class BurnTableView(CreditView):
    """What the endpoints share."""

    def own(self, table_id: uuid.UUID) -> BurnTable:
        """Raises NotFound."""
        found = BurnTable.objects.select_related("tenant").filter(pk=table_id, tenant=self.tenant).first()
        if found is None:
            raise NotFound("There is no such burn table.")
        return found


class BurnTablesView(BurnTableView):
    @extend_schema(
        operation_id="listBurnTables",
        summary="The customer's burn tables",
        tags=TAGS,
        parameters=[BurnTablesQuery],
        responses={200: OpenApiResponse(BurnTablesAnswer, "Newest first."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        asked = self.read(BurnTablesQuery, request.query_params)
        rows = BurnTable.objects.filter(tenant=self.tenant).order_by("-version")
        if "isActive" in asked:
            rows = rows.filter(is_active=asked["isActive"] == "true")
        listed = [_table(row) for row in rows]
        return Response({"data": listed, "total": len(listed)})

    @extend_schema(
        operation_id="createBurnTable",
        summary="Say what usage burns",
        tags=TAGS,
        request=BurnTableRequest,
        responses={201: OpenApiResponse(BurnTableAnswer, "The new version."), **tenant_errors(413, 415)},
    )
    def post(self, request: Request) -> Response:
        """In force at once, or from `validFrom` on; then the version before it ends."""
        table = burntables.create(self.tenant, **_settings(self.read(BurnTableRequest)))
        return Response({"data": _table(table)}, status=201)


class OneView(BurnTableView):
    @extend_schema(
        operation_id="getBurnTable",
        summary="One burn table",
        tags=TAGS,
        responses={200: OpenApiResponse(BurnTableAnswer, "It."), **tenant_errors(404)},
    )
    def get(self, request: Request, table_id: uuid.UUID) -> Response:
        return Response({"data": _table(self.own(table_id))})

    @extend_schema(
        operation_id="updateBurnTable",
        summary="Change a burn table",
        tags=TAGS,
        request=BurnTablePatch,
        responses={200: OpenApiResponse(BurnTableAnswer, "It, changed."), **tenant_errors(404, 413, 415)},
    )
    def patch(self, request: Request, table_id: uuid.UUID) -> Response:
        """New rules are a new version under the same id. To activate one deactivates the others."""
        table = burntables.update(self.own(table_id), **_settings(self.read(BurnTablePatch)))
        return Response({"data": _table(table)})

    @extend_schema(
        operation_id="deactivateBurnTable",
        summary="Deactivate a burn table",
        tags=TAGS,
        responses={200: OpenApiResponse(DeletedAnswer, "It rates nothing any more."), **tenant_errors(404)},
    )
    def delete(self, request: Request, table_id: uuid.UUID) -> Response:
        burntables.update(self.own(table_id), is_active=False)
        return Response({"message": "The burn table was deactivated."})


class ActiveView(BurnTableView):
    @extend_schema(
        operation_id="getActiveBurnTable",
        summary="The burn table in force",
        tags=TAGS,
        responses={200: OpenApiResponse(ActiveAnswer, "It, or the default."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        """The default has no rules: usage burns what the provider charges, rounded up to a whole credit."""
        found = burntables.in_force(self.tenant, timezone.now())
        return Response({"data": _table(found) if found else _DEFAULT, "isDefault": found is None})


class SimulateView(BurnTableView):
    audited = False

    scopes = {"POST": Scope.READ}

    @extend_schema(
        operation_id="simulateBurnTable",
        summary="What other rules would have burned",
        tags=TAGS,
        request=SimulateRequest,
        responses={
            200: OpenApiResponse(SimulationAnswer, "Beside what was burned."),
            **tenant_errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """For the usage that was reported in the last 30 days, or in another time of at most 92. Nothing is changed."""
        asked = self.read(SimulateRequest)
        until = asked.get("to") or timezone.now()
        since = asked.get("from") or until - timedelta(days=30)
        if not timedelta(0) < until - since <= LONGEST_TRIAL:
            raise ApiError("from: must be before `to`, by at most 92 days.", code="validation_error")
        trials = burntables.simulate(self.tenant, asked["rules"], since, until)
        rate = self.tenant.credits_per_usd
        told = {
            "startDate": stamp(since),
            "endDate": stamp(until),
            "events": (events := sum(trial.events for trial in trials)),
            "isComplete": events < burntables.MAX_TRIED,
            "chargedCredits": credits.of(sum(trial.charged for trial in trials), rate),
            "simulatedCredits": credits.of(sum(trial.simulated or 0 for trial in trials), rate),
            "byModel": [
                {
                    "model": trial.model or None,
                    "events": trial.events,
                    "chargedCredits": credits.of(trial.charged, rate),
                    "simulatedCredits": None
                    if trial.simulated is None
                    else credits.of(trial.simulated, rate),
                }
                for trial in trials
            ],
        }
        return Response({"data": told})


_DEFAULT: dict[str, Any] = {
    "id": None,
    "name": "Provider cost",
    "version": 0,
    "rules": {},
    "isActive": True,
    "validFrom": None,
    "validUntil": None,
    "createdAt": None,
}


def _settings(asked: dict[str, Any]) -> dict[str, Any]:
    return {NAMES[name]: value for name, value in asked.items()}


def _table(table: BurnTable) -> dict[str, Any]:
    return {
        "id": str(table.pk),
        "name": table.name,
        "version": table.version,
        "rules": table.rules,
        "isActive": table.is_active,
        "validFrom": stamp(table.valid_from),
        "validUntil": stamp(table.valid_until),
        "createdAt": stamp(table.created_at),
    }
