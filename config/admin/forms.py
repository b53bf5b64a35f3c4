"""Form fields and the form of settings."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from config import money
from config.errors import ApiError


class DollarField(forms.Field):
    """Nano-dollars, edited as the exact decimal of US dollars."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{
                "widget": UnfoldAdminTextInputWidget(
                    attrs={"inputmode": "decimal", "prefix": "$", "class": "dollars"}
                ),
                **options,
            }
        )

    def prepare_value(self, value: Any) -> Any:
        """What the input shows: the decimal, or what was typed where that is no amount."""
        return money.plain(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> int | None:
        """The nano-dollars of what was typed."""
        if isinstance(value, int):
            return value
        text = str(value or "").strip().removeprefix("$")
        if not text:
            return None
        try:
            return money.parse(text, zero=True)
        except money.InvalidAmount as error:
            raise forms.ValidationError(f"This {error}.") from None


class PercentField(forms.DecimalField):
    """A percentage, shown without trailing zeros."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{"widget": UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "suffix": "%"}), **options}
        )

    def prepare_value(self, value: Any) -> Any:
        """What the input shows."""
        return f"{value.normalize():f}" if isinstance(value, Decimal) else value


class SecretField(forms.CharField):
    """A secret that can be written but not read: the page never holds the stored one."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False)
        super().__init__(**{"widget": widget, "required": False, **options})


class LinesField(forms.Field):
    """A text of a few lines."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false"})


class ListField(forms.Field):
    """A list of texts, one a line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """What the input shows."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        """The lines that say something."""
        lines = value if isinstance(value, list) else str(value or "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another list was typed than is stored."""
        return (initial or []) != self.to_python(data)


class SwitchField(forms.BooleanField):
    """Yes or no."""

    widget = UnfoldBooleanSwitchWidget


class SettingsForm(forms.ModelForm):
    """A form whose fields obey the same rules as every other way to write them.

    `rules` names the rule of each field; `check_settings` runs what a service checks beyond single fields.
    Both refuse with ApiError, whose message is shown at its field.
    """

    rules: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    # The form's name of a setting, where it has another.
    shown_at: ClassVar[Mapping[str, str]] = {}

    def clean(self) -> dict[str, Any]:
        """The settings as services take them."""
        super().clean()
        for name, rule in self.rules.items():
            if name in self.cleaned_data:
                try:
                    self.cleaned_data[name] = rule(self.cleaned_data[name])
                except ApiError as refusal:
                    self.add_error(name, self._sentence(refusal))
        if not self.errors:
            try:
                self.check_settings()
            except ApiError as refusal:
                field = self.shown_at.get(refusal.param or "", refusal.param)
                self.add_error(field if field in self.fields else None, self._sentence(refusal))
        return self.cleaned_data

    def known(self) -> Any:
        """The row that is changed, as the database has it (while the form is checked); None for a new one."""
        return None if self.instance._state.adding else self.instance

    def settings(self) -> dict[str, Any]:
        """What the service is given."""
        return {name: self.cleaned_data[name] for name in self.rules if name in self.cleaned_data}

    def check_settings(self) -> None:
        """Raise ApiError where the settings don't fit each other, or what is there already."""

    def _sentence(self, refusal: ApiError) -> str:
        return f"This {refusal.message}."
