"""Connecting an owner's Stripe account: verify the key, keep our endpoint there, rotate its secret, let go of it."""

import uuid
from datetime import timedelta

import stripe
from django.db import models, transaction
from django.utils import timezone

from config import ids, secrets
from ledger.models import PlanSubscription, SavedCard, StripeAccount, StripeCheckout
from ledger.payments import accounts, endpoints, rights, stripe_api
from ledger.payments.endpoints import Endpoint
from paywalls import events
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall

KEY = "stripe"
# How long what the endpoint before a rotation signs is still believed.
OLD_SECRET_VALID = timedelta(days=1)


class StillNeeded(Exception):
    """The account can't be let go of yet; the message says why."""


def connect(owner: Paywall | None, key: str, *, by: str) -> StripeAccount:
    """Take money with this key from now on. Not inside a transaction: it asks Stripe.

    The key of the same Stripe account and mode keeps the connection and its endpoint; any other account is a new
    connection. Raises InvalidSetting where Stripe doesn't take the key, a right is missing, or the endpoint can't be
    made.
    """
    key = key.strip()
    livemode = rights.check_key(key)
    asking = stripe_api.client(key)
    before = accounts.connected(owner)
    try:
        same = before is not None and before.livemode == livemode and _is_same(before, asking)
        account_id = before.pk if before and same else ids.new()
        known = before if same else None
        endpoint = _endpoint(asking, account_id, known)
    except stripe.StripeError as error:
        raise InvalidSetting(
            f"was accepted, but our webhook endpoint could not be made: {stripe_api.reason(error)}",
            param="stripe_secret_key",
        ) from None
    return _write(owner, key, livemode=livemode, account_id=account_id, endpoint=endpoint, by=by)


def _is_same(account: StripeAccount, asking: stripe.StripeClient) -> bool:
    """Whether the key belongs to the account that is connected: our endpoint or a checkout of ours is there."""
    if account.endpoint_id:
        return endpoints.exists(asking, account.endpoint_id)
    session = account.checkouts.exclude(session_id=None).order_by("-id").first()
    if session is None or session.session_id is None:
        return True
    try:
        asking.v1.checkout.sessions.retrieve(session.session_id)
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            return False
        raise
    return True


def _endpoint(
    asking: stripe.StripeClient, account_id: uuid.UUID, known: StripeAccount | None
) -> Endpoint | None:
    """A new endpoint, or None where the known one stays or Stripe can't reach us."""
    if not endpoints.stripe_reaches_us():
        return None
    if known and known.endpoint_id and known.endpoint_url == endpoints.url_of(account_id):
        return None
    made = endpoints.register(asking, account_id)
    endpoints.remove_strays(asking, account_id, keep={made.id})
    return made


def _write(
    owner: Paywall | None,
    key: str,
    *,
    livemode: bool,
    account_id: uuid.UUID,
    endpoint: Endpoint | None,
    by: str,
) -> StripeAccount:
    stored = {"livemode": livemode, "key_digest": accounts.digest(key), "key_suffix": key[-4:]}
    if endpoint:
        stored |= {
            "endpoint_id": endpoint.id,
            "endpoint_url": endpoint.url,
            "webhook_secret": secrets.encrypt(endpoint.secret),
        }
    with transaction.atomic():
        if owner:
            owner = Paywall.objects.select_for_update().get(pk=owner.pk)
            if accounts.stored_key(owner) != key:
                owner.stripe_secret_key = secrets.encrypt(key)
                owner.save(update_fields=["stripe_secret_key"])
        _let_go(StripeAccount.objects.filter(paywall=owner, disconnected_at=None).exclude(pk=account_id))
        account, made = StripeAccount.objects.update_or_create(
            pk=account_id, defaults=stored, create_defaults={**stored, "paywall": owner, "connected_by": by}
        )
        if owner and made:
            events.integration_connected(owner.pk, KEY, by)
    return account


