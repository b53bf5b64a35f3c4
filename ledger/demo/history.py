"""Half a year of requests, users and webhooks, made by a few SQL statements."""

import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from ledger import posting
from ledger.analytics.rollups import roll_up_all
from ledger.demo import books, catalogue
from ledger.wallets import house_account_id
from paywalls.models import Paywall, Tenant

DAYS = 180
MAX_ROWS = 20_000_000
# Big enough that some users are hardly ever there and some all day.
REQUESTS_PER_USER = 60
MAX_USERS = 50_000


class Refused(Exception):
    """Why nothing was made."""


def seed(rows: int, told: Callable[[str], None] = lambda text: None) -> None:
    """`rows` requests of users that are made for them, with all that belongs to them. All of it or nothing.

    Raises Refused in production, where the demonstration is there already, and for a number out of range.
    """
    if settings.PRODUCTION:
        raise Refused(
            "demonstration data is refused in production: its money would be in your books for ever"
        )
    if Tenant.objects.filter(email=catalogue.EMAIL).exists():
        raise Refused("the demonstration is there already; transfers are for ever, so start a new database")
    if not 1 <= rows <= MAX_ROWS:
        raise Refused(f"--rows must be from 1 to {MAX_ROWS:,}")
    with transaction.atomic():
        tenant, paywalls = catalogue.make()
        posting.open_books(tenant.pk)
        _write(rows, tenant, list(paywalls.values()), told)
    told("adding up")
    roll_up_all()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _write(rows: int, tenant: Tenant, paywalls: list[Paywall], told: Callable[[str], None]) -> None:
    params: dict[str, Any] = {
        "tenant": tenant.pk,
        "rows": rows,
        "users": max(3, min(MAX_USERS, rows // REQUESTS_PER_USER)),
        "days": DAYS,
        "revenue": house_account_id(tenant.pk, "revenue"),
        "deposits": house_account_id(tenant.pk, "deposits"),
    }
    with connection.cursor() as cursor:
        cursor.execute(_KEYS)
        cursor.execute(_SOLD)
        cursor.executemany("INSERT INTO demo_sold VALUES (%s, %s, %s, %s, %s, %s, %s)", _sold(paywalls))
        for step, statements in (
            ("users", [_USERS]),
            ("requests", [_DICE, _REQUESTS]),
            ("books", books.STATEMENTS),
            ("roll-ups", [_STORED]),
            ("webhooks", [_EVENTS]),
        ):
            told(step)
            for text in statements:
                for statement in filter(str.strip, text.split(";\n")):
                    cursor.execute(statement, params)


def _sold(paywalls: list[Paywall]) -> list[tuple[int, uuid.UUID, str, int, int, float, float]]:
    """A line for each model of each paywall: its prices (a million tokens), and which part of the dice is its own."""
    lines = []
    for number, paywall in enumerate(paywalls):
        models = list(paywall.models.order_by("id"))
        shares = {sold.model_id: sold.share for sold in catalogue.PAYWALLS[paywall.name]}
        whole, low = sum(shares.values()), 0
        for model in models:
            high = low + shares[model.model_id]
            prices = (model.prompt_price, model.completion_price)
            lines.append((number, paywall.pk, model.model_id, *prices, low / whole, high / whole))
            low = high
    return lines


# A UUIDv7 (RFC 9562) of any time: lists are ordered and filtered by these.
_KEYS = """
CREATE FUNCTION pg_temp.key_at(moment timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_byte(bytes, 6, (get_byte(bytes, 6) & 15) | 112), 'hex')::uuid FROM (
        SELECT overlay(uuid_send(gen_random_uuid())
            PLACING substring(int8send((EXTRACT(EPOCH FROM moment) * 1000)::bigint) FROM 3) FROM 1 FOR 6) AS bytes
    ) made
$$
"""

_SOLD = """
CREATE TEMP TABLE demo_sold (paywall_n int, paywall_id uuid, model_id text, prompt_price bigint,
    completion_price bigint, low float, high float) ON COMMIT DROP
"""

_USERS = """
SELECT setseed(0.42);
CREATE TEMP TABLE demo_user ON COMMIT DROP AS
    SELECT n, pg_temp.key_at(at) AS id, gen_random_uuid() AS account_id, paywall_n, at,
        (SELECT paywall_id FROM demo_sold s WHERE s.paywall_n = made.paywall_n LIMIT 1) AS paywall_id,
        (ARRAY['ada', 'grace', 'linus', 'edsger', 'barbara', 'alan', 'margaret', 'dennis', 'radia', 'ken'])[n %% 10 + 1]
            || '-' || lpad(n::text, 5, '0') AS external_id,
        (ARRAY[5, 10, 10, 25, 50])[1 + floor(random() * 5)::int] * 1000000000::bigint AS size
    FROM (
        SELECT n, n %% 3 AS paywall_n, now() - make_interval(days => %(days)s + 1) AS at
        FROM generate_series(0, %(users)s - 1) n
    ) made;
CREATE UNIQUE INDEX ON demo_user (n);
ANALYZE demo_user;
INSERT INTO paywalls_enduser (id, created_at, paywall_id, external_id)
    SELECT id, at, paywall_id, external_id FROM demo_user;
"""

# More of everything every day, less on weekends, most of it in the afternoon; new users all the time, and a few of them
# with most of the requests. What would lie ahead is moved to some earlier day.
_DICE = """
CREATE TEMP TABLE demo_dice ON COMMIT DROP AS
    SELECT n, random() AS who, random() AS model, random() AS outcome, random() AS streamed, random() AS weight,
        random() AS speed, 0 AS user_n,
        date_trunc('day', now(), 'UTC') - make_interval(days => floor(%(days)s * (1 - sqrt(random())))::int)
            + interval '24 hours' * ((random() + random() + random()) / 3 + 0.08) AS at
    FROM generate_series(1, %(rows)s) n;
UPDATE demo_dice SET at = at - make_interval(days => 2 + floor(random() * 3)::int)
    WHERE EXTRACT(ISODOW FROM at AT TIME ZONE 'UTC') > 5 AND speed < 0.45;
UPDATE demo_dice SET at = at - make_interval(days => 1 + floor(%(days)s * power(random(), 2))::int)
    WHERE at > now() - interval '5 minutes';
UPDATE demo_dice SET user_n = LEAST(%(users)s - 1, floor(%(users)s * power(who, 3)
    * (1 - 0.75 * EXTRACT(EPOCH FROM now() - at) / (86400.0 * 2 * %(days)s)))::int);
"""

# The providers take about two thirds of the price.
_REQUESTS = """
CREATE TEMP TABLE demo_request ON COMMIT DROP AS
    SELECT *, CASE WHEN status IN ('completed', 'canceled') THEN worth ELSE 0 END AS charge
    FROM (
        SELECT *, (input_tokens * prompt_price + output_tokens * completion_price + 999999) / 1000000 AS worth
        FROM (
            SELECT d.n, d.at, pg_temp.key_at(d.at) AS id, d.user_n, d.speed, d.streamed < 0.7 AS streamed,
                s.model_id, s.prompt_price, s.completion_price,
                CASE WHEN d.outcome < 0.955 THEN 'completed' WHEN d.outcome < 0.972 THEN 'canceled'
                    WHEN d.outcome < 0.990 THEN 'failed' WHEN d.outcome < 0.9995 THEN 'blocked'
                    ELSE 'lost' END AS status,
                (120 + 6000 * power(d.weight, 3))::bigint AS input_tokens,
                (30 + 1500 * d.weight * d.speed)::bigint AS output_tokens
            FROM demo_dice d JOIN demo_user u ON u.n = d.user_n
            JOIN demo_sold s ON s.paywall_n = u.paywall_n AND s.low <= d.model AND d.model < s.high
        ) asked
    ) priced;
ANALYZE demo_request;
"""

# Triggers write what they add to the roll-ups.
_STORED = """
INSERT INTO ledger_proxyrequest (id, created_at, paywall_id, external_id, model, provider, upstream_model, surface,
        status, reason, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images,
        cost, charge, estimated, first_byte_ms, total_ms, attempts, http_status, streamed, upstream_request_id)
    SELECT r.id, r.at, u.paywall_id, u.external_id, r.model_id,
        CASE r.status WHEN 'blocked' THEN '' ELSE split_part(r.model_id, '/', 1) END,
        CASE r.status WHEN 'blocked' THEN '' ELSE split_part(r.model_id, '/', 2) END, 'chat', r.status,
        CASE r.status WHEN 'blocked' THEN 'insufficient_funds' WHEN 'failed' THEN 'upstream_error'
            WHEN 'lost' THEN 'process_died' WHEN 'canceled' THEN 'client_left' ELSE '' END,
        CASE WHEN r.charge > 0 THEN r.input_tokens ELSE 0 END, 0, 0,
        CASE WHEN r.charge > 0 THEN r.output_tokens ELSE 0 END, 0, 0,
        CASE WHEN r.charge > 0 THEN (r.charge * (0.58 + 0.12 * r.speed))::bigint END, r.charge, false,
        CASE WHEN r.charge > 0 THEN (180 + 900 * r.speed)::int END,
        CASE r.status WHEN 'lost' THEN NULL WHEN 'blocked' THEN 3 ELSE (400 + 9 * r.output_tokens)::int END,
        CASE r.status WHEN 'blocked' THEN 0 ELSE 1 END,
        CASE r.status WHEN 'failed' THEN 502 WHEN 'blocked' THEN 200 WHEN 'lost' THEN NULL ELSE 200 END,
        r.streamed, CASE WHEN r.charge > 0 THEN 'chatcmpl-' || substr(md5(r.n::text), 1, 24) ELSE '' END
    FROM demo_request r JOIN demo_user u ON u.n = r.user_n ORDER BY r.id;
"""

# The last month's charges were told; few deliveries failed.
_EVENTS = """
CREATE TEMP TABLE demo_event ON COMMIT DROP AS
    SELECT pg_temp.key_at(s.at + interval '1 second') AS id, s.id AS request_id, s.at + interval '1 second' AS at,
        s.charge, s.model_id, s.input_tokens, s.output_tokens, u.paywall_id, u.id AS user_id, u.external_id,
        random() AS outcome, w.id AS subscription_id
    FROM demo_charge s JOIN demo_user u ON u.n = s.user_n
    JOIN webhooks_subscription w ON w.paywall_id = u.paywall_id
    WHERE s.at > now() - interval '30 days';
INSERT INTO webhooks_event (id, created_at, paywall_id, tenant_id, type, version, request_id, body)
    SELECT e.id, e.at, e.paywall_id, %(tenant)s, 'paywall.usage.charge.created', '2024-05-01', e.request_id, convert_to(
        jsonb_build_object('id', 'evt_' || replace(e.id::text, '-', ''), 'type', 'paywall.usage.charge.created',
            'version', '2024-05-01', 'status', 'pending', 'createdAt', to_jsonb(e.at),
            'paywallId', 'pw_' || replace(e.paywall_id::text, '-', ''),
            'ownerUserId', 'ten_' || replace(%(tenant)s::text, '-', ''),
            'trigger', jsonb_build_object('source', 'gateway', 'actorType', 'end_user', 'actorId', NULL),
            'subject', jsonb_build_object('type', 'request', 'id', 'req_' || replace(e.request_id::text, '-', ''),
                'externalId', e.external_id),
            'data', jsonb_build_object('walletUserId', 'usr_' || replace(e.user_id::text, '-', ''),
                'model', e.model_id, 'promptTokens', e.input_tokens, 'completionTokens', e.output_tokens,
                'cost', e.charge / 1000000000.0),
            'metadata', jsonb_build_object())::text, 'UTF8')
    FROM demo_event e ORDER BY e.id;
INSERT INTO webhooks_delivery (id, created_at, updated_at, event_id, subscription_id, state, attempts, forgiven,
        last_attempt_at, response_status, response_ms, response_body, error)
    SELECT pg_temp.key_at(e.at), e.at, e.at + interval '1 second', e.id, e.subscription_id,
        CASE WHEN e.outcome < 0.985 THEN 'succeeded' WHEN e.outcome < 0.995 THEN 'exhausted' ELSE 'refused' END,
        CASE WHEN e.outcome < 0.97 THEN 1 WHEN e.outcome < 0.985 THEN 2 WHEN e.outcome < 0.995 THEN 8 ELSE 1 END, 0,
        e.at + interval '1 second',
        CASE WHEN e.outcome < 0.985 THEN 200 WHEN e.outcome < 0.995 THEN 503 ELSE 410 END,
        (20 + 300 * e.outcome * e.outcome)::int,
        CASE WHEN e.outcome < 0.985 THEN '{"ok": true}' WHEN e.outcome < 0.995 THEN 'upstream unavailable'
            ELSE 'gone' END, ''
    FROM demo_event e ORDER BY e.id;
"""
