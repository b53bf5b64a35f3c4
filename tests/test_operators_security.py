"""Operators' log-in: codes taken once, failures throttled by address, sessions that can be ended."""

import re
import time
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.admin.account import throttle
from paywalls import sessions, twofactor
from paywalls.models import AuditEntry, Membership, SecondFactor, Session
from paywalls.roles import Role
from tests.factories import make_tenant
from tests.test_admin import page

pytestmark = pytest.mark.django_db

PASSWORD = "a-fine-day-for-tolls"
LOGIN, CODE = "/admin/login/", "/admin/login/code/"
ACCOUNT, TWO_FACTOR = "/admin/account/", "/admin/account/two-factor/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada", password=PASSWORD)


def code_of(user: User, step: int = 0) -> str:
    """What the user's app shows, so many steps of thirty seconds from now."""
    factor = SecondFactor.objects.get(user=user)
    return pyotp.TOTP(twofactor.plain_secret(factor)).at(int(time.time()) + 30 * step)


def switched_on(user: User) -> list[str]:
    """Two-factor log-in, set up long ago; the recovery codes."""
    twofactor.begin(user)
    codes = twofactor.confirm(user, code_of(user))
    SecondFactor.objects.filter(user=user).update(last_step=0)
    return codes


def log_in(browser: Client, user: User, password: str = PASSWORD, **options: Any) -> Any:
    return browser.post(LOGIN, {"username": user.username, "password": password}, **options)


def is_in(browser: Client) -> bool:
    return browser.get(ACCOUNT).status_code == 200


# --- Codes ---------------------------------------------------------------------------------------------------


def test_it_is_set_up_with_the_password_and_a_code_and_asked_for_from_then_on(ada: User) -> None:
    browser, elsewhere = Client(), Client()
    for one in (browser, elsewhere):
        assert log_in(one, ada).status_code == 302
    shown = browser.get(TWO_FACTOR).content.decode()
    assert "<svg" in shown
    secret = re.search(r"data-secret>([A-Z2-7 ]+)<", shown)
    assert secret
    code = pyotp.TOTP(secret[1].replace(" ", "")).now()
    wrong = browser.post(TWO_FACTOR, {"password": "not it", "code": code})
    assert "This is not your password." in wrong.content.decode()
    assert not twofactor.is_on(ada)
    done = browser.post(TWO_FACTOR, {"password": PASSWORD, "code": code}).content.decode()
    assert len(re.findall("data-recovery", done)) == twofactor.RECOVERY_CODES
    assert is_in(browser)
    assert not is_in(elsewhere), "it was opened without a code"

    later = Client()
    assert log_in(later, ada).headers["Location"] == CODE
    assert not is_in(later), "the password alone opens nothing"
    assert later.post(CODE, {"code": code_of(ada, 1)}).status_code == 302
    assert is_in(later)


def test_a_code_is_taken_once(ada: User) -> None:
    switched_on(ada)
    now, before = code_of(ada), code_of(ada, -1)
    twofactor.check(ada, now)
    for spent in (now, before):
        with pytest.raises(twofactor.Refused, match="used before"):
            twofactor.check(ada, spent)


def test_a_code_of_another_time_is_refused(ada: User) -> None:
    switched_on(ada)
    for step in (-3, 3):
        with pytest.raises(twofactor.Refused):
            twofactor.check(ada, code_of(ada, step))


def test_wrong_codes_make_it_wait_but_never_for_long_and_a_recovery_code_goes_past(ada: User) -> None:
    codes = switched_on(ada)
    SecondFactor.objects.filter(user=ada).update(failures=10_000, failed_at=timezone.now())
    with pytest.raises(twofactor.Refused, match="Too many wrong codes"):
        twofactor.check(ada, code_of(ada))
    twofactor.check(ada, codes[0].upper().replace("-", " "))
    SecondFactor.objects.filter(user=ada).update(failed_at=timezone.now() - twofactor.LONGEST_WAIT)
    twofactor.check(ada, code_of(ada))
    assert SecondFactor.objects.get(user=ada).failures == 0


def test_a_wrong_code_counts(ada: User) -> None:
    switched_on(ada)
    right = code_of(ada)
    with pytest.raises(twofactor.Refused):
        twofactor.check(ada, f"{(int(right) + 1) % 10**6:06}")
    assert SecondFactor.objects.get(user=ada).failures >= 1


