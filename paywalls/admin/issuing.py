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
from paywalls.models import Paywall, PaywallKey


def issue_for(page: ModelAdmin, request: HttpRequest, paywall: Paywall) -> HttpResponse:
    """Ask, then issue a key of the paywall and show it."""
    if request.method != "POST":
        return _ask(
            page,
            request,
            f"Issue a key of {paywall.name}?",
            "The keys it has stay good.",
            "Issue a key",
            back=page_of(paywall),
        )
    with transaction.atomic():
        plain = keys.issue_key(paywall)
        page.log_change(request, paywall, f"Issued the key …{plain[-4:]}.")
    return _show(page, request, [(paywall, plain)], back=page_of(paywall))


def replace(page: ModelAdmin, request: HttpRequest, chosen: Sequence[PaywallKey]) -> HttpResponse:
    """Ask, then issue a new key for each live one, revoke that, and show the new ones."""
    if "confirmed" not in request.POST:
        return _ask(
            page,
            request,
            "Replace these keys?",
            "Each gets a new key of the same paywall and is refused from its next request on.",
            "Replace",
            back=request.get_full_path(),
            chosen=chosen,
        )
    issued = []
    with transaction.atomic():
        for key in chosen:
            actor = request.user.get_username()
            if plain := keys.replace_key(key, actor_type="operator", actor_id=actor):
                issued.append((key.paywall, plain))
                page.log_change(request, key, f"Replaced by the key …{plain[-4:]}.")
    return _show(page, request, issued, back=request.get_full_path())


def revoke(page: ModelAdmin, request: HttpRequest, chosen: Sequence[PaywallKey]) -> HttpResponse | None:
    """Ask, then revoke the keys; None leads back to the list."""
    if "confirmed" not in request.POST:
        return _ask(
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


def _ask(
    page: ModelAdmin,
    request: HttpRequest,
    question: str,
    consequence: str,
    button: str,
    *,
    back: str,
    chosen: Sequence[PaywallKey] = (),
) -> HttpResponse:
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
