"""Keeping connections and plans in line with what is configured: what could not be done at once is done later."""

import logging
from datetime import timedelta

import stripe
from celery import current_app
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from config.secrets import UndecryptableSecret
from ledger.payments import accounts, integration, plans, stripe_api
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall

log = logging.getLogger("tollgate.payments")

# A price that was archived at Stripe is found out within this, and its plan is offered no more.
ASK_AGAIN = timedelta(days=1)

TASK = "ledger.tasks.keep_stripe_connected"


def soon() -> None:
    """Let a worker bring things in line now; the clock does where this message is lost."""
    try:
        current_app.send_task(TASK, ignore_result=True, retry=False, expires=60)
    except Exception as error:
        log.warning("no hint could be sent, the clock will do what it was about: %s", error)


def keep_connected() -> int:
    """Connect each owner whose stored key isn't, ask for plans' prices, end rotations; the failures.

    One at a time: who comes meanwhile waits, and finds things done. Not inside a transaction: it asks Stripe.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [TASK])
    try:
        return _keep_connected()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [TASK])


def _keep_connected() -> int:
    owners: list[Paywall | None] = [None, *Paywall.objects.exclude(stripe_secret_key="")]
    failed = sum(bool(connect_and_price(owner, by="system")) for owner in owners)
    try:
        integration.end_rotations()
    except (stripe.StripeError, accounts.NotConnected) as error:
        log.warning("a rotation could not be ended: %s", error)
        failed += 1
    return failed


def connect_and_price(owner: Paywall | None, *, by: str) -> list[str]:
    """Bring one owner's connection and plans in line; what is wrong, as lines for an operator."""
    try:
        account = integration.reconcile(owner, by=by)
    except (InvalidSetting, UndecryptableSecret) as error:
        problem = f"the Stripe key of {owner or 'the installation'} {error}"
        log.error("%s", problem)
        return [problem]
    if account is None or owner is None:
        return []
    faults = []
    due = Q(amount=None) | Q(checked_at__lte=timezone.now() - ASK_AGAIN)
    for plan in owner.plans.filter(due, is_active=True):
        try:
            fault = plans.refresh(plan, account)
        except (stripe.StripeError, accounts.NotConnected) as error:
            fault = stripe_api.reason(error) if isinstance(error, stripe.StripeError) else str(error)
        if fault:
            faults.append(f"the plan {plan.name} of {owner} is not offered: {fault}")
    return faults
