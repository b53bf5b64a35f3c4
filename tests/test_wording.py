"""What the paywall says in the model's place: two variables, filled in once, and never without its link."""

import pytest

from paywalls import services, wording
from paywalls.errors import InvalidSetting
from paywalls.wording import Case, Wording, render
from tests.factories import make_paywall

URL = "https://pay.test/t/abc"


@pytest.mark.parametrize("case", Case)
def test_every_default_is_a_template_that_is_allowed(case: Case) -> None:
    wording.check(wording.DEFAULTS[case], case)
    said = render("", case, name="Acme", url=URL)
    assert "{{" not in said
    assert (URL in said) == (case in wording.LINKED)


def test_both_variables_are_filled_in_with_or_without_blanks() -> None:
    template = "{{name}} ({{ name }}): {{url}} {{  url  }}"
    assert render(template, Case.INSUFFICIENT_FUNDS, name="Acme", url=URL) == f"Acme (Acme): {URL} {URL}"


def test_what_is_filled_in_is_never_a_template_itself() -> None:
    """A name that looks like one can't bring another link, or a second one."""
    said = render("{{ name }}: {{ url }}", Case.INSUFFICIENT_FUNDS, name="{{ url }}", url="{{ name }}")
    assert said == "{{ url }}: {{ name }}"


@pytest.mark.parametrize(
    ("template", "case", "message"),
    [
        ("Pay: {{ link }} {{ url }}", Case.INSUFFICIENT_FUNDS, "{{ link }} is none of them"),
        ("{{ url.__class__ }} {{ url }}", Case.INSUFFICIENT_FUNDS, "is none of them"),
        ("{{ url|safe }} {{ url }}", Case.INSUFFICIENT_FUNDS, "is none of them"),
        ("Top up!", Case.INSUFFICIENT_FUNDS, "must hold {{ url }}"),
        ("Connect, {{ name }}", Case.AUTHORIZATION_REQUIRED, "must hold {{ url }}"),
        ("Try {{ url }}", Case.PROVIDER_ERROR, "must use {{ name }} only"),
        ("{{ url }} {% load x %}", Case.INSUFFICIENT_FUNDS, "no {% tags %}"),
        ("{{ url }} {{ name", Case.INSUFFICIENT_FUNDS, "only around a variable"),
        ("{{{{ url }}}}", Case.INSUFFICIENT_FUNDS, "none of them"),
    ],
)
def test_what_can_t_be_rendered_is_refused_when_it_is_saved(template: str, case: Case, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        wording.check(template, case)


@pytest.mark.django_db
class TestSettings:
    def test_a_paywalls_own_words_go_before_the_defaults(self) -> None:
        paywall = make_paywall(name="Acme", funds_template="Geld her: {{ url }} ({{ name }})")
        words = Wording.of(paywall)
        assert words.text(Case.INSUFFICIENT_FUNDS, URL) == f"Geld her: {URL} (Acme)"
        assert words.text(Case.PROVIDER_ERROR) == wording.DEFAULTS[Case.PROVIDER_ERROR]

    @pytest.mark.parametrize(
        ("setting", "value", "param"),
        [
            ("funds_template", "no link", "funds_template"),
            ("funds_template", "{{ url }}" + "x" * 2_000, "funds_template"),
            ("replies", "shout", "replies"),
            ("user_headers", ["X Bad"], "user_headers"),
            ("user_headers", ["Authorization"], "user_headers"),
            ("user_headers", ["X-Paywall-User"], "user_headers"),
            ("user_headers", ["X-A", "x-a"], "user_headers"),
            ("user_headers", "X-A", "user_headers"),
            ("allowed_origins", ["app.acme.test"], "allowed_origins"),
            ("allowed_origins", ["https://app.acme.test/path"], "allowed_origins"),
            ("allowed_origins", ["*", "https://app.acme.test"], "allowed_origins"),
            ("jwks_url", "ftp://id.test", "jwks_url"),
            ("jwks_url", "https://10.0.0.1/jwks", "jwks_url"),
            ("jwks_url", "https://id.test/jwks", "jwt_issuer"),
            ("jwt_issuer", "https://id.test", "jwt_audience"),
            ("response_url", "https://app.test/words", "response_secret"),
            ("response_url", "http://169.254.169.254/", "response_url"),
            ("response_secret", "short", "response_secret"),
        ],
    )
    def test_what_can_t_be_is_refused_at_its_setting(self, setting: str, value: object, param: str) -> None:
        with pytest.raises(InvalidSetting) as refused:
            services.update_paywall(make_paywall(), **{setting: value})  # type: ignore[misc]
        assert refused.value.param == param

    def test_a_stored_secret_is_encrypted_and_stays_until_another_comes(self) -> None:
        secret = "whsec_" + "A" * 32
        paywall = make_paywall(response_url="https://app.test/words", response_secret=secret)
        stored = paywall.response_secret
        assert secret not in stored
        assert not services.update_paywall(paywall, response_url="https://app.test/words")
        assert not services.update_paywall(paywall, response_secret=secret)
        assert services.update_paywall(paywall, response_secret="whsec_" + "B" * 32)
        assert paywall.response_secret != stored
        with pytest.raises(InvalidSetting):
            services.update_paywall(paywall, response_secret="")
