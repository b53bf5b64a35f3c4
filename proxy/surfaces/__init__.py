"""The APIs that clients speak. One adapter each says where the limits, the usage and the paywall's own message live.

Everything else (who may, holding, forwarding, relaying, settling) is one coroutine for all of them, `proxy/call.py`.
"""

from proxy.surfaces.base import InvalidRequest, ModelRequest, StreamReader, Surface
from proxy.surfaces.chat import Chat
from proxy.surfaces.completions import Completions
from proxy.surfaces.embeddings import Embeddings
from proxy.surfaces.messages import Messages
from proxy.surfaces.responses import Responses

SURFACES: dict[str, Surface] = {
    surface.path: surface for surface in (Chat(), Completions(), Embeddings(), Messages(), Responses())
}

__all__ = ["SURFACES", "InvalidRequest", "ModelRequest", "StreamReader", "Surface"]
