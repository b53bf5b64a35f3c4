"""What the pages of a wallet's rows share: how they are found by their owner."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from config.admin import ReadOnlyAdmin
from ledger.models import Account
from paywalls.models import EndUser, Paywall

# Wallets that a search by an end user's id goes through at the most (the id may be known to many paywalls).
_WALLETS_FOUND = 100
USER_SEARCH = "The whole id of an end user"


class WalletRows(ReadOnlyAdmin):
    """Rows of a wallet: found by its owner, through the wallet's index rather than by joining every row."""

    wallet_field = "account"

    def search_words(
        self, request: HttpRequest, queryset: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not term:
            return queryset, False
        # By paywall, because the index of users begins with it.
        users = EndUser.objects.filter(external_id=term, paywall__in=Paywall.objects.values("pk"))
        mine = self.visible(request, Account).filter(user__in=users)
        wallets = mine.values_list("pk", flat=True)[:_WALLETS_FOUND]
        found = Q(**{f"{self.wallet_field}__in": list(wallets)})
        for field in self.search_fields:
            found |= Q(**{field: term})
        return queryset.filter(found), False
