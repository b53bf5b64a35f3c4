"""Who is signed in to a wallet. Their session is Django's; an operator may be signed in to the admin beside it."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from paywalls.models import WalletUser

_KEY = "wallet_user"
# Where a sign-in may lead: the pages that ask for one.
_PLACES = ("/wallet", "/c/")

P = ParamSpec("P")


def signed_in(request: HttpRequest) -> WalletUser | None:
    """The wallet user of this browser, unless they signed out everywhere since."""
    kept = request.session.get(_KEY)
    if not isinstance(kept, dict):
        return None
    key, epoch = uuid.UUID(kept["id"]), kept["epoch"]
    return WalletUser.objects.select_related("user").filter(pk=key, session_epoch=epoch).first()


def sign_in(request: HttpRequest, user: WalletUser) -> None:
    """Make this browser the user's. The session gets a new key, so that a key planted before is worth nothing."""
    request.session.cycle_key()
    request.session[_KEY] = {"id": user.pk.hex, "epoch": user.session_epoch}


def sign_out(request: HttpRequest) -> None:
    """End this browser's session."""
    request.session.pop(_KEY, None)
    request.session.cycle_key()


def place(asked: str) -> str:
    """Where to go after the sign-in: a page of ours that asked for it, else the wallet."""
    is_ours = asked.startswith(_PLACES) and "\\" not in asked and "//" not in asked
    return asked if is_ours else reverse("wallet")


def for_wallet_users(
    view: Callable[Concatenate[HttpRequest, WalletUser, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """A view of somebody signed in; who isn't signs in first."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        user = signed_in(request)
        if user is None:
            return HttpResponseRedirect(reverse("wallet-sign-in"))
        return view(request, user, *args, **kwargs)

    return guarded
