"""Connections between end users of shared paywalls and wallets: asked for, approved, declined, limited, ended.

Amounts are nano-dollars. Each change tells the paywall's owner, in its own transaction.
"""

from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from config import links
from paywalls import events
from paywalls.models import AuthorizationRequest, Connection, EndUser, WalletUser
from paywalls.users import UserRef

_PURPOSE = "paywalls.connections"
# Requests are kept for operators who look into who was asked, then removed. Connections stay, as charges name them.
KEPT = timedelta(days=90)


class UnknownRequest(Exception):
    """The token is none of ours: mistyped, altered, forged, or its user was removed."""


class RequestIsOver(Exception):
    """The request was answered before, or its time is over."""


class AlreadyConnected(Exception):
    """The end user is connected; whoever wants another wallet disconnects first."""


def live(ref: UserRef) -> Connection | None:
    """The connection of an end user, where there is one."""
    return (
        Connection.objects.select_related("wallet_user__user", "user")
        .filter(user__paywall_id=ref.paywall_id, user__external_id=ref.external_id, ended_at=None)
        .first()
    )


def link_for(ref: UserRef) -> str:
    """The absolute URL of a page where whoever reads the end user's chat connects them to their wallet.

    Answers the user's open link while at least half of its life is left, so that a chat that asks again gets the same
    one. The user is made where they are new.
    """
    user, _ = EndUser.objects.get_or_create(paywall_id=ref.paywall_id, external_id=ref.external_id)
    soonest = timezone.now() + timedelta(seconds=settings.AUTHORIZATION_LINK_SECONDS / 2)
    still_open = AuthorizationRequest.objects.filter(
        user=user, state=AuthorizationRequest.State.OPEN, expires_at__gte=soonest
    )
    return url_of(still_open.order_by("-expires_at").first() or _ask(user))


def url_of(request: AuthorizationRequest) -> str:
    """Where a request is answered."""
    return f"{settings.PUBLIC_URL}/c/{links.token_of(_PURPOSE, request.pk)}"


def open_request(token: str) -> AuthorizationRequest:
    """The request behind a token, with its user and paywall, open or not. Raises UnknownRequest."""
    try:
        key = links.key_of(_PURPOSE, token)
    except ValueError:
        raise UnknownRequest from None
    found = AuthorizationRequest.objects.select_related("user__paywall").filter(pk=key).first()
    if found is None:
        raise UnknownRequest
    return found


def is_open(request: AuthorizationRequest) -> bool:
    """Whether it can still be answered."""
    return request.state == AuthorizationRequest.State.OPEN and request.expires_at > timezone.now()


def approve(request: AuthorizationRequest, wallet_user: WalletUser, month_limit: int | None) -> Connection:
    """Connect the request's end user to the wallet. Raises RequestIsOver or AlreadyConnected, and changes nothing."""
    user = request.user
    with transaction.atomic():
        _answer(request, AuthorizationRequest.State.APPROVED, wallet_user=wallet_user)
        try:
            with transaction.atomic():
                made = Connection.objects.create(
                    user=user, paywall=user.paywall, wallet_user=wallet_user, month_limit=month_limit
                )
        except IntegrityError:
            raise AlreadyConnected from None
        # What was asked in other chats is answered by this, too.
        AuthorizationRequest.objects.filter(user=user, state=AuthorizationRequest.State.OPEN).update(
            expires_at=timezone.now()
        )
        events.authorization_completed(user.paywall_id, user.pk, user.external_id, made.public_id)
    return made


def decline(request: AuthorizationRequest, wallet_user: WalletUser | None, reason: str) -> None:
    """Answer no, by somebody signed in or not. Raises RequestIsOver."""
    user = request.user
    with transaction.atomic():
        _answer(request, AuthorizationRequest.State.DECLINED, wallet_user=wallet_user, reason=reason)
        events.authorization_declined(user.paywall_id, user.pk, user.external_id, request.public_id, reason)


def end(connection: Connection) -> bool:
    """End a connection, from its very next request on; whether this call did it."""
    user = connection.user
    with transaction.atomic():
        ended = Connection.objects.filter(pk=connection.pk, ended_at=None).update(ended_at=timezone.now())
        if ended:
            events.authorization_revoked(user.paywall_id, user.pk, user.external_id)
    return bool(ended)


def set_limit(connection: Connection, month_limit: int | None) -> None:
    """Change the most that may be spent through a connection in a month; None is no limit."""
    Connection.objects.filter(pk=connection.pk).update(month_limit=month_limit)


def forget_requests() -> int:
    """Remove requests whose time was over long ago, however they were answered; the number of them."""
    removed, _rows = AuthorizationRequest.objects.filter(expires_at__lt=timezone.now() - KEPT).delete()
    return removed


def _ask(user: EndUser) -> AuthorizationRequest:
    until = timezone.now() + timedelta(seconds=settings.AUTHORIZATION_LINK_SECONDS)
    with transaction.atomic():
        made = AuthorizationRequest.objects.create(user=user, expires_at=until)
        events.authorization_requested(
            user.paywall_id, user.pk, user.external_id, made.public_id, url_of(made), user.paywall.mode
        )
    return made


def _answer(request: AuthorizationRequest, state: str, **more: object) -> None:
    answered = AuthorizationRequest.objects.filter(
        pk=request.pk, state=AuthorizationRequest.State.OPEN, expires_at__gt=timezone.now()
    ).update(state=state, answered_at=timezone.now(), **more)
    if not answered:
        raise RequestIsOver
