"""What a batch writes costs less: fewer index entries, constraints looked at once for a statement, uses as increments.

- Accounts and lots have room on their pages for the row's next version, and no index that a burn would change.
- The accounts of transfers are looked at by statement: two constraints looked once for each row and account.
- One index on sources serves equality and prefixes.
- Uses of features are in the increments and reach their counters with the next roll-up; readers add both.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

ACCOUNTS = """
CREATE FUNCTION ledger_transfer_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE missing uuid;
BEGIN
    SELECT named.id INTO missing
    FROM (SELECT debit_account_id AS id FROM added UNION SELECT credit_account_id FROM added) named
    WHERE NOT EXISTS (SELECT FROM ledger_account a WHERE a.id = named.id) LIMIT 1;
    IF FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format('a transfer names account %s, which is not there', missing);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER transfer_accounts AFTER INSERT ON ledger_transfer
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_transfer_accounts();

-- No account goes that a transfer names. The lock waits for transfers under way; those that come later find it gone.
CREATE FUNCTION ledger_account_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE ledger_transfer IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM ledger_transfer WHERE debit_account_id = OLD.id OR credit_account_id = OLD.id) THEN
        RAISE foreign_key_violation USING MESSAGE = format('transfers name account %s', OLD.id);
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER account_kept BEFORE DELETE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_account_kept();

ALTER TABLE ledger_account SET (fillfactor = 50);
ALTER TABLE ledger_lot SET (fillfactor = 50);
"""
NO_ACCOUNTS = """
ALTER TABLE ledger_lot RESET (fillfactor);
ALTER TABLE ledger_account RESET (fillfactor);
DROP TRIGGER account_kept ON ledger_account;
DROP FUNCTION ledger_account_kept();
DROP TRIGGER transfer_accounts ON ledger_transfer;
DROP FUNCTION ledger_transfer_accounts();
"""

COLUMNS = """tenant_id, paywall_id, user_id, hour, feature_id, provider, model, event_type,
        events, errors, blocked, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
        charged, cost, uncosted, uses, used_on"""
# A use that lies ahead counts today.
USED_ON = "LEAST({hour} AT TIME ZONE 'UTC', clock_timestamp() AT TIME ZONE 'UTC')::date"

REQUEST_SUMS = """
        SUM(CASE WHEN status <> 'blocked' THEN {sign} ELSE 0 END) AS events,
        SUM(CASE WHEN status IN ('failed', 'lost') THEN {sign} ELSE 0 END) AS errors,
        SUM(CASE WHEN status = 'blocked' THEN {sign} ELSE 0 END) AS blocked,
        SUM({sign} * input_tokens) AS input, SUM({sign} * cache_read_tokens) AS read,
        SUM({sign} * cache_write_tokens) AS write, SUM({sign} * output_tokens) AS output,
        SUM({sign} * charge) AS charged, SUM({sign} * COALESCE(cost, 0)) AS cost,
        SUM(CASE WHEN cost IS NULL AND status IN ('completed', 'canceled') THEN {sign} ELSE 0 END) AS uncosted,
        SUM(CASE WHEN status IN ('completed', 'canceled') THEN {sign} ELSE 0 END) AS uses"""
REQUESTS = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Most statements are about requests that only begin, or write nothing: they cost no more than this look.
    IF NOT EXISTS (SELECT FROM added WHERE status <> 'started') {unless} THEN RETURN NULL; END IF;
    INSERT INTO ledger_usageincrement ({columns})
    SELECT p.tenant_id, r.paywall_id, r.external_id, r.hour, r.surface, r.provider, r.model, 'TOKEN_USAGE',
        r.events, r.errors, r.blocked, r.input, r.read, r.write, r.output, r.charged, r.cost, r.uncosted,
        {uses}, {used_on}
    FROM (
        SELECT paywall_id, external_id, date_trunc('hour', created_at, 'UTC') AS hour, surface, provider, model,
            {sums}
        FROM {rows} WHERE status <> 'started' GROUP BY 1, 2, 3, 4, 5, 6
    ) r JOIN paywalls_paywall p ON p.id = r.paywall_id;
    RETURN NULL;
END $$;
"""
# A row that changes takes back what it added before: one that runs for long is there as started, a lost one may be
# charged after all. A use that was counted is never taken back.
BOTH = "(SELECT 1 AS sign, n.* FROM added n UNION ALL SELECT -1, o.* FROM removed o) both_ways"
REQUEST_USES = """CASE WHEN SUM(r.uses) OVER (
            PARTITION BY r.paywall_id, r.external_id, r.surface, (r.hour AT TIME ZONE 'UTC')::date
        ) > 0 THEN r.uses ELSE 0 END"""

EVENT_SUMS = """
        SUM({sign}) AS events,
        SUM({sign} * input_tokens) AS input, SUM({sign} * cache_read_tokens) AS read,
        SUM({sign} * cache_write_tokens) AS write, SUM({sign} * output_tokens) AS output,
        SUM(CASE WHEN state = 'billed' THEN {sign} * amount ELSE 0 END) AS charged,
        SUM({sign} * COALESCE(cost, 0)) AS cost, SUM(CASE WHEN cost IS NULL THEN {sign} ELSE 0 END) AS uncosted,
        {uses} AS uses"""
