"""Stripe, as far as we use it: a real HTTP server on loopback for the real `stripe` library.

with FakeStripe() as stripe:
    stripe.url                                  # STRIPE_API_BASE
    stripe.pay("cs_…")                          # the customer pays; events go to the registered endpoints
    stripe.objects["cs_…"]["url"]               # …or does so on a page, with a browser
    stripe.deliver = False                      # …or to nobody, and `stripe.events` keeps them
    stripe.post = …                             # …or another way than by HTTP

Its answers have the shape of Stripe's published fixtures (github.com/stripe/openapi), cut to what is read. Every
request's parameters are checked against the library's own types, fields that it doesn't know forbidden.
"""

import hashlib
import hmac
import itertools
import json
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cache, partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import stripe
from pydantic import TypeAdapter

KEY = "rk_test_fake"
ALL = frozenset(
    [
        "balance",
        "checkout_session",
        "payment_intent",
        "customer",
        "setup_intent",
        "payment_method",
        "event",
        "charge",
        "dispute",
        "price",
        "invoice",
        "subscription",
        "webhook",
    ]
)


class StripeFault(Exception):
    def __init__(self, status: int, type: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": type, "message": message, **more}}


class Request(NamedTuple):
    method: str
    path: str
    params: dict[str, Any]
    key: str
    idempotency_key: str | None


class FakeStripe:
    def __init__(self, livemode: bool = False) -> None:
        self.livemode = livemode
        self.keys: dict[str, frozenset[str]] = {KEY: ALL}
        self.objects: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.deliver = True
        self.card_error: str | None = None
        self.trouble: Callable[[Request], tuple[int, bytes] | None] = lambda request: None
        self.post: Callable[[str, bytes, str], int] = post
        self._answers: dict[str, tuple[str, dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> "FakeStripe":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [row for row in self.objects.values() if row["object"] == kind]

    def sent(self, method: str, path: str) -> list[Request]:
        """The requests that came for a path (a regular expression)."""
        return [
            request
            for request in self.requests
            if request.method == method and re.fullmatch(path, request.path)
        ]

    # --- What happens at Stripe ------------------------------------------------------------------------------

    def add_price(self, cents: int = 2000, **changes: Any) -> str:
        recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
        row = self._new("price", "price", active=True, currency="usd", unit_amount=cents, recurring=recurring)
        row.update(changes)
        return row["id"]

    def pay(self, session_id: str, *, later: bool = False, **changes: Any) -> dict[str, Any]:
        """The customer completes a session; `later`: with a method whose money comes later (`arrive`, `bounce`)."""
        session = self.objects[session_id]
        assert session["status"] == "open", session["status"]
        customer = self._new("cus", "customer")["id"]
        session.update(status="complete", customer=customer)
        if session["mode"] == "setup":
            method = self._new(
                "pm",
                "payment_method",
                type="card",
                card={"brand": "visa", "last4": "4242"},
                customer=customer,
            )
            setup = self._new("seti", "setup_intent", customer=customer, payment_method=method["id"])
            session.update(setup_intent=setup["id"], payment_status="no_payment_required")
        elif session["mode"] == "subscription":
            self._subscribe(session)
        else:
            intent = self._intent(session["amount_total"], session["_intent_metadata"], customer)
            session.update(payment_intent=intent["id"], payment_status="unpaid" if later else "paid")
            if later:
                intent.update(status="processing", amount_received=0)
        session.update(changes)
        self.tell("checkout.session.completed", session)
        return session

    def arrive(self, session_id: str) -> None:
        session = self.objects[session_id]
        intent = self.objects[session["payment_intent"]]
        session.update(payment_status="paid")
        intent.update(status="succeeded", amount_received=intent["amount"])
        self.tell("checkout.session.async_payment_succeeded", session)

    def bounce(self, session_id: str) -> None:
        session = self.objects[session_id]
        self.objects[session["payment_intent"]].update(status="requires_payment_method")
        self.tell("checkout.session.async_payment_failed", session)

    def refund(self, intent_id: str, cents: int) -> None:
        charge = self.objects[self.objects[intent_id]["latest_charge"]]
        charge["amount_refunded"] += cents
        self.tell("charge.refunded", charge)

    def dispute(self, intent_id: str, cents: int, status: str = "needs_response") -> str:
        charge = self.objects[self.objects[intent_id]["latest_charge"]]
        charge["disputed"] = True
        row = self._new(
            "dp", "dispute", amount=cents, status=status, payment_intent=intent_id, charge=charge["id"]
        )
        self.tell("charge.dispute.created", row)
        return row["id"]

    def close_dispute(self, dispute_id: str, status: str) -> None:
        self.objects[dispute_id]["status"] = status
        self.tell("charge.dispute.closed", self.objects[dispute_id])

    def renew(self, subscription_id: str, **changes: Any) -> dict[str, Any]:
        """The next cycle begins and is paid."""
        subscription = self.objects[subscription_id]
        invoice = self._invoice(subscription, "subscription_cycle")
        invoice.update(changes)
        self.tell("invoice.paid", invoice)
        return invoice

    def _subscribe(self, session: dict[str, Any]) -> None:
        price = self.objects[session["_price"]]
        ends = int(time.time()) + 30 * 86400
        item = {"id": f"si_{next(self._numbers)}", "price": price["id"], "current_period_end": ends}
        subscription = self._new(
            "sub",
            "subscription",
            status="active",
            customer=session["customer"],
            cancel_at_period_end=False,
            items={"object": "list", "data": [item]},
        )
        invoice = self._invoice(subscription, "subscription_create")
        session.update(subscription=subscription["id"], invoice=invoice["id"], payment_status="paid")
        session.update(amount_total=price["unit_amount"])
        self.tell("invoice.paid", invoice)

    def _invoice(self, subscription: dict[str, Any], reason: str) -> dict[str, Any]:
        item = subscription["items"]["data"][0]
        price = self.objects[item["price"]]
        intent = self._intent(price["unit_amount"], {}, subscription["customer"])
        return self._new(
            "in",
            "invoice",
            status="paid",
            customer=subscription["customer"],
            currency=price["currency"],
            total=price["unit_amount"],
            billing_reason=reason,
            parent={"subscription_details": {"subscription": subscription["id"]}},
            lines={
                "object": "list",
                "data": [
                    {
                        "pricing": {"price_details": {"price": price["id"]}},
                        "period": {"start": int(time.time()), "end": item["current_period_end"]},
                    }
                ],
            },
            payments={
                "object": "list",
                "data": [{"status": "paid", "payment": {"payment_intent": intent["id"]}}],
            },
        )

    def _intent(self, cents: int, metadata: dict[str, str], customer: str) -> dict[str, Any]:
        intent = self._new(
            "pi",
            "payment_intent",
            amount=cents,
            amount_received=cents,
            currency="usd",
            status="succeeded",
            customer=customer,
            metadata=metadata,
        )
        charge = self._new(
            "ch",
            "charge",
            amount=cents,
            amount_refunded=0,
            disputed=False,
            payment_intent=intent["id"],
        )
        intent["latest_charge"] = charge["id"]
        return intent

    # --- Events ----------------------------------------------------------------------------------------------

    def tell(self, type: str, about: dict[str, Any]) -> dict[str, Any]:
        """An event happens; it is sent to every endpoint that wants it, unless `deliver` is off."""
        shown = {name: value for name, value in about.items() if not name.startswith("_")}
        event = self._new(
            "evt",
            "event",
            type=type,
            api_version=stripe.api_version,
            data={"object": json.loads(json.dumps(shown))},
        )
        self.events.append(event)
        if self.deliver:
            self.send(event)
        return event

    def send(self, event: dict[str, Any]) -> list[int]:
        """Deliver an event (again); the statuses that the endpoints answered."""
        body = json.dumps(shown(event)).encode()
        return [
            self.post(endpoint["url"], body, sign(body, endpoint["_secret"]))
            for endpoint in self.all("webhook_endpoint")
            if event["type"] in endpoint["enabled_events"]
        ]

    # --- The API ---------------------------------------------------------------------------------------------

    def _new(self, prefix: str, object: str, **fields: Any) -> dict[str, Any]:
        row = {
            "id": f"{prefix}_fake{next(self._numbers)}_{id(self):x}",
            "object": object,
            "livemode": self.livemode,
            "created": int(time.time()),
            "metadata": {},
            **fields,
        }
        self.objects[row["id"]] = row
        return row

    def answer(self, request: Request) -> dict[str, Any]:
        with self._lock:
            rights = self.keys.get(request.key)
            if rights is None:
                raise StripeFault(
                    401, "invalid_request_error", f"Invalid API Key provided: {request.key[:7]}…"
                )
            for method, pattern, right, types, handle in ROUTES:
                found = re.fullmatch(pattern, request.path)
                if method != request.method or not found:
                    continue
                if right not in rights:
                    raise StripeFault(
                        403,
                        "invalid_request_error",
                        f"The provided key '{request.key[:8]}…' does not have the required permissions for this "
                        f"endpoint on account 'acct_fake'. Having the 'rak_{right}_write' permission would allow "
                        "this request to continue.",
                        code="more_permissions_required_for_application",
                    )
                if types is not None:
                    forbid_unknown(types, request.params)
                return self._once(request, partial(handle, self, request.params, *found.groups()))
            raise StripeFault(404, "invalid_request_error", f"Unrecognized request URL ({request.path})")

    def _once(self, request: Request, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        key = request.idempotency_key
        if not key or request.method != "POST":
            return work()
        asked = json.dumps([request.path, request.params], sort_keys=True)
        if key in self._answers:
            before, answer = self._answers[key]
            if before != asked:
                raise StripeFault(
                    400,
                    "idempotency_error",
                    "Keys for idempotent requests can only be used with the same parameters.",
                )
            if "_fault" in answer:
                raise answer["_fault"]
            return answer
        try:
            answer = work()
        except StripeFault as fault:
            self._answers[key] = (asked, {"_fault": fault})
            raise
        self._answers[key] = (asked, answer)
        return answer

    def get(self, kind: str, id: str) -> dict[str, Any]:
        row = self.objects.get(id)
        if row is None or row["object"] != kind:
            raise StripeFault(
                404, "invalid_request_error", f"No such {kind}: '{id}'", code="resource_missing", param="id"
            )
        return row

    def _handler(fake) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                if session := re.fullmatch("/pay/([^/]+)", self.path):
                    self._checkout(fake.objects[session[1]])
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                parts = urlsplit(self.path)
                params = nested(
                    parse_qsl(body if self.command == "POST" else parts.query, keep_blank_values=True)
                )
                key = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                request = Request(self.command, parts.path, params, key, self.headers.get("Idempotency-Key"))
                fake.requests.append(request)
                if trouble := fake.trouble(request):
                    self._send(*trouble)
                    return
                try:
                    answer = fake.answer(request)
                    for path in params.get("expand", []):
                        answer = fake.expanded(answer, path.split("."))
                    self._send(200, json.dumps(shown(answer)).encode())
                except StripeFault as fault:
                    self._send(fault.status, json.dumps(fault.body).encode())

            do_GET = do_POST = do_DELETE = _serve

            def _checkout(self, session: dict[str, Any]) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.command == "GET":
                    self._send(200, page_of(session).encode(), "text/html; charset=utf-8")
                    return
                fake.pay(session["id"])
                self.send_response(303)
                self.send_header("Location", session["success_url"])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _send(self, status: int, content: bytes, type: str = "application/json") -> None:
                self.send_response(status)
                self.send_header("Content-Type", type)
                self.send_header("Request-Id", f"req_{next(fake._numbers)}")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def expanded(self, row: dict[str, Any], path: list[str]) -> dict[str, Any]:
        value = row.get(path[0])
        if isinstance(value, str) and value in self.objects:
            value = self.objects[value]
        if isinstance(value, dict) and path[1:]:
            value = self.expanded(value, path[1:])
        return {**row, path[0]: value}


def page_of(session: dict[str, Any]) -> str:
    """Stripe's own page of a session, as far as somebody who pays needs it."""
    cents = session["amount_total"] or 0
    return f"""<!doctype html><html lang="en"><title>Stripe</title><link rel="icon" href="data:,">
        <h1>Pay ${cents // 100}.{cents % 100:02d}</h1>
        <form method="post"><button>Pay now</button></form><a href="{escape(session["cancel_url"])}">Back</a>"""


def shown(value: Any) -> Any:
    """Without what only the fake knows."""
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items() if not name.startswith("_")}
    return [shown(item) for item in value] if isinstance(value, list) else value


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Stripe's form encoding: `line_items[0][price_data][currency]=usd`."""
    top: dict[str, Any] = {}
    for name, value in pairs:
        at = top
        *path, last = re.findall(r"[^\[\]]+", name) if not name.endswith("[]") else [name[:-2], "0"]
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return {name: _lists(value) for name, value in top.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    value = {name: _lists(item) for name, item in value.items()}
    if value and all(name.isdigit() for name in value):
        return [value[name] for name in sorted(value, key=int)]
    return value


class _Untyped:
    """Stands for the library's own object of strings where its types name it: pydantic knows none of those."""

    def __class_getitem__(cls, item: Any) -> Any:
        return dict[str, item]


@cache
def _adapter(types: Any) -> TypeAdapter[Any]:
    # What the annotations name is imported for type checkers only, or in the module of the base class.
    names = vars(sys.modules[types.__module__])
    for name, value in vars(stripe._request_options).items():
        names.setdefault(name, value)
    names |= {"StripeContext": str, "UntypedStripeObject": _Untyped}
    adapter = TypeAdapter(types)
    adapter.rebuild(raise_errors=True)
    return adapter


def forbid_unknown(types: Any, params: dict[str, Any]) -> None:
    """Fails where a parameter is none that the library's own type has, or is of another type."""
    _adapter(types).validate_python(params, extra="forbid")


def sign(body: bytes, secret: str, at: float | None = None) -> str:
    stamp = int(time.time() if at is None else at)
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


def post(url: str, body: bytes, signature: str) -> int:
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


# --- What each call does -----------------------------------------------------------------------------------


def _listed(rows: list[dict[str, Any]], path: str) -> dict[str, Any]:
    return {"object": "list", "url": path, "has_more": False, "data": rows}


def _balance(fake: FakeStripe, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "balance",
        "livemode": fake.livemode,
        "available": [{"amount": 0, "currency": "usd"}],
        "pending": [],
    }


def _invalid(message: str, param: str = "") -> StripeFault:
    return StripeFault(400, "invalid_request_error", message, param=param)


def _session_create(fake: FakeStripe, params: dict[str, Any]) -> dict[str, Any]:
    mode = params["mode"]
    if mode in ("payment", "subscription") and not params.get("line_items"):
        raise _invalid("You must provide at least one line item.", "line_items")
    total, price = None, None
    if mode == "payment":
        data = params["line_items"][0]["price_data"]
        total = int(data["unit_amount"]) * int(params["line_items"][0]["quantity"])
    if mode == "subscription":
        price = fake.get("price", params["line_items"][0]["price"])["id"]
        total = fake.objects[price]["unit_amount"]
    if not 30 * 60 - 5 <= int(params["expires_at"]) - time.time() <= 24 * 3600 + 5:
        raise _invalid(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.", "expires_at"
        )
    row = fake._new(
        "cs_test",
        "checkout.session",
        mode=mode,
        status="open",
        payment_status="no_payment_required" if mode == "setup" else "unpaid",
        amount_total=total,
        currency="usd",
        client_reference_id=params["client_reference_id"],
        success_url=params["success_url"],
        cancel_url=params["cancel_url"],
        payment_intent=None,
        setup_intent=None,
        subscription=None,
        invoice=None,
        customer=None,
    )
    row["metadata"] = params.get("metadata", {})
    row["_intent_metadata"] = params.get("payment_intent_data", {}).get("metadata", {})
    row["_price"] = price
    row["url"] = f"{fake.url}/pay/{row['id']}"
    return row


def _session_expire(fake: FakeStripe, params: dict[str, Any], id: str) -> dict[str, Any]:
    session = fake.get("checkout.session", id)
    if session["status"] != "open":
        raise _invalid('Only Checkout Sessions with a status in ["open"] can be expired.', "id")
    session["status"] = "expired"
    return session


def _intent_create(fake: FakeStripe, params: dict[str, Any]) -> dict[str, Any]:
    if int(params["amount"]) < 1:
        raise _invalid("This value must be greater than or equal to 1.", "amount")
    fake.get("payment_method", params["payment_method"])
    if fake.card_error:
        raise StripeFault(
            402, "card_error", "Your card was declined.", code=fake.card_error, decline_code="generic_decline"
        )
    intent = fake._intent(int(params["amount"]), params.get("metadata", {}), params["customer"])
    fake.tell("payment_intent.succeeded", intent)
    return intent


def _customer_create(fake: FakeStripe, params: dict[str, Any]) -> dict[str, Any]:
    if "@" not in params.get("email", "@"):
        raise _invalid(f"Invalid email address: {params['email']}", "email")
    return fake._new("cus", "customer")


def _endpoint_create(fake: FakeStripe, params: dict[str, Any]) -> dict[str, Any]:
    if not params["url"].startswith("http"):
        raise _invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url")
    secret = f"whsec_fake{next(fake._numbers)}"
    row = fake._new(
        "we",
        "webhook_endpoint",
        url=params["url"],
        enabled_events=params["enabled_events"],
        status="enabled",
        _secret=secret,
    )
    return {**row, "secret": secret}


def _endpoint_delete(fake: FakeStripe, params: dict[str, Any], id: str) -> dict[str, Any]:
    fake.get("webhook_endpoint", id)
    del fake.objects[id]
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


def _subscription_create(fake: FakeStripe, params: dict[str, Any]) -> dict[str, Any]:
    raise _invalid("Missing required param: items.", "items")


def _subscription_update(fake: FakeStripe, params: dict[str, Any], id: str) -> dict[str, Any]:
    row = fake.get("subscription", id)
    row["cancel_at_period_end"] = params["cancel_at_period_end"] == "true"
    fake.tell("customer.subscription.updated", row)
    return row


def _detach(fake: FakeStripe, params: dict[str, Any], id: str) -> dict[str, Any]:
    row = fake.get("payment_method", id)
    if row["customer"] is None:
        raise _invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    row["customer"] = None
    return row


def _disputes(fake: FakeStripe, params: dict[str, Any]) -> dict[str, Any]:
    wanted = params.get("payment_intent")
    rows = [row for row in fake.all("dispute") if wanted in (None, row["payment_intent"])]
    return _listed(rows, "/v1/disputes")


def _events(fake: FakeStripe, params: dict[str, Any]) -> dict[str, Any]:
    since = int(params.get("created", {}).get("gte", 0))
    types = params.get("types", [])
    assert len(types) <= 20
    rows = [row for row in fake.events if row["created"] >= since and (not types or row["type"] in types)]
    return _listed(rows[::-1], "/v1/events")


def _retrieve(kind: str) -> Callable[..., dict[str, Any]]:
    return lambda fake, params, id: fake.get(kind, id)


def _list(kind: str) -> Callable[..., dict[str, Any]]:
    return lambda fake, params: _listed(fake.all(kind), f"/v1/{kind}s")


_P = stripe.params
ROUTES: list[tuple[str, str, str, Any, Callable[..., dict[str, Any]]]] = [
    ("GET", "/v1/balance", "balance", None, _balance),
    ("POST", "/v1/checkout/sessions", "checkout_session", _P.checkout.SessionCreateParams, _session_create),
    (
        "GET",
        "/v1/checkout/sessions/([^/]+)",
        "checkout_session",
        _P.checkout.SessionRetrieveParams,
        _retrieve("checkout.session"),
    ),
    (
        "POST",
        "/v1/checkout/sessions/([^/]+)/expire",
        "checkout_session",
        _P.checkout.SessionExpireParams,
        _session_expire,
    ),
    ("POST", "/v1/payment_intents", "payment_intent", _P.PaymentIntentCreateParams, _intent_create),
    (
        "GET",
        "/v1/payment_intents/([^/]+)",
        "payment_intent",
        _P.PaymentIntentRetrieveParams,
        _retrieve("payment_intent"),
    ),
    ("POST", "/v1/customers", "customer", _P.CustomerCreateParams, _customer_create),
    (
        "GET",
        "/v1/payment_methods/([^/]+)",
        "payment_method",
        _P.PaymentMethodRetrieveParams,
        _retrieve("payment_method"),
    ),
    ("GET", "/v1/setup_intents", "setup_intent", _P.SetupIntentListParams, _list("setup_intent")),
    (
        "POST",
        "/v1/payment_methods/([^/]+)/detach",
        "payment_method",
        _P.PaymentMethodDetachParams,
        _detach,
    ),
    ("GET", "/v1/events", "event", _P.EventListParams, _events),
    ("GET", "/v1/charges", "charge", _P.ChargeListParams, _list("charge")),
    ("GET", "/v1/disputes", "dispute", _P.DisputeListParams, _disputes),
    ("GET", "/v1/prices", "price", _P.PriceListParams, _list("price")),
    ("GET", "/v1/prices/([^/]+)", "price", _P.PriceRetrieveParams, _retrieve("price")),
    ("GET", "/v1/invoices", "invoice", _P.InvoiceListParams, _list("invoice")),
    ("GET", "/v1/invoices/([^/]+)", "invoice", _P.InvoiceRetrieveParams, _retrieve("invoice")),
    ("POST", "/v1/subscriptions", "subscription", _P.SubscriptionCreateParams, _subscription_create),
    (
        "GET",
        "/v1/subscriptions/([^/]+)",
        "subscription",
        _P.SubscriptionRetrieveParams,
        _retrieve("subscription"),
    ),
    ("POST", "/v1/subscriptions/([^/]+)", "subscription", _P.SubscriptionUpdateParams, _subscription_update),
    ("POST", "/v1/webhook_endpoints", "webhook", _P.WebhookEndpointCreateParams, _endpoint_create),
    ("GET", "/v1/webhook_endpoints", "webhook", _P.WebhookEndpointListParams, _list("webhook_endpoint")),
    (
        "GET",
        "/v1/webhook_endpoints/([^/]+)",
        "webhook",
        _P.WebhookEndpointRetrieveParams,
        _retrieve("webhook_endpoint"),
    ),
    ("DELETE", "/v1/webhook_endpoints/([^/]+)", "webhook", None, _endpoint_delete),
]
