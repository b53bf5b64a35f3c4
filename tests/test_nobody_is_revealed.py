"""No page tells whether a user exists: what is known and what isn't are answered alike, to the byte."""

import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from config import ids, links
from ledger import topups
from paywalls import connections, playgrounds
from paywalls.users import UserRef
from tests.factories import make_connection, make_paywall, make_user, make_wallet_user

pytestmark = pytest.mark.django_db

KNOWN, UNKNOWN = "ann@home.test", "bea@home.test"
SIGN_IN, CODE = reverse("wallet-sign-in"), reverse("wallet-code")
_OF_THE_MOMENT = {"X-Request-Id", "Content-Length", "Expires"}
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')


@pytest.fixture(autouse=True)
def _mail_leaves(settings: Any) -> None:
    settings.SANDBOX_MAIL = False


def told(answer: HttpResponseBase, *own: str) -> tuple[Any, ...]:
    """All that a browser gets to know of an answer; `own` is what the asker typed, which it may repeat."""
    text = _TOKEN.sub("", getattr(answer, "content", b"").decode())
    for typed in own:
        text = text.replace(typed, "…")
    headers = {name: value for name, value in answer.items() if name not in _OF_THE_MOMENT}
    return answer.status_code, headers, sorted(answer.cookies), text


def altered(token: str) -> str:
    """As long, and none of ours."""
    return token[:-2] + ("AA" if token[-2:] != "AA" else "BB")


class TestSigningInToAWallet:
    def walk(self, email: str) -> list[Any]:
        """Every answer and mail of somebody who asks for codes and guesses."""
        client, seen = Client(), []
        for _ in range(2):
            seen.append(told(client.post(SIGN_IN, {"email": email}), email))
            seen.append(told(client.get(CODE), email))
        code = re.search(r"\d{6}", mail.outbox[-1].body)
        assert code
        wrong = f"{(int(code[0]) + 1) % 10**6:06d}"
        seen += [told(client.post(CODE, {"code": wrong}), email) for _ in range(6)]
        seen += [told(client.post(SIGN_IN, {"email": email.upper()}), email.upper(), email) for _ in range(5)]
        seen.append(sorted(client.session["wallet_sign_in"]))
        return seen

    def test_every_answer_and_every_mail_is_the_same_for_an_address_with_a_wallet_and_one_without(
        self,
    ) -> None:
        make_wallet_user(KNOWN)
        with_a_wallet = self.walk(KNOWN)
        mails = [re.sub(r"\d{6}", "…", f"{one.subject} {one.body}") for one in mail.outbox]
        mail.outbox.clear()
        without = self.walk(UNKNOWN)
        assert with_a_wallet == without
        assert mails == [re.sub(r"\d{6}", "…", f"{one.subject} {one.body}") for one in mail.outbox]
        assert [status for status, *_ in without[:-1]].count(429) > 0

    @pytest.mark.parametrize("signed_in", [True, False])
    def test_a_connection_of_somebody_else_is_answered_like_none(self, signed_in: bool) -> None:
        alice = UserRef(make_paywall(mode="shared").pk, "alice")
        theirs = make_connection(alice, make_wallet_user(KNOWN))
        client = Client()
        if signed_in:
            client.post(SIGN_IN, {"email": UNKNOWN})
            code = re.search(r"\d{6}", mail.outbox[-1].body)
            assert code
            assert client.post(CODE, {"code": code[0]})["Location"] == reverse("wallet")
        pages = [reverse("wallet-connection", args=[key]) for key in (theirs.pk, uuid.uuid4())]
        one, other = (told(client.post(page, {"action": "end"})) for page in pages)
        assert one == other
        assert one[0] == (404 if signed_in else 302)
        assert connections.live(alice) == theirs


class TestLinks:
    """Somebody who guesses, from a link that they have seen or from nothing, learns nothing from the answer."""

    def test_to_top_up(self) -> None:
        token = urlsplit(topups.link_for(make_user(external_id="alice"))).path.rpartition("/")[2]
        never = topups.token_of(ids.new())
        guesses = [altered(token), altered(never), never, "x" * len(token), "é"]
        for page in ("topup", "topup-status"):
            seen = [told(Client().get(reverse(page, args=[guess]))) for guess in guesses]
            assert all(one == seen[0] for one in seen)
            assert seen[0][0] == 404
        assert len({str(told(Client().post(reverse("topup", args=[guess])))) for guess in guesses}) == 1

    def test_to_connect(self) -> None:
        paywall = make_paywall(mode="shared")
        connected = make_connection(UserRef(paywall.pk, "alice"), make_wallet_user(KNOWN))
        asked = connections.link_for(UserRef(paywall.pk, "bob")).rpartition("/")[2]
        answered = connections.url_of(connected.user.authorization_requests.get()).rpartition("/")[2]
        never = links.token_of("paywalls.connections", ids.new())
        guesses = [altered(asked), altered(answered), altered(never), never, "x" * len(asked)]
        for method in ("get", "post"):
            pages = [reverse("connect", args=[guess]) for guess in guesses]
            seen = [told(getattr(Client(), method)(page, {"answer": "decline"})) for page in pages]
            assert all(one == seen[0] for one in seen)
            assert seen[0][0] == 404

    def test_to_a_playground(self) -> None:
        made = playgrounds.configure(make_paywall(), is_on=True)
        token = urlsplit(playgrounds.url_of(made)).path.rpartition("/")[2]
        assert Client().get(reverse("playground", args=[token])).status_code == 200
        seen = [
            told(Client().get(reverse("playground", args=[guess])))
            for guess in (altered(token), "x" * len(token))
        ]
        assert seen[0] == seen[1]
        assert seen[0][0] == 404
        for guess in (altered(token), "x" * len(token)):
            answer = Client().get(reverse("playground-account"), headers={"X-Playground-Link": guess})
            assert answer.status_code == 404


class TestOperators:
    def test_a_wrong_password_and_an_unknown_name_read_the_same(self) -> None:
        User.objects.create_user("ada", KNOWN, "right", is_staff=True)
        User.objects.create_user("bob", UNKNOWN, "right")
        page = reverse("admin:login")
        tries = (("ada", "wrong"), ("eve", "wrong"), ("bob", "right"), ("bob", "wrong"))
        seen = [
            told(Client().post(page, {"username": name, "password": password}), f'value="{name}"')
            for name, password in tries
        ]
        assert all(one == seen[0] for one in seen)
        assert seen[0][0] == 200

    def test_an_invitation_that_is_none_is_the_same_for_a_user_that_is_none(self) -> None:
        ada = User.objects.create_user("ada", KNOWN, is_staff=True)
        seen = []
        for key in (ada.pk, 999_999):
            place = reverse("operator-invitation", args=[urlsafe_base64_encode(force_bytes(key)), "abc-def"])
            seen.append(told(Client().get(place), place))
        assert seen[0] == seen[1]
