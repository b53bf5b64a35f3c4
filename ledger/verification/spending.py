"""What counts against the limits of a day."""

from ledger.verification.rule import Rule

RULES = [
    Rule(
        "a wallet's day is what was held or charged on it",
        """
        SELECT a.id, COALESCE(h.total, 0) + COALESCE(t.total, 0), a.day_used
        FROM ledger_account a
        LEFT JOIN (
            SELECT account_id, counted_on, SUM(CASE state WHEN 'open' THEN amount ELSE captured END) AS total
            FROM ledger_hold WHERE counted_on IS NOT NULL GROUP BY account_id, counted_on
        ) h ON h.account_id = a.id AND h.counted_on = a.window_day
        LEFT JOIN (
            SELECT t.wallet_id, (t.created_at AT TIME ZONE 'UTC')::date AS day, SUM(t.amount) AS total
            FROM ledger_transfer t
            WHERE t.kind = 'charge' AND NOT EXISTS (SELECT 1 FROM ledger_hold WHERE id = t.request_id)
            GROUP BY 1, 2
        ) t ON t.wallet_id = a.id AND t.day = a.window_day
        WHERE a.window_day IS NOT NULL AND a.day_used <> COALESCE(h.total, 0) + COALESCE(t.total, 0)
        """,
    ),
    Rule(
        "what was spent on a model in a day is what was held or charged for it",
        """
        SELECT s.id, COALESCE(h.total, 0), s.day_used
        FROM ledger_modelspend s
        LEFT JOIN (
            SELECT model_spend_id, counted_on, SUM(CASE state WHEN 'open' THEN amount ELSE captured END) AS total
            FROM ledger_hold WHERE model_spend_id IS NOT NULL GROUP BY model_spend_id, counted_on
        ) h ON h.model_spend_id = s.id AND h.counted_on = s.window_day
        WHERE s.day_used <> COALESCE(h.total, 0)
        """,
    ),
    Rule(
        "a connection's day is what was held or charged through it",
        """
        SELECT c.id, COALESCE(h.total, 0) + COALESCE(t.total, 0), c.day_used
        FROM paywalls_connection c
        LEFT JOIN (
            SELECT connection_id, counted_on, SUM(CASE state WHEN 'open' THEN amount ELSE captured END) AS total
            FROM ledger_hold WHERE connection_id IS NOT NULL GROUP BY connection_id, counted_on
        ) h ON h.connection_id = c.id AND h.counted_on = c.window_day
        LEFT JOIN (
            SELECT s.connection_id, (s.created_at AT TIME ZONE 'UTC')::date AS day, SUM(s.amount) AS total
            FROM ledger_split s JOIN ledger_transfer t ON t.id = s.transfer_id
            WHERE t.kind = 'charge' AND NOT EXISTS (SELECT 1 FROM ledger_hold WHERE id = t.request_id)
            GROUP BY 1, 2
        ) t ON t.connection_id = c.id AND t.day = c.window_day
        WHERE c.window_day IS NOT NULL AND c.day_used <> COALESCE(h.total, 0) + COALESCE(t.total, 0)
        """,
    ),
]
