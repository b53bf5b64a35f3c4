"""Payments that somebody has to look at, as one operator alert."""

from ledger.alerts import raise_alert
from ledger.models import AutoCharge, CardRemoval, OperatorAlert, StripeCheckout, StripeEvent, StripePayment

_LINES = 10
# A card that is not gone from Stripe after so many tries (about two days) needs somebody.
TRIES_OF_A_REMOVAL = 18


def tell() -> None:
    """Raise the alert, or bring it up to date, where anything needs a look."""
    lines = [
        *(
            f"checkout {row} is not what was asked for, and was not credited: {row.error}"
            for row in StripeCheckout.objects.filter(state=StripeCheckout.State.MISMATCH).order_by("-id")[
                :_LINES
            ]
        ),
        *(
            f"event {row} could not be processed: {row.error}"
            for row in StripeEvent.objects.filter(state=StripeEvent.State.FAILED).order_by("-id")[:_LINES]
        ),
        *(
            f"auto top-up {row.pk}: {row.error}"
            for row in AutoCharge.objects.filter(state=AutoCharge.State.FAILED).order_by("-id")[:_LINES]
        ),
        *(
            f"the card {row} was forgotten here and is still at Stripe, remove it there: {row.error}"
            for row in CardRemoval.objects.filter(attempts__gte=TRIES_OF_A_REMOVAL).order_by("-id")[:_LINES]
        ),
        *(
            f"payment {row} is disputed: answer it at Stripe"
            for row in StripePayment.objects.filter(disputed=True).order_by("-id")[:_LINES]
        ),
    ]
    if lines:
        raise_alert(OperatorAlert.Kind.PAYMENTS, "\n".join(lines))
