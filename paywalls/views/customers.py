"""Registration, and what a tenant is."""

from django.conf import settings
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.openapi import tenant_errors
from config.wire import stamp
from paywalls import tenants
from paywalls.serializers.tenants import CustomerAnswer, RegisterAnswer, RegisterRequest
from paywalls.views.base import MeteringView, TenantView


class RegisterView(MeteringView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="registerCustomer",
        summary="Register as a customer of this installation",
        tags=["Customers"],
        auth=[],
        request=RegisterRequest,
        responses={
            201: OpenApiResponse(RegisterAnswer, "With the first key, this once."),
            **tenant_errors(409, 413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """The installation says who may: anybody, nobody, or who has an invitation code."""
        asked = self.read(RegisterRequest)
        tenant, plain = tenants.register(
            name=asked["name"],
            email=asked["email"],
            tier=asked["tier"],
            invitation=asked.get("invitationCode", ""),
        )
        made = {
            "customerId": str(tenant.pk),
            "apiKey": plain,
            "name": tenant.name,
            "email": tenant.email,
            "tier": tenant.tier,
            "createdAt": stamp(tenant.created_at),
        }
        return Response({"data": made}, status=201)


class MeView(TenantView):
    @extend_schema(
        operation_id="getCustomer",
        summary="The customer whose key it is",
        tags=["Customers"],
        responses={
            200: OpenApiResponse(CustomerAnswer, "The customer, with its tier's limits."),
            **tenant_errors(),
        },
    )
    def get(self, request: Request) -> Response:
        tenant, caller = self.tenant, self.caller
        rate = settings.RATE_LIMIT_PER_MINUTE if caller.rate_per_minute is None else caller.rate_per_minute
        me = {
            "customerId": str(tenant.pk),
            "name": tenant.name,
            "email": tenant.email,
            "tier": tenant.tier,
            "creditsPerUsd": tenant.credits_per_usd,
            "uncoveredUsage": tenant.uncovered_usage,
            "limits": {"requestsPerMinute": rate or None, "monthlyEvents": caller.monthly_events},
            "createdAt": stamp(tenant.created_at),
        }
        return Response({"data": me})
