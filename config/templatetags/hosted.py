"""What the templates of the hosted pages use."""

from django import template
from django.utils.translation import gettext as _

from config import localized
from config import money as amounts

register = template.Library()


@register.filter
def money(nano: int) -> str:
    """Nano-dollars as people write them in the page's language: exact, with at least cents."""
    return localized.shown(nano)


@register.filter
def plain(nano: int) -> str:
    """Nano-dollars as they go into a form's field."""
    return amounts.plain(nano)


@register.filter
def movement(kind: str) -> str:
    """A kind of transfer, as its owner reads it."""
    names = {
        "deposit": _("Money added"),
        "grant": _("Gift"),
        "trial": _("Gift"),
        "usage": _("Use"),
        "charge": _("Charge"),
        "expiry": _("Expired"),
        "refund": _("Refund"),
        "reversal": _("Payment taken back"),
        "transfer": _("Transfer"),
        "adjustment": _("Correction"),
    }
    return names.get(kind, kind)
