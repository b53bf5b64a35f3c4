"""Credits of a tenant, its teams and its users."""

from decimal import Decimal
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import ids
from config.errors import ApiError, NotFound
from config.openapi import IDEMPOTENCY_KEY, tenant_errors
from config.wire import exact, stamp
from ledger import idempotency
from ledger.metering import wallets
from ledger.models import Account, Transfer
from ledger.rating import credits
from ledger.serializers.credits import (
    BalanceAnswer,
    GrantAnswer,
    GrantRequest,
    PurchaseAnswer,
    PurchaseRequest,
    TransactionsPage,
    UserCreditsAnswer,
    UserTransactionsAnswer,
)
from ledger.views.tenant import CreditView
from paywalls import identity
from paywalls.tenants import home_of
from paywalls.users import UserRef

TAGS = ["Credits"]
USER = OpenApiParameter("user_id", str, OpenApiParameter.PATH, description="The app's own id of the user.")
CURRENCY = "CREDITS"


class WalletView(CreditView):
    """What the endpoints share: amounts are credits, at the tenant's rate."""

    def credits(self, nano: int) -> Decimal:
        return credits.of(nano, self.tenant.credits_per_usd)

    def nano(self, amount: Decimal) -> int:
        """Raises InvalidCredits."""
        return credits.nano(amount, self.tenant.credits_per_usd)

    def user(self, user_id: str) -> UserRef:
        """The user of the tenant's home with this id. Raises InvalidUser."""
        home_id = self.caller.home_id or home_of(self.tenant).pk
        return UserRef(home_id, identity.check_external_id(user_id, "userId"))

    def wallet_of(self, user_id: str) -> Account:
        """Raises NotFound where there is no such user, or without a wallet."""
        ref = self.user(user_id)
        found = Account.objects.filter(user__paywall_id=ref.paywall_id, user__external_id=ref.external_id)
        account = found.first()
        if account is None:
            raise NotFound("This user has no wallet. Grant or sell them credits, or report usage of theirs.")
        return account


class BalanceView(WalletView):
    @extend_schema(
        operation_id="getCustomerCredits",
        summary="The customer's own wallet",
        tags=TAGS,
        responses={200: OpenApiResponse(BalanceAnswer, "In credits."), **tenant_errors(404)},
    )
    def get(self, request: Request) -> Response:
        account = Account.objects.filter(customer=self.tenant).first()
        if account is None:
            raise NotFound("The customer has no wallet of its own yet. Grant it credits.")
        now = wallets.balance(account)
        amounts = {
            "balance": now.posted,
            "reservedBalance": now.held,
            "availableBalance": now.posted - now.held,
        }
        told = {name: exact(self.credits(nano)) for name, nano in amounts.items()}
        return Response({"data": {**told, "currency": CURRENCY}})


class UserCreditsView(WalletView):
    @extend_schema(
        operation_id="getUserCredits",
        summary="A user's wallet",
        tags=TAGS,
        parameters=[USER],
        responses={200: OpenApiResponse(UserCreditsAnswer, "In credits."), **tenant_errors(404)},
    )
    def get(self, request: Request, user_id: str) -> Response:
        now = wallets.balance(self.wallet_of(user_id))
        told = {
            "balance": self.credits(now.posted),
            "reserved": self.credits(now.held),
            "available": self.credits(now.posted - now.held),
            "expiresAt": stamp(now.expires_at),
        }
        return Response({"data": told})


