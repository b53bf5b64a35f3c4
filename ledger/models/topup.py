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
    expires_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "-expires_at"], name="topup_link_of_user")]

    def __str__(self) -> str:
        return self.public_id
