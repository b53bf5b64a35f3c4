"""Somebody at the hosted pages of a running installation, without a browser: cookies, forms and their tokens."""

import re

import requests


class Visitor:
    """`visitor.open(url)` shows a page, `visitor.send(url, amount="10")` sends its form; both follow redirects."""

    def __init__(self) -> None:
        self._session = requests.Session()

    def open(self, url: str) -> requests.Response:
        """A page."""
        return self._session.get(url, timeout=20)

    def send(self, url: str, *, form_at: str = "", **fields: str) -> requests.Response:
        """Send a form to `url`; it stands on that page, or on `form_at`."""
        page = self.open(form_at or url)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, page.text
        fields = {**fields, "csrfmiddlewaretoken": token[1]}
        return self._session.post(url, fields, headers={"Referer": page.url}, timeout=20)

    def sign_in(self, base: str, email: str) -> None:
        """Into the wallet of an address, with the code that the sandbox shows."""
        page = self.send(f"{base}/wallet/sign-in", email=email)
        code = re.search(r"\d{6}", re.sub("<[^>]+>", "", page.text.partition("notice")[2]))
        assert code, page.text
        page = self.send(page.url, code=code[0])
        assert page.url == f"{base}/wallet", page.text
