"""Roll-ups are the sums of the rows that they were made of."""

from ledger.analytics.rollups import MEASURES
from ledger.verification.rule import Rule

# What a request or an event adds to the roll-ups, written down a second time: the triggers that add it are on trial.
_RAW = """
    SELECT p.tenant_id, date_trunc('hour', r.created_at, 'UTC') AS hour, r.external_id AS user_id,
        CASE WHEN r.status = 'blocked' THEN 0 ELSE 1 END AS events,
        CASE WHEN r.status IN ('failed', 'lost') THEN 1 ELSE 0 END AS errors,
        CASE WHEN r.status = 'blocked' THEN 1 ELSE 0 END AS blocked,
        r.input_tokens, r.cache_read_tokens, r.cache_write_tokens, r.output_tokens, r.charge AS charged,
        COALESCE(r.cost, 0) AS cost,
        CASE WHEN r.cost IS NULL AND r.status IN ('completed', 'canceled') THEN 1 ELSE 0 END AS uncosted
    FROM ledger_proxyrequest r JOIN paywalls_paywall p ON p.id = r.paywall_id
    WHERE r.status <> 'started'
    UNION ALL
    SELECT e.tenant_id, date_trunc('hour', e.timestamp, 'UTC'), COALESCE(u.external_id, ''),
        1, 0, 0, e.input_tokens, e.cache_read_tokens, e.cache_write_tokens, e.output_tokens,
        CASE WHEN e.state = 'billed' THEN e.amount ELSE 0 END, COALESCE(e.cost, 0),
        CASE WHEN e.cost IS NULL THEN 1 ELSE 0 END
    FROM ledger_usageevent e LEFT JOIN paywalls_enduser u ON u.id = e.user_id
"""
_MEASURES = ", ".join(MEASURES)
_SUMS = f"ARRAY[{', '.join(f'SUM({name})::bigint' for name in MEASURES)}] AS sums"
_ZEROS = f"array_fill(0::bigint, ARRAY[{len(MEASURES)}])"
# Where raw rows have been forgotten there is nothing to compare with.
_PROVABLE = "hour > COALESCE((SELECT forgotten_until FROM ledger_rawhorizon), '-infinity')"
_DAY = "(hour AT TIME ZONE 'UTC')::date"

RULES = [
    Rule(
        "roll-ups and increments are the raw rows, hour by hour",
        f"""
        WITH raw AS (
            SELECT tenant_id, hour, {_SUMS} FROM ({_RAW}) rows WHERE {_PROVABLE} GROUP BY 1, 2
        ), summed AS (
            SELECT tenant_id, hour, {_SUMS} FROM (
                SELECT tenant_id, hour, {_MEASURES} FROM ledger_usagehour
                UNION ALL SELECT tenant_id, hour, {_MEASURES} FROM ledger_usageincrement
            ) rows WHERE {_PROVABLE} GROUP BY 1, 2
        )
        SELECT concat_ws(' ', tenant_id, hour), raw.sums, summed.sums
        FROM raw FULL JOIN summed USING (tenant_id, hour)
        WHERE COALESCE(raw.sums, {_ZEROS}) <> COALESCE(summed.sums, {_ZEROS})
        """,  # noqa: S608
    ),
    Rule(
        "users' roll-ups and increments are the raw rows, day by day",
        f"""
        WITH raw AS (
            SELECT tenant_id, {_DAY} AS day, user_id, {_SUMS} FROM ({_RAW}) rows WHERE user_id <> ''
            GROUP BY 1, 2, 3
        ), summed AS (
            SELECT tenant_id, day, user_id, {_SUMS} FROM (
                SELECT tenant_id, day, user_id, {_MEASURES} FROM ledger_usageday
                UNION ALL
                SELECT tenant_id, {_DAY}, user_id, {_MEASURES} FROM ledger_usageincrement WHERE user_id <> ''
            ) rows GROUP BY 1, 2, 3
        )
        SELECT concat_ws(' ', tenant_id, day, user_id), raw.sums, summed.sums
        FROM raw FULL JOIN summed USING (tenant_id, day, user_id)
        WHERE day > COALESCE((SELECT forgotten_until AT TIME ZONE 'UTC' FROM ledger_rawhorizon), '-infinity')
            AND COALESCE(raw.sums, {_ZEROS}) <> COALESCE(summed.sums, {_ZEROS})
        """,  # noqa: S608
    ),
    Rule(
        "what users paid in a month is the sum of their days",
        """
        SELECT concat_ws(' ', tenant_id, month, paywall_id, user_id), SUM(expected), SUM(found) FROM (
            SELECT tenant_id, date_trunc('month', day)::date AS month, paywall_id, user_id,
                charged AS expected, 0 AS found
            FROM ledger_usageday
            UNION ALL SELECT tenant_id, month, paywall_id, user_id, 0, charged FROM ledger_payermonth
        ) rows GROUP BY tenant_id, month, paywall_id, user_id HAVING SUM(expected) <> SUM(found)
        """,
    ),
    Rule(
        "how many users paid on a day, and on which they had paid last, is what their days say",
        """
        SELECT concat_ws(' ', tenant_id, paywall_id, day, 'after', last_paid), SUM(expected), SUM(found) FROM (
            SELECT tenant_id, paywall_id, day,
                LAG(day) OVER (PARTITION BY tenant_id, paywall_id, user_id ORDER BY day) AS last_paid,
                1 AS expected, 0 AS found
            FROM (
                SELECT DISTINCT tenant_id, NULL::uuid AS paywall_id, user_id, day FROM ledger_usageday
                WHERE charged > 0
                UNION ALL
                SELECT tenant_id, paywall_id, user_id, day FROM ledger_usageday
                WHERE charged > 0 AND paywall_id IS NOT NULL
            ) paid
            UNION ALL SELECT tenant_id, paywall_id, day, last_paid, 0, users FROM ledger_payerday
        ) rows GROUP BY tenant_id, paywall_id, day, last_paid HAVING SUM(expected) <> SUM(found)
        """,
    ),
]
