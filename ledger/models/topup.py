"""Top-up links: where an end user goes to add money."""

from django.db import models

from config.models import Row


class TopUpLink(Row):
    """A link that adds money to one end user's wallet, until it is paid or expires.

    The token in the URL is made from the key and SECRET_KEY (`ledger/topups.py`), so a copy of this table opens
    nobody's page.
    """

    public_kind = "link"

    user = models.ForeignKey("paywalls.EndUser", on_delete=models.CASCADE, related_name="topup_links")
    # In shared mode the wallet is the installation's, and the app in whose chat the link was shown is told.
    asked_by = models.ForeignKey(
        "paywalls.EndUser",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="The end user of a shared paywall in whose chat the link was shown.",
    )
    expires_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)
    return_url = models.CharField(
        max_length=2_000, blank=True, default="", help_text="Where in the app the end user goes on."
    )

    class Meta:
        indexes = [models.Index(fields=["user", "-expires_at"], name="topup_link_of_user")]

    def __str__(self) -> str:
        return self.public_id
