"""The web process: the gateway's hot paths on plain ASGI, all else on Django.

The server's lifespan opens and closes the gateway.
"""

import gc
import os
from typing import Any, cast

# Before the settings are read: Django's requests run on threads, which share a pool of connections.
os.environ.setdefault("DATABASE_POOL", "8")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from proxy import asgi as proxy
from proxy.gateway import Gateway
from proxy.http import Receive, Scope, Send

# A request makes hundreds of objects and nearly no cycles: Python's own 700 would start the collector for each.
COLLECT_AFTER = 50_000


class Application:
    """Dispatches by path. One gateway a process, made by the server's lifespan."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None
        # The gateway asks nobody's address.
        self._django: Any = ProxyHeadersMiddleware(
            cast(Any, django_application), settings.FORWARDED_ALLOW_IPS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        assert self._gateway, "the server must run the ASGI lifespan"
        if scope["type"] == "http" and (found := proxy.route(scope)):
            await proxy.serve(self._gateway, *found, scope, receive, send)
        else:
            await self._django(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._gateway = Gateway()
        # What is loaded by now stays: the collector needn't look at it again and again while requests wait.
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._gateway.close()
        await send({"type": "lifespan.shutdown.complete"})


application = Application()
