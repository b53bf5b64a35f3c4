"""Wallet users: people with one wallet for all shared paywalls of the installation, and how they sign in."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from config.models import Row
from paywalls.models.enduser import EndUser


class WalletUser(Row):
    """A person, known by the e-mail address that they proved to read.

    Their wallet is that of `user`, an end user of the installation's own paywall. They are no
    operators and have no password: Django's accounts are the operators'. `session_epoch` is in each of their sessions;
    raising it ends them all.
    """

    public_kind = "wallet_user"

    user = models.OneToOneField(EndUser, on_delete=models.PROTECT, related_name="wallet_user")
    email = models.EmailField(unique=True)
    session_epoch = models.PositiveIntegerField(default=0, editable=False)
    signed_in_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower("email")), name="wallet_user_email_in_lower_case"),
        ]

    def __str__(self) -> str:
        return self.email


class SignInCode(Row):
    """A one-time code that was mailed to an address, whether or not anybody is known by it.

    Only a keyed digest is kept. It works once, until it expires, for a few tries, in the browser that asked for it.
    `address` is the IP address that asked, for the throttle.
    """

    email = models.EmailField()
    digest = models.CharField(max_length=64, editable=False)
    expires_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["email", "-created_at"], name="sign_in_code_of_email"),
            models.Index(fields=["address", "-created_at"], name="sign_in_code_of_address"),
        ]

    def __str__(self) -> str:
        return f"code for {self.email}"
