"""The hosted pages: where an end user adds money."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from config import money
from config.pages import hosted, problem
from ledger import queries, topups
from ledger.errors import BalanceTooLarge, Contention
from ledger.forms import OTHER, PRESETS, TopUpForm
from ledger.models import TopUpLink
from paywalls.users import UserRef

ASK_AGAIN = "Go back to your chat and send your message again: it will answer with a new link."


@hosted
@require_http_methods(["GET", "HEAD", "POST"])
def topup(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind a top-up link: pay, paid, or why it can't be."""
    try:
        link = topups.open_link(token)
    except topups.UnknownLink:
        return problem(
            "This link doesn't work", f"Check that it is complete. {ASK_AGAIN}", HTTPStatus.NOT_FOUND
        )
    except topups.ExpiredLink:
        return problem("This link has expired", ASK_AGAIN, HTTPStatus.GONE)
    if link.paid_at is not None:
        return HttpResponseRedirect(request.path) if request.method == "POST" else _paid(request, link)
    if not topups.sandbox_checkout_allowed(link.user.paywall):
        status = HTTPStatus.FORBIDDEN if request.method == "POST" else HTTPStatus.OK
        return _page(request, "topup/unavailable.html", link, status=status)
    if request.method == "POST":
        return _pay(request, link)
    return _form(request, link, TopUpForm(initial={"amount": PRESETS[1]}))


def _pay(request: HttpRequest, link: TopUpLink) -> HttpResponse:
    form = TopUpForm(request.POST)
    if not form.is_valid():
        return _form(request, link, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        topups.pay_in_sandbox(link, form.cleaned_data["nano"])
    except BalanceTooLarge as refusal:
        form.add_error(None, f"This can't be added: {refusal}.")
        return _form(request, link, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except Contention:
        form.add_error(None, "We are busy right now. Nothing was added; please press the button again.")
        return _form(request, link, form, status=HTTPStatus.SERVICE_UNAVAILABLE)
    # A page that answers a form would ask to send it again when reloaded.
    return HttpResponseRedirect(request.path)


def _form(
    request: HttpRequest, link: TopUpLink, form: TopUpForm, status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    return _page(request, "topup/pay.html", link, status=status, form=form, other=OTHER)


def _paid(request: HttpRequest, link: TopUpLink) -> HttpResponse:
    amount = topups.paid_amount(link)
    return _page(request, "topup/paid.html", link, added=None if amount is None else money.formatted(amount))


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
    shared = {"paywall": link.user.paywall, "balance": money.formatted(available)}
    return render(request, template, {**shared, **context}, status=status)