def rotate(account: StripeAccount) -> StripeAccount:
    """Give our endpoint at Stripe another secret; what the old one signs is believed for a day.

    Stripe rolls secrets in its dashboard only, so a second endpoint is made and the first is removed after the day.
    Raises NotConnected, InvalidSetting or stripe.StripeError.
    """
    if not account.endpoint_id:
        raise InvalidSetting("there is no webhook endpoint to rotate: Stripe can't reach this installation")
    asking = accounts.client_of(account)
    made = endpoints.register(asking, account.pk)
    superseded = ""
    with transaction.atomic():
        row = StripeAccount.objects.select_for_update().get(pk=account.pk)
        superseded, row.previous_endpoint_id = row.previous_endpoint_id, row.endpoint_id
        row.previous_secret, row.webhook_secret = row.webhook_secret, secrets.encrypt(made.secret)
        row.previous_until = timezone.now() + OLD_SECRET_VALID
        row.endpoint_id, row.endpoint_url = made.id, made.url
        row.save()
        if row.paywall_id:
            events.stripe_webhook_rotated(row.paywall_id, made.id, made.url, made.secret[-4:])
    if superseded:
        endpoints.remove(asking, superseded)
    return row


def end_rotations() -> int:
    """Remove the endpoints whose day after a rotation is over; the number of them."""
    ended = 0
    for account in StripeAccount.objects.filter(previous_until__lte=timezone.now(), disconnected_at=None):
        endpoints.remove(accounts.client_of(account), account.previous_endpoint_id)
        ended += StripeAccount.objects.filter(
            pk=account.pk, previous_endpoint_id=account.previous_endpoint_id
        ).update(previous_endpoint_id="", previous_secret="", previous_until=None)
    return ended


def disconnect(account: StripeAccount, *, by: str) -> str:
    """Stop taking money with this account, remove our endpoint there and forget the key.

    Answers what could not be done at Stripe, "" where all was. Raises StillNeeded while a plan is subscribed to, or a
    checkout is under way, since their money could no longer be credited.
    """
    live = PlanSubscription.objects.filter(account=account, status__in=PlanSubscription.LIVE).count()
    if live:
        raise StillNeeded(f"{live} subscriptions to plans go on at Stripe; cancel them there first")
    waiting = account.checkouts.filter(state__in=StripeCheckout.LIVE).exclude(session_id=None).count()
    if waiting:
        raise StillNeeded(
            f"{waiting} checkouts are under way; they end within an hour (or when their bank has paid)"
        )
    trouble = ""
    try:
        asking = accounts.client_of(account)
        for endpoint_id in filter(None, (account.endpoint_id, account.previous_endpoint_id)):
            endpoints.remove(asking, endpoint_id)
    except accounts.NotConnected:
        pass
    except stripe.StripeError as error:
        trouble = f"remove the endpoint {account.endpoint_id} at Stripe by hand: {stripe_api.reason(error)}"
    with transaction.atomic():
        if account.paywall:
            Paywall.objects.filter(pk=account.paywall.pk).update(stripe_secret_key="")
        if _let_go(StripeAccount.objects.filter(pk=account.pk, disconnected_at=None)) and account.paywall_id:
            events.integration_disconnected(account.paywall_id, KEY, by)
    return trouble


def _let_go(found: models.QuerySet[StripeAccount]) -> int:
    """Mark connections as ended, with their secrets and saved cards gone; the number of them."""
    SavedCard.objects.filter(account__in=list(found)).delete()
    return found.update(
        disconnected_at=timezone.now(),
        webhook_secret="",
        previous_secret="",
        previous_until=None,
        endpoint_id="",
        previous_endpoint_id="",
    )


def reconcile(owner: Paywall | None, *, by: str) -> StripeAccount | None:
    """Bring the connection in line with the stored key (of `apply`, or of the settings). Raises as `connect`."""
    key, account = accounts.stored_key(owner), accounts.connected(owner)
    if not key:
        return None
    known = account is not None and account.key_digest == accounts.digest(key)
    if account and known and (account.endpoint_id or not endpoints.stripe_reaches_us()):
        return account
    return connect(owner, key, by=by)
