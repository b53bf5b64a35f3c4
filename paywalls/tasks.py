"""The paywalls' part of the background work."""

from celery import shared_task

from paywalls import connections, signin
from paywalls.sessions import SessionStore


@shared_task
def forget_sign_in_codes() -> int:
    """Remove sign-in codes that are over; the number of them."""
    return signin.forget_codes()


@shared_task
def forget_authorization_requests() -> int:
    """Remove requests to connect that were over long ago; the number of them."""
    return connections.forget_requests()


@shared_task
def forget_sessions() -> None:
    """Remove sessions of browsers that have run out."""
    SessionStore.clear_expired()
