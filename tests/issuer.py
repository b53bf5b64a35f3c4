"""An app's identity provider: a real HTTP server on loopback with its keys, and the tokens that it signs.

with Issuer() as issuer:
    token = issuer.token("alice")                   # good for the paywall that `issuer.settings` describe
    issuer.rotate()                                 # another key from now on
    issuer.answer = (500, b"")                      # instead of the keys
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "acme-app"


def make_key(alg: str) -> Any:
    """A private key that signs with the algorithm."""
    if alg.startswith("ES"):
        return ec.generate_private_key({"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1()}[alg])
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(key: Any, kid: str, **members: Any) -> dict[str, Any]:
    """The public half, as a JWKS lists it."""
    kinds = {"RSA": RSAAlgorithm, "Elli": ECAlgorithm, "ECPr": ECAlgorithm, "Ed25": OKPAlgorithm}
    kind = kinds.get(type(key).__name__[:4], RSAAlgorithm)
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **members}


class Issuer:
    def __init__(self) -> None:
        self.key, self.kid = make_key("ES256"), "first"
        self.keys = [jwk(self.key, self.kid)]
        self.answer: tuple[int, bytes] | None = None
        self.fetches = 0
        self.delay = threading.Event()
        self.delay.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> "Issuer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.delay.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    @property
    def settings(self) -> dict[str, str]:
        """What a paywall is told of this issuer."""
        return {"jwt_issuer": "https://id.acme.test", "jwt_audience": AUDIENCE, "jwks_url": self.url}

    def rotate(self, kid: str = "second") -> None:
        """Sign with another key from now on, and list that one only."""
        self.key, self.kid = make_key("ES256"), kid
        self.keys = [jwk(self.key, self.kid)]

    def token(
        self,
        sub: Any = "alice",
        *,
        key: Any = None,
        alg: str = "ES256",
        headers: dict[str, Any] | None = None,
        drop: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """A token for an hour, with other claims where they are given and without those in `drop`."""
        now = int(time.time())
        whole = {"iss": "https://id.acme.test", "aud": AUDIENCE, "iat": now, "exp": now + 3600, "sub": sub}
        told = {name: value for name, value in {**whole, **claims}.items() if name not in drop}
        head = {"kid": self.kid, **(headers or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(told, key or self.key, alg, head)

    def _handler(issuer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                issuer.delay.wait(20)
                status, body = issuer.answer or (200, json.dumps({"keys": issuer.keys}).encode())
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