def test_a_recovery_code_logs_in_once(ada: User) -> None:
    codes = switched_on(ada)
    for expected in (True, False):
        browser = Client()
        log_in(browser, ada)
        browser.post(CODE, {"code": codes[3]})
        assert is_in(browser) is expected


def test_new_recovery_codes_replace_the_old(ada: User) -> None:
    old = switched_on(ada)
    browser = Client()
    browser.force_login(ada)
    shown = browser.post("/admin/account/recovery-codes/", {"password": PASSWORD, "code": code_of(ada)})
    [new, *_] = re.findall(r"data-recovery>([a-z2-7-]+)<", shown.content.decode())
    with pytest.raises(twofactor.Refused):
        twofactor.check(ada, old[0])
    twofactor.check(ada, new)


def test_the_secret_is_encrypted_and_the_recovery_codes_are_hashed(ada: User) -> None:
    codes = switched_on(ada)
    factor = SecondFactor.objects.get()
    assert twofactor.plain_secret(factor) not in factor.secret
    assert factor.secret.startswith("gAAAA")
    assert not {code.replace("-", "") for code in codes} & set(factor.recovery_digests)


def test_it_is_switched_off_with_the_password_and_a_code_only(ada: User) -> None:
    switched_on(ada)
    browser = Client()
    browser.force_login(ada)
    browser.post(TWO_FACTOR, {"password": PASSWORD, "code": "000"})
    assert twofactor.is_on(ada)
    assert browser.post(TWO_FACTOR, {"password": PASSWORD, "code": code_of(ada)}).status_code == 302
    assert not twofactor.is_on(ada)


def test_the_second_step_needs_the_first_and_a_password_that_still_is(ada: User) -> None:
    switched_on(ada)
    stranger = Client()
    assert stranger.post(CODE, {"code": code_of(ada)}).headers["Location"] == LOGIN
    browser = Client()
    log_in(browser, ada)
    ada.set_password("another-fine-day")
    ada.save()
    assert browser.post(CODE, {"code": code_of(ada)}).headers["Location"] == LOGIN
    assert not is_in(browser)


def test_where_it_is_required_nothing_else_opens_without_it(ada: User, settings: Any) -> None:
    settings.OPERATOR_2FA_REQUIRED = True
    browser = Client()
    log_in(browser, ada)
    for path in ("/admin/", "/admin/paywalls/paywall/", "/admin/find/", ACCOUNT):
        assert browser.get(path).headers["Location"] == TWO_FACTOR, path
    browser.get(TWO_FACTOR)
    browser.post(TWO_FACTOR, {"password": PASSWORD, "code": code_of(ada)})
    assert browser.get("/admin/").status_code == 200

    # Who set it up elsewhere logs in again.
    other = Client()
    other.force_login(ada)
    assert other.get("/admin/").headers["Location"] == LOGIN
    assert not is_in(other)


def test_a_log_in_leads_on_to_where_one_wanted_to_but_nowhere_else(ada: User) -> None:
    switched_on(ada)
    wanted = reverse("admin:paywalls_paywall_changelist")
    for asked, step, led in ((wanted, 0, wanted), ("https://evil.test/", 1, "/admin/")):
        browser = Client()
        credentials = {"username": "ada", "password": PASSWORD}
        browser.post(f"{LOGIN}?next={asked}", credentials)
        assert browser.post(CODE, {"code": code_of(ada, step)}).headers["Location"] == led


# --- Throttling ------------------------------------------------------------------------------------------------


