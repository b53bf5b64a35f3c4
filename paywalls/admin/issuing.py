"""Pages that make and revoke keys: one that asks, one that shows what was made, once."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ModelAdmin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from config.admin.columns import page_of
from paywalls import keys
from paywalls.keys import Kind
from paywalls.models import Paywall, PaywallKey

# Seconds for which an old key works beside the new one, as the forms offer them.
OVERLAPS = {
    "0": "Not at all: it is refused from its next request on",
    "3600": "1 hour",
    "86400": "1 day",
    "604800": "7 days",
    "2592000": "30 days",
}
DEFAULT_OVERLAP = "86400"

_FOR = {
    Kind.SECRET: "It is for your servers. The keys it has stay good.",
    Kind.PUBLISHABLE: "It is for browsers and mobile apps, and does nothing without a user's token. "
    "The keys it has stay good.",
}


def issue_for(
    page: ModelAdmin, request: HttpRequest, paywall: Paywall, kind: Kind = Kind.SECRET
) -> HttpResponse:
    """Ask, then issue a key of the paywall and show it."""
    if request.method != "POST":
        return ask(
            page,
            request,
            f"Issue a {kind} key of {paywall.name}?",
            _FOR[kind],
            "Issue a key",
            back=page_of(paywall),
        )
    with transaction.atomic():
        plain = keys.issue_key(paywall, kind)
        page.log_change(request, paywall, f"Issued the {kind} key …{plain[-4:]}.")
    return _show(page, request, [(paywall, plain)], back=page_of(paywall))


def rotate(
    page: ModelAdmin,
    request: HttpRequest,
    chosen: Sequence[PaywallKey],
    *,
    back: str,
    choosing: bool = False,
) -> HttpResponse:
    """Ask for how long the old keys stay good, then issue a new key for each live one and show the new ones.

    `choosing` lets the operator pick one of the keys, as on the paywall's page.
    """
    picked = [key for key in chosen if not choosing or str(key.pk) == request.POST.get("key")]
    overlap = request.POST.get("overlap", "")
    fault = ""
    if request.method == "POST" and "confirmed" in request.POST:
        if overlap in OVERLAPS and picked:
            return _rotated(page, request, picked, int(overlap), back)
        fault = "Choose a key, and how long the old one stays good."
    context = {
        "title": "Rotate a key" if choosing else "Rotate these keys?",
        "consequence": "A new key is issued and shown once. Put it into your app while the old one still works.",
        "button": "Rotate",
        "back": back,
        "chosen": chosen,
        "choosing": choosing,
        "overlaps": OVERLAPS,
        "overlap": overlap or DEFAULT_OVERLAP,
        "fault": fault,
        "action": request.POST.get("action", ""),
        "checkbox_name": ACTION_CHECKBOX_NAME,
    }
    return _page(page, request, "admin/paywalls/rotate.html", context)


def _rotated(
    page: ModelAdmin, request: HttpRequest, chosen: Sequence[PaywallKey], overlap: int, back: str
) -> HttpResponse:
    issued, actor = [], request.user.get_username()
    with transaction.atomic():
        for key in chosen:
            plain = keys.rotate_key(key, actor_type="operator", actor_id=actor, overlap_seconds=overlap)
            if plain:
                issued.append((key.paywall, plain))
                until = f"; the old one works until {key.expires_at:%Y-%m-%d %H:%M} UTC" if overlap else ""
                page.log_change(request, key, f"Replaced by the key …{plain[-4:]}{until}.")
    return _show(page, request, issued, back=back)


def revoke(page: ModelAdmin, request: HttpRequest, chosen: Sequence[PaywallKey]) -> HttpResponse | None:
    """Ask, then revoke the keys; None leads back to the list."""
    if "confirmed" not in request.POST:
        return ask(
            page,
            request,
            "Revoke these keys?",
            "Apps that use one are refused from their next request on. A revoked key can't be revived.",
            "Revoke",
            back=request.get_full_path(),
            chosen=chosen,
        )
    with transaction.atomic():
        revoked = [key for key in chosen if keys.revoke_key(key)]
        for key in revoked:
            page.log_change(request, key, "Revoked.")
    page.message_user(request, f"Revoked {len(revoked)} of {len(chosen)} keys.", messages.SUCCESS)
    return None


def ask(
    page: ModelAdmin,
    request: HttpRequest,
    question: str,
    consequence: str,
    button: str,
    *,
    back: str,
    chosen: Sequence[PaywallKey] = (),
) -> HttpResponse:
    """The page that asks whether something is meant."""
    context = {
        "title": question,
        "consequence": consequence,
        "button": button,
        "back": back,
        "chosen": chosen,
        "action": request.POST.get("action", ""),
        "checkbox_name": ACTION_CHECKBOX_NAME,
    }
    return _page(page, request, "admin/paywalls/confirm.html", context)


def _show(
    page: ModelAdmin, request: HttpRequest, issued: Sequence[tuple[Paywall, str]], *, back: str
) -> HttpResponse:
    context = {"title": "The new key" if len(issued) == 1 else "The new keys", "issued": issued, "back": back}
    # The admin site forbids every cache to keep its pages, so that the key is shown this once.
    return _page(page, request, "admin/paywalls/issued_keys.html", context)


def _page(page: ModelAdmin, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(
        request, template, {**page.admin_site.each_context(request), "opts": page.opts, **context}
    )
