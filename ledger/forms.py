"""The form of the hosted top-up page."""

from typing import Any

from django import forms

from config import money
from ledger.topups import MAX_TOPUP, MIN_TOPUP

PRESETS = ("5", "10", "25", "50")
OTHER = "other"

_CENT = money.NANO // 100


class TopUpForm(forms.Form):
    """One of the preset amounts, or an amount of one's own. `cleaned_data["nano"]` is what was chosen."""

    presets = (*((preset, f"${preset}") for preset in PRESETS), (OTHER, "Other amount"))

    amount = forms.CharField(max_length=32, error_messages={"required": "Choose an amount."})
    other = forms.CharField(required=False, max_length=32)

    def clean(self) -> dict[str, Any]:
        """The amount in nano-dollars; an error names the field to change."""
        cleaned = super().clean() or {}
        field = OTHER if cleaned.get("amount") == OTHER else "amount"
        if field in cleaned:
            cleaned["nano"] = self._nano(field, cleaned[field])
        return cleaned

    def _nano(self, field: str, text: str) -> int | None:
        try:
            nano = money.parse(text.removeprefix("$").strip())
        except money.InvalidAmount:
            nano = 0
        if not MIN_TOPUP <= nano <= MAX_TOPUP or nano % _CENT:
            self.add_error(
                field,
                f"Enter an amount from ${money.plain(MIN_TOPUP)} to ${money.plain(MAX_TOPUP)} "
                "in dollars and cents, such as 20 or 12.50.",
            )
        return nano
