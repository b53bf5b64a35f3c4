"""What operators do to the balance of one end user: grant, charge, adjust."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.admin.options import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from config.admin.columns import page_of
from ledger import services as ledger
from ledger.operations import Receipt
from ledger.windows import Limits
from paywalls.admin.moving import MoneyForm, Question, move
from paywalls.models import EndUser
from paywalls.users import UserRef


class GrantForm(MoneyForm):
    """A gift, that may end."""

    expires = forms.DateField(
        required=False,
        label="Good until",
        help_text="The last day (UTC) on which it can be spent; empty: for ever.",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
    )
    field_order = ("amount", "expires", "reason")

    def clean_expires(self) -> datetime | None:
        """The end of the chosen day."""
        day = self.cleaned_data["expires"]
        if day is None:
            return None
        end = datetime.combine(day + timedelta(days=1), time.min, timezone.get_default_timezone())
        if end <= timezone.now():
            raise forms.ValidationError("This day is over.")
        return end


class AdjustForm(MoneyForm):
    """A correction, either way."""

    direction = forms.ChoiceField(
        choices=[("add", "Add to the balance"), ("take", "Take from the balance")],
        initial="add",
        widget=UnfoldAdminRadioSelectWidget,
    )
    field_order = ("direction", "amount", "reason")


def grant(page: ModelAdmin, request: HttpRequest, user: EndUser) -> HttpResponse:
    """Give credit that nobody paid for."""

    def do(given: dict[str, Any], source: str, metadata: dict[str, Any]) -> Receipt:
        amount, expires = given["amount"], given["expires"]
        return ledger.grant(_ref(user), amount, source=source, expires_at=expires, metadata=metadata)

    question = Question(
        f"Grant credit to {user}",
        "Credit that nobody paid for. It is spent before what was paid, and can't be withdrawn.",
        "Grant",
        "Granted",
        page_of(user),
    )
    return move(page, request, user, question, do, GrantForm)


def charge(page: ModelAdmin, request: HttpRequest, user: EndUser) -> HttpResponse:
    """Take money for something that no request charged."""
    paywall = user.paywall
    limits = Limits(paywall.spend_per_day, paywall.spend_per_month)

    def do(given: dict[str, Any], source: str, metadata: dict[str, Any]) -> Receipt:
        return ledger.charge(_ref(user), given["amount"], source=source, limits=limits, metadata=metadata)

    question = Question(
        f"Charge {user}",
        "It is taken from the balance at once. It is refused where the balance or a spend limit doesn't allow it.",
        "Charge",
        "Charged",
        page_of(user),
    )
    return move(page, request, user, question, do)


def adjust(page: ModelAdmin, request: HttpRequest, user: EndUser) -> HttpResponse:
    """Correct the balance."""
    actor = request.user.get_username()

    def do(given: dict[str, Any], source: str, metadata: dict[str, Any]) -> Receipt:
        amount = given["amount"] if given["direction"] == "add" else -given["amount"]
        return ledger.adjust(_ref(user), amount, source=source, reason=metadata["reason"], actor=actor)

    question = Question(
        f"Adjust the balance of {user}",
        "A correction of a mistake, kept apart from sales and gifts in the books. To give back a charge, refund it.",
        "Adjust",
        "Adjusted by",
        page_of(user),
    )
    return move(page, request, user, question, do, AdjustForm)


def _ref(user: EndUser) -> UserRef:
    return UserRef(user.paywall_id, user.external_id)
