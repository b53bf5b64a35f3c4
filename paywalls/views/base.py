"""What every endpoint of the metering API shares: the tenant's key, its scopes, the rate limit, the shape of errors."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from config.errors import TooManyRequests
from config.rest import tenant_exception_handler
from config.wire import ExactJsonRenderer
from paywalls import ratelimit
from paywalls.authentication import TenantKeyAuthentication
from paywalls.errors import MissingScope
from paywalls.models import Scope, Tenant
from paywalls.tenantkeys import Caller

READS = {"GET", "HEAD", "OPTIONS"}


class MeteringView(APIView):
    """An endpoint of the metering API. Errors are `{"error", "message"}`; every answer says how much rate is left."""

    renderer_classes = (ExactJsonRenderer,)
    window: ratelimit.Window | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the request, then let it in. One without a live key counts for its address."""
        try:
            self.perform_authentication(request)
        except Exception:
            self.count(f"address:{request.META.get('REMOTE_ADDR', '')}", settings.RATE_LIMIT_PER_MINUTE)
            raise
        caller = request.auth
        if isinstance(caller, Caller):
            rate = caller.rate_per_minute
            self.count(f"key:{caller.key.pk}", settings.RATE_LIMIT_PER_MINUTE if rate is None else rate)
        else:
            self.count(f"address:{request.META.get('REMOTE_ADDR', '')}", settings.RATE_LIMIT_PER_MINUTE)
        super().initial(request, *args, **kwargs)

    def count(self, caller: str, per_minute: int) -> None:
        """Raises TooManyRequests."""
        self.window = ratelimit.count(caller, per_minute)
        if self.window and not self.window.allowed:
            raise TooManyRequests(
                f"More than {per_minute} requests a minute.", retry_after=self.window.retry_after
            )

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        for name, value in (self.window.headers if self.window else {}).items():
            answer[name] = value
        return answer

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return tenant_exception_handler

    def read(self, serializer: type[Serializer[Any]], data: Any = None) -> dict[str, Any]:
        """What the body (or other data) says. Raises ValidationError."""
        body = serializer(data=self.request.data if data is None else data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)


class TenantView(MeteringView):
    """An endpoint of one tenant, whose key the request carries.

    Whatever it names is looked up among the tenant's own: another tenant's is a 404. `scopes` names the scope that a
    method needs where it isn't the rule: to read for what only reads, to manage for all else.
    """

    authentication_classes = (TenantKeyAuthentication,)
    scopes: ClassVar[Mapping[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = request.method or "GET"
        scope = self.scopes.get(method, Scope.READ if method in READS else Scope.MANAGE)
        if not self.caller.may(scope):
            raise MissingScope(scope)

    @property
    def caller(self) -> Caller:
        assert isinstance(self.request.auth, Caller)
        return self.request.auth

    @property
    def tenant(self) -> Tenant:
        return self.caller.tenant
