"""`make screenshots`: pictures of the operators' pages, of a demonstration installation, for docs/operators.md.

python -m tests.browser.pictures                    # into docs/pictures, in a light window
python -m tests.browser.pictures --all refund team  # only these, also dark and as wide as a phone
"""

import argparse
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests import environment
from tests.browser import chromium
from tests.browser.conftest import FLAGS
from tests.installation import DOCUMENT, Installation

FOLDER = environment.ROOT / "docs" / "pictures"
ROWS = "3000"
PASSWORD = "a-fine-day-for-tolls"
LOOKS: dict[str, dict[str, Any]] = {
    "": {"viewport": {"width": 1280, "height": 900}},
    "-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "-phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2},
}

# Prints where each picture is taken; what the demonstration lacks is made first.
PREPARE = f"""
import json
from django.contrib.auth.models import User
from django.urls import reverse
from config.money import NANO
from ledger import services
from ledger.demo import catalogue
from ledger.models import Transfer
from paywalls import audit, invitations, keys, playgrounds
from paywalls.models import AuditEntry, Tenant
from paywalls.roles import Role
from paywalls.users import UserRef
from webhooks.models import Delivery

User.objects.create_superuser("operator", "operator@example.com", "{PASSWORD}")
tenant = Tenant.objects.get(email=catalogue.EMAIL)
audit.begin(audit.Actor(AuditEntry.Actor.OPERATOR, "operator", "203.0.113.7"))
for name, role in (("dana", Role.DEVELOPER), ("finn", Role.FINANCE), ("sue", Role.SUPPORT)):
    invitations.invite(tenant, f"{{name}}@example.com", role)
charge = Transfer.objects.filter(tenant=tenant, kind="usage").select_related("wallet__user").order_by("-amount").first()
user = charge.wallet.user
paywall = user.paywall
services.grant(UserRef(paywall.pk, user.external_id), 5 * NANO, source="picture", metadata={{"reason": "welcome"}})
playground = playgrounds.configure(paywall, is_on=True)
keys.issue_key(paywall)
audit.end()
failed = Delivery.objects.exclude(state="succeeded").order_by("-pk").first() or Delivery.objects.order_by("-pk").first()

def page(name, *args):
    return reverse(f"admin:{{name}}", args=args)

print(json.dumps({{
    "overview": page("index"),
    "wizard": page("paywalls_paywall_set_up"),
    "paywall": page("paywalls_paywall_change", paywall.pk),
    "rotate": page("paywalls_paywall_rotate_key", paywall.pk),
    "prices": page("paywalls_paywallmodel_price_table") + f"?paywall={{paywall.pk}}",
    "users": page("paywalls_enduser_changelist"),
    "user": page("paywalls_enduser_change", user.pk),
    "grant": page("paywalls_enduser_grant", user.pk),
    "adjust": page("paywalls_enduser_adjust", user.pk),
    "refund": page("ledger_transfer_refund", charge.pk),
    "requests": page("ledger_proxyrequest_changelist"),
    "ledger": page("ledger_transfer_changelist"),
    "deliveries": page("webhooks_delivery_changelist"),
    "delivery": page("webhooks_delivery_change", failed.pk) if failed else page("webhooks_delivery_changelist"),
    "team": page("paywalls_membership_changelist"),
    "audit": page("paywalls_auditentry_changelist"),
    "playground": playgrounds.url_of(playground),
}}))
"""


def main() -> None:
    """Take the pictures that are asked for, all where none is named."""
    parser = argparse.ArgumentParser(description="Take pictures of the operators' pages.")
    parser.add_argument("names", nargs="*", help="which pictures (all)")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--all", action="store_true", help="also dark, and as wide as a phone")
    asked = parser.parse_args()
    program = chromium.path()
    if program is None:
        sys.exit("There is no Chromium here. Install it: apt-get install chromium")
    environment.prepare()
    with Installation.running({**DOCUMENT, "paywalls": []}) as site, sync_playwright() as playwright:
        places = _prepared(site)
        if unknown := set(asked.names) - set(places):
            sys.exit(f"There is no picture {', '.join(sorted(unknown))}; there are {', '.join(places)}.")
        asked.folder.mkdir(parents=True, exist_ok=True)
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        for look in LOOKS if asked.all else ("",):
            wanted = {name: place for name, place in places.items() if name in (asked.names or places)}
            _take(browser, site, look, wanted, asked.folder)
        browser.close()


def _prepared(site: Installation) -> dict[str, str]:
    """The demonstration, and the place of each picture in it."""
    for arguments in (("seed_demo", "--rows", ROWS), ("shell", "-v", "0", "-c", PREPARE)):
        done = site.manage(*arguments)
        if done.returncode:
            sys.exit(done.stderr)
    places: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return places


def _take(browser: Browser, site: Installation, look: str, places: dict[str, str], folder: Path) -> None:
    context = browser.new_context(locale="en-US", **LOOKS[look])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{site.url()}/admin/login/")
    page.locator("#id_username").fill("operator")
    page.locator("#id_password").fill(PASSWORD)
    page.locator("button[type=submit]").click()
    page.wait_for_url(re.compile("/admin/$"))
    for name, place in places.items():
        page.goto(place if place.startswith("http") else f"{site.url()}{place}")
        _settled(page)
        picture = folder / f"{name}{look}.png"
        page.screenshot(path=picture, full_page=look == "-phone")
        print(picture, flush=True)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            warnings.warn(f"{place} is wider than its window", stacklevel=1)
    context.close()


def _settled(page: Page) -> None:
    """Charts and what is read afterwards are there."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
