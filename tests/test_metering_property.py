"""Whatever a customer reports, buys, grants and consumes, in any order and at once: the books sum after every step.

A failure prints the steps and the seed (`--hypothesis-seed`).
"""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ledger import services
from ledger.analytics import queries, rollups
from ledger.analytics.queries import Selection
from ledger.entitlements.consuming import read
from ledger.models import FeatureUse, UsageEvent
from ledger.verification import verify
from tests.tenants import TenantApi, event
from tests.test_rollups_property import raw_sums
from tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 5
USERS = st.sampled_from(["alice", "bob"])
CREDITS = st.integers(1, 30)
EVENTS = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["alice", "bob", None]),
        "team_id": st.sampled_from([None, None, "red"]),
        "feature_id": st.sampled_from(["chat", "search"]),
        # The last is one that nobody has a price for.
        "model": st.sampled_from(["gpt-4o-mini", "gpt-4o-mini", "of-nobody"]),
        "output_tokens": st.integers(0, 9_000),
        "hours_ago": st.sampled_from([0, 1, 24, 24 * 40]),
        "key": st.sampled_from([None, None, "k1", "k2", "k3"]),
    }
)
STEP = st.one_of(
    st.tuples(st.just("ingest"), st.lists(EVENTS, min_size=1, max_size=4)),
    st.tuples(st.just("ingest again")),
    st.tuples(st.just("purchase"), USERS, CREDITS, st.booleans()),
    st.tuples(st.just("grant"), st.sampled_from(["alice", "bob", "red", None]), CREDITS, st.booleans()),
    st.tuples(st.just("consume"), USERS, st.integers(1, 3), st.sampled_from([None, "k1", "k2", "k3"])),
    st.tuples(st.just("lapse")),
    st.tuples(st.just("expire")),
    st.tuples(st.just("price")),
    st.tuples(st.just("bill")),
    st.tuples(st.just("roll up"), st.integers(1, 3)),
)
STEPS = st.lists(
    st.one_of(STEP, STEP, st.tuples(st.just("at once"), st.lists(STEP, min_size=2, max_size=3))),
    min_size=3,
    max_size=12,
)


class Customer:
    """A customer whose every step goes over the API, and what it was told."""

    def __init__(self) -> None:
        self.api = TenantApi()
        self.last: list[dict] = []
        self.consumed: list[tuple[str, int]] = []
        limit = {"featureId": "search", "limitType": "HARD", "limitValue": LIMIT, "period": "TOTAL"}
        assert self.api.post("/v1/entitlements", limit).status_code == 201

    def take(self, step):
        match step:
            case "ingest", drawn:
                self.last = [reported(fields) for fields in drawn]
                assert self.api.ingest(*self.last).status_code in (200, 202)
            case ("ingest again",):
                if self.last:
                    self.api.ingest(*self.last)
            case "purchase", user, amount, ends:
                bought = {"userId": user, "amount": amount, "purchasePrice": 1, **ending(ends)}
                assert self.api.post("/v1/credits/purchase", bought).status_code == 200
            case "grant", owner, amount, ends:
                named = {} if owner is None else {"teamId" if owner == "red" else "userId": owner}
                given = {"amount": amount, "reason": "welcome", **named, **ending(ends)}
                assert self.api.post("/v1/credits/grant", given).status_code == 200
            case "consume", user, units, key:
                self.consume(user, units, key)
            case ("lapse",):
                lapse()
            case ("expire",):
                services.expire_credits()
            case ("price",):
                rules = {"*": {"inputTokens": 1, "outputTokens": 1}}
                assert self.api.post("/v1/burn-tables", name="All", rules=rules).status_code == 201
            case ("bill",):
                assert self.api.post("/v1/events/bill").status_code == 200
            case "roll up", limit:
                rollups.roll_up(limit)
            case "at once", several:
                in_threads(len(several), lambda index: self.take(several[index]))

    def consume(self, user, units, key):
        asked = {"userId": user, "featureId": "search", "units": units}
        if key:
            asked["idempotencyKey"] = key
        answer = self.api.post("/v1/entitlements/consume", asked)
        # 422: the key has counted another use.
        assert answer.status_code in ((200, 422) if key else (200,))
        if answer.status_code == 200 and answer.json()["allowed"] and not key:
            self.consumed.append((user, units))

    def check(self):
        assert list(map(str, verify())) == []
        now = timezone.now()
        everything = Selection([self.api.tenant.pk], now - timedelta(days=60), now + timedelta(days=2))
        assert queries.total(everything) == raw_sums(self.api.tenant)
        for user in ("alice", "bob"):
            self.check_uses(user)

    def check_uses(self, user):
        """Each event is a use, but for one that was consumed before under its key; a HARD limit held."""
        mine = {"tenant": self.api.tenant, "user_id": user}
        counted = {
            feature: read(self.api.tenant.pk, user, feature).counter.total_used
            for feature in ("chat", "search")
        }
        events = UsageEvent.objects.filter(tenant=self.api.tenant, user__external_id=user)
        assert counted["chat"] == events.filter(feature_id="chat").count()
        keyed = FeatureUse.objects.filter(**mine).values_list("units", flat=True)
        consumed = sum(keyed) + sum(units for name, units in self.consumed if name == user)
        assert consumed <= LIMIT
        reported = events.filter(feature_id="search")
        keys = FeatureUse.objects.filter(tenant=self.api.tenant).values_list("key", flat=True)
        perhaps = reported.filter(idempotency_key__in=list(keys)).count()
        assert reported.count() - perhaps <= counted["search"] - consumed <= reported.count()


def reported(fields):
    at = datetime.now(UTC) - timedelta(hours=fields["hours_ago"])
    kept = {name: fields[name] for name in ("user_id", "team_id", "feature_id", "model", "output_tokens")}
    return event(**kept, idempotency_key=fields["key"], timestamp=at.isoformat())


def ending(ends):
    return {"expiresAt": (datetime.now(UTC) + timedelta(days=1)).isoformat()} if ends else {}


def lapse():
    """The day is over for all credit that ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH over AS (UPDATE ledger_lot SET expires_at = LEAST(expires_at, date_trunc('hour', now()))"
            " WHERE remaining > 0 AND expires_at IS NOT NULL RETURNING account_id)"
            " UPDATE ledger_account SET next_expiry = date_trunc('hour', now())"
            " WHERE id IN (SELECT account_id FROM over)"
        )


@pytest.fixture(autouse=True)
def _unhurried(settings):
    settings.RATE_LIMIT_PER_MINUTE = 0


@settings(
    max_examples=8,
    deadline=None,
    # The steps are few, and shrinking them takes minutes on a database.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS)
def test_the_books_sum_and_roll_ups_are_the_raw_rows_after_every_step(steps):
    customer = Customer()
    for step in steps:
        customer.take(step)
        customer.check()
