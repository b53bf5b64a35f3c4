"""The forms of the hosted top-up page."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config import localized, money
from ledger import topups
from paywalls.models import Paywall

OTHER = "other"


def _parsed(text: str) -> int:
    """The nano-dollars of what was typed; 0 where that is no amount."""
    try:
        return localized.typed(text)
    except money.InvalidAmount:
        return 0


class TopUpForm(forms.Form):
    """One of the paywall's amounts, or an amount of one's own. `cleaned_data["nano"]` is what was chosen."""

    amount = forms.CharField(max_length=32, error_messages={"required": gettext_lazy("Choose an amount.")})
    other = forms.CharField(required=False, max_length=32)

    def __init__(self, *args: Any, paywall: Paywall, **options: Any) -> None:
        self.paywall = paywall
        self.presets = [
            *((money.plain(nano), localized.short(nano)) for nano in paywall.topup_presets),
            (OTHER, _("Other amount")),
        ]
        options.setdefault("initial", {"amount": self.presets[min(1, len(self.presets) - 2)][0]})
        super().__init__(*args, **options)

    @property
    def own_label(self) -> str:
        """What may be typed."""
        least, most = localized.short(self.paywall.topup_minimum), localized.short(self.paywall.topup_maximum)
        return _("Other amount, from %(least)s to %(most)s") % {"least": least, "most": most}

    def clean(self) -> dict[str, Any]:
        """The amount in nano-dollars; an error names the field to change."""
        cleaned = super().clean() or {}
        field = OTHER if cleaned.get("amount") == OTHER else "amount"
        if field in cleaned:
            cleaned["nano"] = _parsed(cleaned[field])
            try:
                topups.check_amount(self.paywall, cleaned["nano"])
            except money.InvalidAmount:
                self.add_error(field, self._what_to_enter())
        return cleaned

    def _what_to_enter(self) -> str:
        return _("Enter an amount from %(least)s to %(most)s in dollars and cents, such as 20 or 12.50.") % {
            "least": localized.short(self.paywall.topup_minimum),
            "most": localized.short(self.paywall.topup_maximum),
        }


class AutoTopUpForm(forms.Form):
    """What an end user agrees to. The cleaned fields are nano-dollars."""

    threshold = forms.CharField(max_length=32, initial="5")
    amount = forms.CharField(max_length=32, initial="10")
    month_limit = forms.CharField(max_length=32, initial="50")

    def __init__(self, *args: Any, paywall: Paywall, **options: Any) -> None:
        self.paywall = paywall
        super().__init__(*args, **options)

    def clean(self) -> dict[str, Any]:
        """The wishes in nano-dollars; an error names the field to change."""
        cleaned = super().clean() or {}
        cleaned = {name: _parsed(text) for name, text in cleaned.items()}
        for name, nano in cleaned.items():
            if not nano or nano % topups.CENT:
                self.add_error(name, _("Enter an amount in dollars and cents, such as 20 or 12.50."))
        if self.errors:
            return cleaned
        if cleaned["amount"] < cleaned["threshold"]:
            self.add_error("threshold", _("The charge must be at least the balance that it starts at."))
        if cleaned["month_limit"] < cleaned["amount"]:
            self.add_error("month_limit", _("The month's limit must cover at least one charge."))
        try:
            topups.check_amount(self.paywall, cleaned["amount"])
        except money.InvalidAmount:
            self.add_error(
                "amount",
                _("We can charge from %(least)s to %(most)s at a time.")
                % {
                    "least": localized.short(self.paywall.topup_minimum),
                    "most": localized.short(self.paywall.topup_maximum),
                },
            )
        return cleaned
