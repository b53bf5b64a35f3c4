"""Who paid: summed by month, and how many by day and the day on which they had paid last.

Statements of the roll-up (`rollups.py`), which see the users' days as they were before it. A day on which somebody was
charged stays one: what was charged for use is never lowered, and refunds are transfers.
"""

# What each user was charged on a day, of the increments that are `named`.
CHARGED = """
    SELECT tenant_id, paywall_id, user_id, day, SUM(charged)::bigint AS charged FROM named
    GROUP BY tenant_id, paywall_id, user_id, day HAVING SUM(charged) <> 0
"""

MONTHS = """
    INSERT INTO ledger_payermonth (tenant_id, month, paywall_id, user_id, charged)
    SELECT tenant_id, date_trunc('month', day)::date, paywall_id, user_id, SUM(charged)::bigint FROM charged
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (tenant_id, month, paywall_id, user_id) DO UPDATE
        SET charged = ledger_payermonth.charged + excluded.charged
"""


def _paid_days(which: str) -> str:
    return f"""
        SELECT day FROM ledger_usageday d WHERE d.tenant_id = c.tenant_id AND d.user_id = c.user_id AND {which}
            AND d.charged > 0 AND (c.paywall_id IS NULL OR d.paywall_id = c.paywall_id)
    """  # noqa: S608  (names of ours)


# Each user's first charges of a day, and the days beside these on which they had paid before, as a chain; in a paywall,
# and in all of the tenant's (no paywall).
CHAINED = f"""
    WITH looked_up AS MATERIALIZED (
        SELECT c.tenant_id, c.paywall_id, c.user_id, c.day, known.anywhere, known.here FROM charged c
        CROSS JOIN LATERAL (
            SELECT COUNT(*) > 0 AS anywhere, COALESCE(bool_or(d.paywall_id = c.paywall_id), false) AS here
            FROM ledger_usageday d
            WHERE d.tenant_id = c.tenant_id AND d.user_id = c.user_id AND d.day = c.day AND d.charged > 0
        ) known WHERE c.charged > 0
    ), fresh AS MATERIALIZED (
        SELECT DISTINCT tenant_id, NULL::uuid AS paywall_id, user_id, day FROM looked_up WHERE NOT anywhere
        UNION ALL
        SELECT tenant_id, paywall_id, user_id, day FROM looked_up WHERE NOT here AND paywall_id IS NOT NULL
    ), links AS (
        SELECT tenant_id, paywall_id, user_id, day, true AS is_new FROM fresh
        UNION
        SELECT c.tenant_id, c.paywall_id, c.user_id, beside.day, false FROM fresh c CROSS JOIN LATERAL (
            ({_paid_days("d.day < c.day")} ORDER BY day DESC LIMIT 1)
            UNION ALL
            ({_paid_days("d.day > c.day")} ORDER BY day LIMIT 1)
        ) beside
    )
    SELECT tenant_id, paywall_id, day, is_new, COALESCE(LAG(is_new) OVER their, false) AS after_new,
        LAG(day) OVER their AS last_paid,
        MAX(day) FILTER (WHERE NOT is_new) OVER (their ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_old
    FROM links WINDOW their AS (PARTITION BY tenant_id, paywall_id, user_id ORDER BY day)
"""  # noqa: S608

# A new day counts; an old one that follows on a new day has another last one now.
DAYS = """
    INSERT INTO ledger_payerday (tenant_id, paywall_id, day, last_paid, users)
    SELECT tenant_id, paywall_id, day, last_paid, SUM(users) FROM (
        SELECT tenant_id, paywall_id, day, last_paid, 1 AS users FROM chained WHERE is_new OR after_new
        UNION ALL
        SELECT tenant_id, paywall_id, day, last_old, -1 FROM chained WHERE NOT is_new AND after_new
    ) changed GROUP BY tenant_id, paywall_id, day, last_paid HAVING SUM(users) <> 0
    ON CONFLICT (tenant_id, paywall_id, day, last_paid) DO UPDATE SET users = ledger_payerday.users + excluded.users
"""
