"""Pages that ask for a reason: to block end users, to archive a paywall."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ModelAdmin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from paywalls.errors import InvalidSetting


def with_reason(
    page: ModelAdmin,
    request: HttpRequest,
    chosen: Sequence[Any],
    do: Callable[[Any, str], bool],
    *,
    question: str,
    consequence: str,
    button: str,
    done: str,
    back: str,
) -> HttpResponse | None:
    """Ask for a reason, then do it to each row and log who did; None once it is done.

    `done` is the past of what is done, such as "Blocked".
    """
    reason, fault = request.POST.get("reason", "").strip(), ""
    if "confirmed" in request.POST:
        try:
            with transaction.atomic():
                changed = [row for row in chosen if do(row, reason)]
                for row in changed:
                    page.log_change(request, row, f"{done}: {reason}")
        except InvalidSetting as refusal:
            fault = f"The reason {refusal.message}."
        else:
            page.message_user(request, f"{done} {len(changed)} of {len(chosen)}.", messages.SUCCESS)
            return None
    context = {
        "title": question,
        "consequence": consequence,
        "button": button,
        "back": back,
        "chosen": chosen,
        "reason": reason,
        "fault": fault,
        "action": request.POST.get("action", ""),
        "checkbox_name": ACTION_CHECKBOX_NAME,
        **page.admin_site.each_context(request),
        "opts": page.opts,
    }
    return TemplateResponse(request, "admin/paywalls/reason.html", context)


def undo(
    page: ModelAdmin, request: HttpRequest, chosen: Sequence[Any], do: Callable[[Any], bool], done: str
) -> None:
    """Take it back from each row, and log who did."""
    with transaction.atomic():
        changed = [row for row in chosen if do(row)]
        for row in changed:
            page.log_change(request, row, f"{done}.")
    page.message_user(request, f"{done} {len(changed)} of {len(chosen)}.", messages.SUCCESS)