EVENTS = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
{declared}
BEGIN
    IF NOT EXISTS (SELECT FROM added) THEN RETURN NULL; END IF;
    {prepared}
    INSERT INTO ledger_usageincrement ({columns})
    SELECT r.tenant_id, home.id, COALESCE(u.external_id, ''), r.hour, r.feature_id, r.provider, r.model, r.event_type,
        r.events, 0, 0, r.input, r.read, r.write, r.output, r.charged, r.cost, r.uncosted,
        CASE WHEN u.id IS NULL THEN 0 ELSE r.uses END, {used_on}
    FROM (
        SELECT tenant_id, user_id, date_trunc('hour', timestamp, 'UTC') AS hour, feature_id, provider, model,
            event_type, {sums}
        FROM {rows} GROUP BY 1, 2, 3, 4, 5, 6, 7
    ) r
    LEFT JOIN paywalls_enduser u ON u.id = r.user_id
    LEFT JOIN paywalls_paywall home ON home.tenant_id = r.tenant_id AND home.is_home;
    RETURN NULL;
END $$;
"""
# A use that `consume` has counted under the event's id or key isn't counted again. Few tenants consume, and only
# theirs are looked up.
FRESH_USES = """SUM(CASE WHEN consumed AND EXISTS (
            SELECT FROM ledger_featureuse c
            WHERE c.tenant_id = e.tenant_id AND c.feature_id = e.feature_id
                AND c.key IN (e.event_id::text, e.idempotency_key)
        ) THEN 0 ELSE 1 END)"""
CONSUMED = """SELECT EXISTS (
        SELECT FROM ledger_featureuse c WHERE c.tenant_id IN (SELECT DISTINCT tenant_id FROM added)
    ) INTO consumed;"""

TRIGGERS = "".join(
    (
        REQUESTS.format(
            name="ledger_requests_added",
            unless="",
            columns=COLUMNS,
            uses="r.uses",
            used_on=USED_ON.format(hour="r.hour"),
            sums=REQUEST_SUMS.format(sign=1),
            rows="added",
        ),
        REQUESTS.format(
            name="ledger_requests_changed",
            unless="AND NOT EXISTS (SELECT FROM removed WHERE status <> 'started')",
            columns=COLUMNS,
            uses=REQUEST_USES,
            used_on=USED_ON.format(hour="r.hour"),
            sums=REQUEST_SUMS.format(sign="sign"),
            rows=BOTH,
        ),
        EVENTS.format(
            name="ledger_events_added",
            declared="DECLARE consumed boolean;",
            prepared=CONSUMED,
            columns=COLUMNS,
            used_on=USED_ON.format(hour="r.hour"),
            sums=EVENT_SUMS.format(sign=1, uses=FRESH_USES),
            rows="added e",
        ),
        # An event that changes takes back what it added before: an unbilled one may be billed later. It is no
        # further use.
        EVENTS.format(
            name="ledger_events_changed",
            declared="",
            prepared="",
            columns=COLUMNS,
            used_on=USED_ON.format(hour="r.hour"),
            sums=EVENT_SUMS.format(sign="sign", uses="0"),
            rows=BOTH,
        ),
    )
)

# What the triggers did before, which is where a migration backwards leads.
_requests, _events = (
    import_module(f"ledger.migrations.{name}")
    for name in ("0010_rollup_triggers", "0013_event_rollup_triggers")
)
BEFORE = "".join(
    (
        _requests.REQUESTS.format(name="ledger_requests_added", rows=_requests.ADDED),
        _requests.REQUESTS.format(name="ledger_requests_changed", rows=_requests.CHANGED),
        _events.EVENTS.format(name="ledger_events_added", rows=_events.ADDED, counted=_events.COUNTED),
        _events.EVENTS.format(name="ledger_events_changed", rows=_events.CHANGED, counted=""),
    )
).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


class Migration(migrations.Migration):
    dependencies = [("ledger", "0020_indexes_of_rare_rows")]

    operations = [
        migrations.RemoveIndex("usageincrement", "usage_increment_tenant"),
        migrations.AddField("usageincrement", "uses", models.BigIntegerField(db_default=0)),
        migrations.AddField("usageincrement", "used_on", models.DateField(null=True)),
        migrations.AddIndex(
            "usageincrement", models.Index(fields=["tenant", "user_id"], name="usage_increment_user")
        ),
        migrations.RemoveIndex("lot", "lot_live"),
        migrations.RemoveIndex("lot", "lot_live_expiry"),
        migrations.AddField(
            "lot",
            "is_live",
            models.GeneratedField(
                db_persist=True, expression=Q(remaining__gt=0), output_field=models.BooleanField()
            ),
        ),
        migrations.AddIndex(
            "lot", models.Index(condition=Q(is_live=True), fields=["account"], name="lot_live")
        ),
        migrations.AddIndex(
            "lot",
            models.Index(
                condition=Q(is_live=True, expires_at__isnull=False),
                fields=["expires_at"],
                name="lot_live_expiry",
            ),
        ),
        migrations.AlterField(
            "transfer",
            "credit_account",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="credits",
                to="ledger.account",
            ),
        ),
        migrations.AlterField(
            "transfer",
            "debit_account",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="debits",
                to="ledger.account",
            ),
        ),
        migrations.AlterField("transfer", "source", models.CharField(max_length=200)),
        migrations.AddConstraint(
            "transfer",
            models.UniqueConstraint(
                fields=("source",), name="transfer_source_once", opclasses=["varchar_pattern_ops"]
            ),
        ),
        migrations.RunSQL(ACCOUNTS + TRIGGERS, NO_ACCOUNTS + BEFORE),
    ]
