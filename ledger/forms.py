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

    choice = forms.ChoiceField(
        choices=[*((preset, f"${preset}") for preset in PRESETS), (OTHER, "Other amount")],
        error_messages={"required": "Choose an amount.", "invalid_choice": "Choose one of the amounts."},
    )
    other = forms.CharField(required=False, max_length=32)

    def clean(self) -> dict[str, Any]:
        """The amount in nano-dollars; an error names the field to change."""
        cleaned = super().clean() or {}
        choice = cleaned.get("choice")
        if choice == OTHER:
            if "other" in cleaned:
                cleaned["nano"] = self._own_amount(cleaned["other"])
        elif choice:
            cleaned["nano"] = money.parse(choice)
        return cleaned

    def _own_amount(self, text: str) -> int | None:
        try:
            nano = money.parse(text.removeprefix("$").strip())
        except money.InvalidAmount:
            nano = 0
        if not MIN_TOPUP <= nano <= MAX_TOPUP or nano % _CENT:
            self.add_error(
                "other",
                f"Enter an amount from ${money.plain(MIN_TOPUP)} to ${money.plain(MAX_TOPUP)} "
                "in dollars and cents, such as 20 or 12.50.",
            )
        return nano