class PurchaseView(WalletView):
    @extend_schema(
        operation_id="purchaseCredits",
        summary="Add credits that a user paid for",
        tags=TAGS,
        parameters=[IDEMPOTENCY_KEY],
        request=PurchaseRequest,
        responses={
            200: OpenApiResponse(PurchaseAnswer, "The new balance, in credits."),
            **tenant_errors(409, 413, 415, 422),
        },
    )
    def post(self, request: Request) -> Response:
        """You took the money yourself: `purchasePrice` is kept with the transaction. Send an Idempotency-Key, so that
        a retry adds nothing."""
        asked = self.read(PurchaseRequest)
        user, amount = self.user(asked["userId"]), self.nano(asked["amount"])
        price = exact(asked["purchasePrice"])
        expires_at = _ahead(asked.get("expiresAt"))
        body = {"user": user.external_id, "amount": amount, "price": price, "expires": stamp(expires_at)}

        def effect(source: str) -> idempotency.Answer:
            metadata = {"reason": "Purchase", "purchase_price": price}
            receipt = wallets.purchase(user, amount, source=source, expires_at=expires_at, metadata=metadata)
            # Kept as JSON: a string, since a JSON number would come back as a float.
            return idempotency.Answer({"id": str(receipt.transfer_id), "balance": str(receipt.balance_after)})

        answer = idempotency.once(
            "credits.purchase", user.paywall_id, request.headers.get("Idempotency-Key"), body, effect
        )
        told = {
            "transactionId": answer.body["id"],
            "newBalance": self.credits(int(answer.body["balance"])),
        }
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
        return Response({"data": told}, headers=headers)


class GrantView(WalletView):
    @extend_schema(
        operation_id="grantCredits",
        summary="Give credits to a user, a team or the customer",
        tags=TAGS,
        request=GrantRequest,
        responses={
            200: OpenApiResponse(GrantAnswer, "The transaction; the first one where the key is known."),
            **tenant_errors(409, 413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        asked = self.read(GrantRequest)
        owner: wallets.Owner
        if "userId" in asked and "teamId" in asked:
            raise ApiError("teamId: give a userId or a teamId, not both.", code="validation_error")
        if "userId" in asked:
            owner = self.user(asked["userId"])
        elif "teamId" in asked:
            team_id = identity.check_external_id(asked["teamId"], "teamId")
            owner = wallets.TeamRef(self.tenant.pk, team_id)
        else:
            owner = wallets.CustomerRef(self.tenant.pk)
        key = asked.get("idempotencyKey")
        receipt = wallets.grant(
            owner,
            self.nano(asked["amount"]),
            source=wallets.grant_source(self.tenant.pk, key) if key else f"grant:{ids.new().hex}",
            expires_at=_ahead(asked.get("expiresAt"), known=bool(key)),
            metadata={"reason": asked.get("reason", ""), **asked.get("metadata", {})},
        )
        told = {
            "transactionId": str(receipt.transfer_id),
            "walletId": str(receipt.account_id),
            "newBalance": exact(self.credits(receipt.balance_after)),
            "amount": exact(self.credits(receipt.amount)),
        }
        return Response({"data": told}, headers={"Idempotent-Replayed": "true"} if receipt.replayed else {})


class TransactionsView(WalletView):
    @extend_schema(
        operation_id="listUserTransactions",
        summary="What changed a user's credits, newest first",
        tags=TAGS,
        parameters=[USER, TransactionsPage],
        responses={200: OpenApiResponse(UserTransactionsAnswer, "A page."), **tenant_errors()},
    )
    def get(self, request: Request, user_id: str) -> Response:
        asked = self.read(TransactionsPage, request.query_params)
        try:
            account = self.wallet_of(user_id)
        except NotFound:
            page, total = [], 0
        else:
            page = wallets.transactions(account, asked["limit"], asked["offset"])
            total = account.version
        return Response(
            {
                "data": [self.transaction(transfer) for transfer in page],
                "pagination": {"limit": asked["limit"], "offset": asked["offset"], "total": total},
            }
        )

    def transaction(self, transfer: Transfer) -> dict[str, Any]:
        described = transfer.metadata.get("reason") or transfer.metadata.get("model")
        return {
            "id": str(transfer.pk),
            "transactionType": wallets.type_of(transfer),
            "amount": self.credits(transfer.balance_after - transfer.balance_before),
            "balanceBefore": self.credits(transfer.balance_before),
            "balanceAfter": self.credits(transfer.balance_after),
            "description": str(described) if described else str(transfer.get_kind_display()),
            "createdAt": stamp(transfer.created_at),
        }


def _ahead(moment: Any, *, known: bool = False) -> Any:
    """An expiry that lies ahead; a replayed grant's may be over by now."""
    if moment is not None and not known and moment <= timezone.now():
        raise ApiError("expiresAt: must be in the future.", code="validation_error")
    return moment
