"""Pages that move money by hand: what is asked, done once however often the form is sent, logged, told."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextInputWidget

from config import money
from config.admin.forms import DollarField
from ledger.errors import Contention, Refusal, SourceReused
from ledger.operations import Receipt

MAX_REASON = 500

# Moves the money of a valid form: (its data, the transfer's source, its metadata).
Verb = Callable[[dict[str, Any], str, dict[str, Any]], Receipt]


class MoneyForm(forms.Form):
    """An amount and why. The token is made with the page, and is the cause of what it moves."""

    amount = DollarField(label="Amount", help_text="In US dollars.")
    reason = forms.CharField(
        max_length=MAX_REASON,
        widget=UnfoldAdminTextInputWidget,
        help_text="Kept with the transfer, for whoever asks later.",
    )
    token = forms.UUIDField(widget=forms.HiddenInput)

    def clean_amount(self) -> int | None:
        """An amount above zero."""
        nano: int | None = self.cleaned_data["amount"]
        if nano is not None and not 0 < nano <= money.MAX_AMOUNT:
            raise forms.ValidationError("This must be above zero.")
        return nano


@dataclass(frozen=True, slots=True)
class Question:
    """What a page asks; `done` is the past of it, such as "Granted"."""

    title: str
    consequence: str
    button: str
    done: str
    back: str


def move(
    page: ModelAdmin,
    request: HttpRequest,
    subject: Any,
    question: Question,
    do: Verb,
    form_class: type[MoneyForm] = MoneyForm,
    **initial: Any,
) -> HttpResponse:
    """Ask, then move money once and log who did it on the subject's page.

    A form that is sent again (a double click, a reload) finds the first transfer by its source and moves nothing.
    """
    form = form_class(request.POST or None, initial={"token": uuid.uuid4(), **initial})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        metadata = {"reason": given["reason"].strip(), "actor": request.user.get_username()}
        source = f"operator:{subject.pk.hex}:{given['token'].hex}"
        try:
            with transaction.atomic():
                receipt = do(given, source, metadata)
                told = f"{question.done} {money.formatted(abs(receipt.amount))}"
                if not receipt.replayed:
                    page.log_change(request, subject, f"{told}: {metadata['reason']}")
        except SourceReused:
            form.add_error(None, "This form was sent before with something else in it. Open the page anew.")
        except Refusal as refusal:
            form.add_error(None, f"Nothing was moved: {refusal}.")
        except Contention:
            form.add_error(None, "Nothing was moved: the wallet is busy. Send it again.")
        else:
            again = receipt.replayed
            words = f"{told}: it was done already, and nothing moved twice." if again else f"{told}."
            page.message_user(request, words, messages.INFO if again else messages.SUCCESS)
            return HttpResponseRedirect(question.back)
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": question.title,
        "consequence": question.consequence,
        "button": question.button,
        "back": question.back,
        "form": form,
    }
    return TemplateResponse(request, "admin/paywalls/form.html", context)
