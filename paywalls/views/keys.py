"""A tenant's keys."""

import uuid

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import Conflict, NotFound
from config.openapi import tenant_errors
from paywalls import tenantkeys
from paywalls.models import Scope, TenantKey
from paywalls.serializers.tenants import (
    IssuedKeyAnswer,
    KeyAnswer,
    KeyRequest,
    KeysAnswer,
    RotateKeyRequest,
    key_json,
)
from paywalls.views.base import TenantView

TAGS = ["Keys"]


class KeysView(TenantView):
    scopes = {"GET": Scope.MANAGE}

    @extend_schema(
        operation_id="listKeys",
        summary="The customer's keys",
        tags=TAGS,
        responses={200: OpenApiResponse(KeysAnswer, "Newest first, the dead ones too."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        rows = TenantKey.objects.filter(tenant=self.tenant).order_by("-id")
        return Response({"data": [key_json(row) for row in rows]})

    @extend_schema(
        operation_id="createKey",
        summary="Make another key",
        tags=TAGS,
        request=KeyRequest,
        responses={
            201: OpenApiResponse(IssuedKeyAnswer, "With its text, this once."),
            **tenant_errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        asked = self.read(KeyRequest)
        key, plain = tenantkeys.issue(
            self.tenant,
            name=asked["name"],
            scopes=asked.get("scopes", tuple(Scope)),
            expires_at=asked.get("expiresAt"),
        )
        return Response({"data": {**key_json(key), "apiKey": plain}}, status=201)


class KeyView(TenantView):
    @extend_schema(
        operation_id="revokeKey",
        summary="Revoke a key",
        tags=TAGS,
        responses={200: OpenApiResponse(KeyAnswer, "Refused from now on."), **tenant_errors(404)},
    )
    def delete(self, request: Request, key_id: uuid.UUID) -> Response:
        key = _own(self, key_id)
        tenantkeys.revoke(key)
        return Response({"data": key_json(key)})


class RotateView(TenantView):
    @extend_schema(
        operation_id="rotateKey",
        summary="Replace a key; both work for a while",
        tags=TAGS,
        request=RotateKeyRequest,
        responses={
            201: OpenApiResponse(IssuedKeyAnswer, "The new key, with its text, this once."),
            **tenant_errors(404, 409, 413, 415),
        },
    )
    def post(self, request: Request, key_id: uuid.UUID) -> Response:
        made = tenantkeys.rotate(_own(self, key_id), self.read(RotateKeyRequest)["overlapSeconds"])
        if made is None:
            raise Conflict("The key has expired or was revoked; make another one.", code="key_not_live")
        key, plain = made
        return Response({"data": {**key_json(key), "apiKey": plain}}, status=201)


def _own(view: TenantView, key_id: uuid.UUID) -> TenantKey:
    key = TenantKey.objects.filter(pk=key_id, tenant=view.tenant).first()
    if key is None:
        raise NotFound("There is no such key.")
    return key
