"""What a paywall offers on its top-up page, as a part of its form."""

from typing import Any

from config import money
from config.admin.forms import DollarField, ListField, SettingsForm
from config.errors import ApiError
from paywalls import offers

FIELDS = ("topup_minimum", "topup_maximum", "topup_presets", "return_origins")
FIELDSET = (
    "Top-ups",
    {
        "fields": FIELDS,
        "classes": ["tab"],
        "description": "What end users are offered where they add money.",
    },
)


class DollarListField(ListField):
    """Nano-dollars as decimals of US dollars, one a line."""

    def prepare_value(self, value: Any) -> Any:
        """What the input shows."""
        if isinstance(value, list):
            return "\n".join(money.plain(nano) for nano in value)
        return value

    def to_python(self, value: Any) -> Any:
        """The amounts that were typed."""
        if isinstance(value, list):
            return value
        field = DollarField(required=False)
        return [field.to_python(line) for line in super().to_python(value)]


class TopUpForm(SettingsForm):
    topup_minimum = DollarField(label="Least", help_text="The smallest top-up, from 0.50.")
    topup_maximum = DollarField(label="Most", help_text="The largest top-up.")
    topup_presets = DollarListField(
        label="Amounts", required=False, help_text="The buttons of the page, in dollars, one a line."
    )
    return_origins = ListField(
        label="Apps to return to",
        required=False,
        help_text="Where the page may lead back to, one a line, such as https://app.example.com.",
    )

    def topup(self) -> offers.TopUpSettings:
        """What the service is given."""
        given = self.cleaned_data
        return {
            "topup_minimum": given["topup_minimum"],
            "topup_maximum": given["topup_maximum"],
            "topup_presets": given["topup_presets"],
            "return_origins": given["return_origins"],
        }

    def check_topup(self) -> None:
        """Raises InvalidSetting."""
        for name in ("topup_minimum", "topup_maximum"):
            try:
                offers.payable(self.cleaned_data[name])
            except ApiError as refusal:
                self.add_error(name, self._sentence(refusal))
        if not self.errors:
            offers.check_topup(self.topup())