def test_failed_log_ins_lock_the_address_out_for_a_while_and_nobody_else(ada: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    attacker = {"REMOTE_ADDR": "203.0.113.7"}
    for _ in range(2):
        assert log_in(Client(), ada, "guess", **attacker).status_code == 200
    told = log_in(Client(), ada, "guess", **attacker)
    assert told.status_code == 429
    assert "15 minutes" in told.content.decode()
    assert told.headers["Retry-After"] == "900"
    # Not even with the right password from there, and with it at once from elsewhere.
    assert log_in(Client(), ada, **attacker).status_code == 429
    assert log_in(Client(), ada).status_code == 302
    # A try in between does not prolong it.
    from axes.models import AccessAttempt

    AccessAttempt.objects.update(
        attempt_time=timezone.now() - settings.AXES_COOLOFF_TIME - timedelta(seconds=1)
    )
    assert log_in(Client(), ada, **attacker).status_code == 302


def test_tries_during_a_lock_out_are_not_counted(ada: User, settings: Any) -> None:
    from axes.models import AccessAttempt

    settings.AXES_FAILURE_LIMIT = 1
    log_in(Client(), ada, "guess")
    before = list(AccessAttempt.objects.values("attempt_time", "failures_since_start"))
    assert log_in(Client(), ada, "guess").status_code == 429
    assert list(AccessAttempt.objects.values("attempt_time", "failures_since_start")) == before


def test_wrong_codes_lock_out_too(ada: User, settings: Any) -> None:
    switched_on(ada)
    settings.AXES_FAILURE_LIMIT = 2
    browser = Client()
    log_in(browser, ada)
    assert browser.post(CODE, {"code": "wrong"}).status_code == 200
    assert browser.post(CODE, {"code": "wrong"}).status_code == 429
    assert browser.post(CODE, {"code": code_of(ada)}).status_code == 429
    assert not is_in(browser)


@pytest.mark.parametrize(
    ("seen", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("", "0.0.0.0"),
        ("a unix socket", "0.0.0.0"),
    ],
)
def test_failures_are_counted_by_the_clients_network(seen: str, counted: str, rf: Any) -> None:
    assert throttle.client_address(rf.get("/", REMOTE_ADDR=seen)) == counted


def test_log_ins_and_lock_outs_are_in_the_audit_log_once(settings: Any) -> None:
    tenant = make_tenant()
    user = User.objects.create_user("finn", password=PASSWORD, is_staff=True)
    Membership.objects.create(user=user, tenant=tenant, role=Role.OWNER)
    settings.AXES_FAILURE_LIMIT = 2
    log_in(Client(), user)
    for _ in range(4):
        log_in(Client(), user, "guess", REMOTE_ADDR="203.0.113.7")
    entries = AuditEntry.objects.order_by("pk").values_list(
        "actor", "subject_type", "subject", "address", "tenant"
    )
    assert list(entries) == [
        ("finn", "POST", LOGIN, "127.0.0.1", tenant.pk),
        ("finn", "locked out", LOGIN, "203.0.113.7", tenant.pk),
    ]


def test_setting_up_and_switching_off_are_audited_without_the_secret(ada: User) -> None:
    browser = Client()
    browser.force_login(ada)
    browser.get(TWO_FACTOR)
    browser.post(TWO_FACTOR, {"password": PASSWORD, "code": code_of(ada)})
    SecondFactor.objects.update(last_step=0)
    browser.post(TWO_FACTOR, {"password": PASSWORD, "code": code_of(ada)})
    entries = AuditEntry.objects.filter(subject_type="paywalls_secondfactor").order_by("pk")
    assert [entry.action for entry in entries] == ["update", "update", "delete"]
    assert entries[2].before["secret"] == entries[2].before["recovery_digests"] == "***"


# --- Sessions ---------------------------------------------------------------------------------------------------


def test_one_sees_where_one_is_logged_in_and_ends_it(ada: User) -> None:
    here, there, third = (Client(), Client(headers={"User-Agent": FIREFOX}), Client())
    for one in (here, there, third):
        log_in(one, ada)
    there.get(ACCOUNT, REMOTE_ADDR="198.51.100.4")
    found = {place.device: place for place in sessions.places(ada)}
    assert found["Firefox on Linux"].address == "198.51.100.4"
    shown = here.get(ACCOUNT).content.decode()
    assert "Firefox on Linux" in shown
    assert there.session.session_key not in shown
    here.post(ACCOUNT, {"end": found["Firefox on Linux"].handle})
    assert [is_in(one) for one in (here, there, third)] == [True, False, True]
    here.post(ACCOUNT, {"end": "all"})
    assert [is_in(one) for one in (here, there, third)] == [True, False, False]
    assert len(sessions.places(ada)) == 1


def test_a_new_password_ends_the_other_sessions_and_they_are_not_listed(ada: User) -> None:
    here, there = Client(), Client()
    for one in (here, there):
        log_in(one, ada)
    new = "another-fine-day"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert here.post(reverse("admin:password_change"), form).status_code == 302
    ada.refresh_from_db()
    assert (is_in(here), is_in(there)) == (True, False)
    assert len(sessions.places(ada)) == 1


def test_a_session_is_written_once_a_minute(ada: User) -> None:
    browser = Client()
    log_in(browser, ada)
    first = Session.objects.get(user=ada).seen_at
    browser.get(ACCOUNT)
    assert Session.objects.get(user=ada).seen_at == first
    session = browser.session
    session["whereabouts"] = {
        **session["whereabouts"],
        "seen": (timezone.now() - sessions.REFRESH).isoformat(),
    }
    session.save()
    browser.get(ACCOUNT)
    row = Session.objects.get(user=ada)
    assert row.seen_at >= first
    assert row.begun_at < row.seen_at


def test_an_owner_ends_a_members_sessions_and_nobody_elses(ada: User) -> None:
    tenant, others = make_tenant(), make_tenant()
    users = {name: User.objects.create_user(name, is_staff=True) for name in ("owner", "member", "stranger")}
    roles = (
        ("owner", tenant, Role.OWNER),
        ("member", tenant, Role.SUPPORT),
        ("stranger", others, Role.OWNER),
    )
    rows = {
        name: Membership.objects.create(user=users[name], tenant=of, role=role) for name, of, role in roles
    }
    rows["ada"] = Membership.objects.create(user=ada, tenant=tenant, role=Role.FINANCE)
    browsers = {}
    for name, user in {**users, "ada": ada}.items():
        browsers[name] = Client()
        browsers[name].force_login(user)
        assert is_in(browsers[name])
    owner = browsers["owner"]
    assert owner.get(page(Membership, "sessions", rows["member"].pk)).status_code == 200
    owner.post(page(Membership, "sessions", rows["member"].pk), {"end": "all"})
    assert owner.post(page(Membership, "sessions", rows["stranger"].pk), {"end": "all"}).status_code == 404
    # A superuser's are the installation's, and a supporter ends nobody's.
    owner.post(page(Membership, "sessions", rows["ada"].pk), {"end": "all"})
    assert not is_in(browsers["member"])
    assert all(is_in(browsers[name]) for name in ("owner", "stranger", "ada"))
    browsers["member"].force_login(users["member"])
    assert browsers["member"].post(page(Membership, "sessions", rows["owner"].pk)).status_code == 403


def test_an_owner_resets_the_factor_of_who_works_for_them_alone() -> None:
    tenant, others = make_tenant(), make_tenant()
    owner, lost = (User.objects.create_user(name, is_staff=True) for name in ("owner", "lost"))
    Membership.objects.create(user=owner, tenant=tenant, role=Role.OWNER)
    row = Membership.objects.create(user=lost, tenant=tenant, role=Role.FINANCE)
    second = Membership.objects.create(user=lost, tenant=others, role=Role.FINANCE)
    switched_on(lost)
    browser = Client()
    browser.force_login(owner)
    browser.post(page(Membership, "reset_two_factor", row.pk))
    assert twofactor.is_on(lost), "it guards another tenant as well"
    second.delete()
    browser.post(page(Membership, "reset_two_factor", row.pk))
    assert not twofactor.is_on(lost)


def test_a_superuser_ends_sessions_and_resets_the_factor_of_anybody(ada: User) -> None:
    other = User.objects.create_user("other", is_staff=True, is_superuser=True)
    switched_on(other)
    root, theirs = Client(), Client()
    root.force_login(ada)
    theirs.force_login(other)
    assert is_in(theirs)
    root.post(page(User, "sessions", other.pk), {"end": "all"})
    assert not is_in(theirs)
    root.post(page(User, "reset_two_factor", other.pk))
    assert not twofactor.is_on(other)


def test_the_command_resets_the_factor_of_the_last_superuser(ada: User, capsys: Any) -> None:
    switched_on(ada)
    call_command("reset_two_factor", "ada")
    assert not twofactor.is_on(ada)
    for name, fault in (("ada", "off already"), ("nobody", "no user")):
        with pytest.raises(CommandError, match=fault):
            call_command("reset_two_factor", name)


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140.0",
            "Edge on Windows",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "unknown"),
    ],
)
def test_a_browser_is_named_by_what_it_says(agent: str, device: str) -> None:
    assert sessions.device(agent) == device


def test_no_inline_script_runs_on_the_operators_pages(client: Client, ada: User) -> None:
    login = client.get("/admin/login/")
    client.force_login(ada)
    for answer in (login, client.get("/admin/")):
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self' 'unsafe-eval';" in policy
        assert "frame-ancestors 'none'; base-uri 'none'; form-action 'self'" in policy
