"""The hosted pages: where an end user adds money."""

import logging
import uuid
from http import HTTPStatus

import stripe
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from config import localized
from config.pages import hosted, problem, with_scripts
from ledger import book, queries, topups
from ledger.errors import BalanceTooLarge, Contention
from ledger.forms import OTHER, AutoTopUpForm, TopUpForm
from ledger.models import Account, PlanSubscription, StripeAccount, StripeCheckout, TopUpLink
from ledger.payments import accounts, cards, checkout, offer, plans
from paywalls.models.paywall import WALLETS
from paywalls.users import UserRef

log = logging.getLogger("tollgate.payments")


@hosted
@require_http_methods(["GET", "HEAD", "POST"])
def topup(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind a top-up link: pay, paid, or why it can't be."""
    try:
        link = topups.open_link(token)
    except topups.UnknownLink:
        return problem(
            _("This link doesn't work"),
            f"{_('Check that it is complete.')} {_ask_again()}",
            HTTPStatus.NOT_FOUND,
        )
    except topups.ExpiredLink:
        return problem(_("This link has expired"), _ask_again(), HTTPStatus.GONE)
    except topups.ClosedLink:
        return problem(
            _("Nothing can be added here"),
            _(
                "This account is closed to payments. What you have paid stays on it; the app's support can help."
            ),
            HTTPStatus.GONE,
        )
    if link.paid_at is not None:
        return HttpResponseRedirect(request.path) if request.method == "POST" else _paid(request, link)
    if account := accounts.account_for(link.user.paywall):
        return _stripe(request, link, account)
    if not topups.sandbox_checkout_allowed(link.user.paywall):
        status = HTTPStatus.FORBIDDEN if request.method == "POST" else HTTPStatus.OK
        return _page(request, "topup/unavailable.html", link, status=status)
    if request.method == "POST":
        return _pay_in_sandbox(request, link)
    return _form(request, link, TopUpForm(paywall=link.user.paywall))


@hosted
@require_safe
def status(request: HttpRequest, token: str) -> HttpResponse:
    """What the waiting page asks: {"state": how the checkout stands}; one that changed is another page."""
    try:
        found = _checkout_of(topups.open_link(token), request.GET.get("checkout", ""))
    except (topups.UnknownLink, topups.ExpiredLink, topups.ClosedLink):
        found = None
    if found is None:
        return JsonResponse({"state": None}, status=HTTPStatus.NOT_FOUND)
    return JsonResponse({"state": checkout.look(found).state})


def _ask_again() -> str:
    return _("Go back to your chat and send your message again: it will answer with a new link.")


# --- The sandbox -----------------------------------------------------------------------------------------


def _pay_in_sandbox(request: HttpRequest, link: TopUpLink) -> HttpResponse:
    form = TopUpForm(request.POST, paywall=link.user.paywall)
    if not form.is_valid():
        return _form(request, link, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        topups.pay_in_sandbox(link, form.cleaned_data["nano"])
    except BalanceTooLarge:
        most = localized.short(book.MAX_BALANCE)
        form.add_error(None, _("This can't be added: a balance can be at most %(most)s.") % {"most": most})
        return _form(request, link, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except Contention:
        form.add_error(None, _("We are busy right now. Nothing was added; please press the button again."))
        return _form(request, link, form, status=HTTPStatus.SERVICE_UNAVAILABLE)
    # A page that answers a form would ask to send it again when reloaded.
    return HttpResponseRedirect(request.path)


# --- Stripe ----------------------------------------------------------------------------------------------


def _stripe(request: HttpRequest, link: TopUpLink, account: StripeAccount) -> HttpResponse:
    if request.method == "POST":
        return _act(request, link, account)
    if found := _checkout_of(link, request.GET.get("go", "")):
        if found.state == StripeCheckout.State.OPEN:
            return _page(request, "topup/leaving.html", link, url=found.url)
    elif found := _checkout_of(link, request.GET.get("checkout", "")):
        return _back(request, link, account, checkout.look(found))
    return _offer(request, link, account)


def _act(request: HttpRequest, link: TopUpLink, account: StripeAccount) -> HttpResponse:
    """Carry out what a button of the page asks for."""
    paywall, page = link.user.paywall, topups.url_of(link)
    form = TopUpForm(paywall=paywall)
    auto = AutoTopUpForm(paywall=paywall)
    wallet = Account.objects.get(user=link.user)
    try:
        match request.POST.get("do"):
            case "auto_off":
                cards.remove(wallet)
                return HttpResponseRedirect(request.path)
            case "cancel_plan":
                for row in _subscriptions(wallet):
                    plans.cancel(row)
                return HttpResponseRedirect(request.path)
            case "auto_on":
                auto = AutoTopUpForm(request.POST, paywall=paywall)
                if auto.is_valid():
                    return _leave(request, checkout.begin_setup(account, link, auto.cleaned_data, page=page))
            case "subscribe":
                wanted = request.POST.get("plan", "")
                for plan in plans.offered(paywall):
                    if plan.pk.hex == wanted and not _subscriptions(wallet):
                        return _leave(request, checkout.begin_subscription(account, link, plan, page=page))
                return HttpResponseRedirect(request.path)
            case _:
                form = TopUpForm(request.POST, paywall=paywall)
                if form.is_valid():
                    amount = form.cleaned_data["nano"]
                    return _leave(request, checkout.begin_payment(account, link, amount, page=page))
    except (checkout.CheckoutFailed, accounts.NotConnected, stripe.StripeError) as error:
        log.error("the top-up page could not reach Stripe: %s", error)
        return _offer(request, link, account, form, auto, failed=True, status=HTTPStatus.BAD_GATEWAY)
    return _offer(request, link, account, form, auto, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def _leave(request: HttpRequest, begun: StripeCheckout) -> HttpResponse:
    """Over a page of ours: a browser's form-action policy would stop a form that is redirected to Stripe itself."""
    return HttpResponseRedirect(f"{request.path}?go={begun.pk.hex}")


def _back(
    request: HttpRequest, link: TopUpLink, account: StripeAccount, found: StripeCheckout
) -> HttpResponse:
    """The page after Stripe: it waits until the credit is there."""
    if _is_waiting(found):
        processing = found.state == StripeCheckout.State.PROCESSING
        return with_scripts(
            _page(
                request,
                "topup/waiting.html",
                link,
                checkout=found,
                processing=processing,
                token=topups.token_of(link.id),
                again=request.get_full_path(),
            )
        )
    if found.state == StripeCheckout.State.DONE:
        return HttpResponseRedirect(request.path)
    return _offer(request, link, account, unpaid=found.state)


def _is_waiting(found: StripeCheckout) -> bool:
    return found.state in StripeCheckout.LIVE


def _checkout_of(link: TopUpLink, key: str) -> StripeCheckout | None:
    try:
        return link.checkouts.select_related("account__paywall", "wallet", "plan").get(pk=uuid.UUID(hex=key))
    except (ValueError, StripeCheckout.DoesNotExist):
        return None


def _subscriptions(wallet: Account) -> list[PlanSubscription]:
    live = PlanSubscription.objects.filter(wallet=wallet, status__in=PlanSubscription.LIVE)
    return list(live.select_related("plan", "account__paywall"))


def _offer(
    request: HttpRequest,
    link: TopUpLink,
    account: StripeAccount,
    form: TopUpForm | None = None,
    auto: AutoTopUpForm | None = None,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    **context: object,
) -> HttpResponse:
    paywall = link.user.paywall
    wallet = Account.objects.select_related("auto_topup").get(user=link.user)
    card = cards.card_of(wallet)
    subscribed = _subscriptions(wallet)
    shown = {
        "stripe": True,
        "test_mode": not account.livemode,
        "card": card,
        "wallet": wallet,
        "auto": auto or AutoTopUpForm(paywall=paywall),
        "subscribed": subscribed,
        "plans": [] if subscribed else plans.offered(paywall),
        **context,
    }
    return _form(request, link, form or TopUpForm(paywall=paywall), status=status, **shown)


# --- Pages -----------------------------------------------------------------------------------------------


def _form(
    request: HttpRequest,
    link: TopUpLink,
    form: TopUpForm,
    status: HTTPStatus = HTTPStatus.OK,
    **context: object,
) -> HttpResponse:
    bought = offer.buys((link.asked_by or link.user).paywall)
    return _page(
        request, "topup/pay.html", link, status=status, form=form, other=OTHER, bought=bought, **context
    )


def _paid(request: HttpRequest, link: TopUpLink) -> HttpResponse:
    amount = topups.paid_amount(link)
    real = link.checkouts.filter(state=StripeCheckout.State.DONE).exists()
    begun = link.checkouts.filter(
        purpose=StripeCheckout.Purpose.SUBSCRIPTION, state=StripeCheckout.State.DONE
    )
    plan = begun.values_list("plan__name", flat=True).first()
    return _page(request, "topup/paid.html", link, amount=amount, plan=plan, stripe=real)


def _page(
    request: HttpRequest,
    template: str,
    link: TopUpLink,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    **context: object,
) -> HttpResponse:
    user = UserRef(link.user.paywall_id, link.user.external_id)
    available = queries.balance_of(user).available
    paywall = link.user.paywall
    is_wallet = paywall.pk == WALLETS
    shared = {"paywall": paywall, "link": link, "balance": available, "is_wallet": is_wallet}
    return render(request, template, {**shared, **context}, status=status)
