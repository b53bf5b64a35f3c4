"""The audit log is written by triggers, where somebody acts (`paywalls/audit.py`), and never changed."""

from django.db import migrations

TABLES = (
    "auth_user",
    "webhooks_subscription",
    "paywalls_tenant",
    "paywalls_tierlimits",
    "paywalls_providercost",
    "paywalls_paywall",
    "paywalls_paywallkey",
    "paywalls_provider",
    "paywalls_paywallmodel",
    "paywalls_route",
    "paywalls_plan",
    "paywalls_playground",
    "paywalls_team",
    "paywalls_teammember",
    "paywalls_tenantkey",
    "paywalls_membership",
)

FUNCTIONS = """
CREATE FUNCTION audit_masked(whole jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(key, CASE
        WHEN key ~ '(^|_)secret$|secret_key$|^api_key$|password|digest|^custom_headers$|^link_id$'
             AND value NOT IN ('null', '""', '{}') THEN '"***"'
        ELSE value END)
    FROM jsonb_each(whole)
$$;

CREATE FUNCTION audit_tenant(source text, whole jsonb) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE
        WHEN source = 'paywalls_tenant' THEN (whole ->> 'id')::uuid
        WHEN whole ? 'tenant_id' THEN (whole ->> 'tenant_id')::uuid
        WHEN whole ? 'paywall_id' THEN
            (SELECT tenant_id FROM paywalls_paywall WHERE id = (whole ->> 'paywall_id')::uuid)
        WHEN source = 'paywalls_route' THEN
            (SELECT p.tenant_id FROM paywalls_paywallmodel m JOIN paywalls_paywall p ON p.id = m.paywall_id
             WHERE m.id = (whole ->> 'model_id')::uuid)
        WHEN source = 'paywalls_teammember' THEN
            (SELECT tenant_id FROM paywalls_team WHERE id = (whole ->> 'team_id')::uuid)
        WHEN source = 'ledger_reconciliationitem' THEN
            (SELECT a.tenant_id FROM ledger_hold h JOIN ledger_account a ON a.id = h.account_id
             WHERE h.id = (whole ->> 'hold_id')::uuid)
        WHEN source = 'ledger_autotopup' THEN
            (SELECT tenant_id FROM ledger_account WHERE id = (whole ->> 'account_id')::uuid)
    END;
END $$;

CREATE FUNCTION audit_write() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor jsonb := current_setting('tollgate.actor')::jsonb;
    was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    now_is jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    whole jsonb := coalesce(now_is, was);
    changed text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(key) INTO changed FROM jsonb_each(now_is)
        WHERE value IS DISTINCT FROM was -> key
          AND key NOT IN ('config_version', 'updated_at', 'last_used_at', 'last_login');
        IF changed IS NULL THEN
            RETURN NULL;
        END IF;
        SELECT jsonb_object_agg(key, value) INTO was FROM jsonb_each(was) WHERE key = ANY(changed);
        SELECT jsonb_object_agg(key, value) INTO now_is FROM jsonb_each(now_is) WHERE key = ANY(changed);
    END IF;
    INSERT INTO paywalls_auditentry
        (tenant_id, actor_type, actor, address, request_id, action, subject_type, subject, before, after)
    VALUES (
        audit_tenant(TG_TABLE_NAME, whole), actor ->> 'type', actor ->> 'name', actor ->> 'address',
        (actor ->> 'request')::uuid, lower(TG_OP), TG_TABLE_NAME,
        coalesce(whole ->> 'id', ''), audit_masked(was), audit_masked(now_is)
    );
    PERFORM set_config('tollgate.audited', 'yes', false);
    RETURN NULL;
END $$;

CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_immutable BEFORE UPDATE OR DELETE ON paywalls_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON paywalls_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

-- End users are made by the gateway; what operators and keys change of them is logged.
CREATE TRIGGER audited AFTER UPDATE OR DELETE ON paywalls_enduser FOR EACH ROW
    WHEN (current_setting('tollgate.actor', true) <> '') EXECUTE FUNCTION audit_write();
CREATE TRIGGER audited AFTER UPDATE OF ended_at, month_limit ON paywalls_connection FOR EACH ROW
    WHEN (current_setting('tollgate.actor', true) <> '') EXECUTE FUNCTION audit_write();
"""

BACKWARD = """
DROP TRIGGER audited ON paywalls_enduser;
DROP TRIGGER audited ON paywalls_connection;
DROP TRIGGER audit_immutable ON paywalls_auditentry;
DROP TRIGGER audit_no_truncate ON paywalls_auditentry;
DROP FUNCTION audit_refuse_change();
DROP FUNCTION audit_write();
DROP FUNCTION audit_tenant(text, jsonb);
DROP FUNCTION audit_masked(jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("paywalls", "0017_audit_log"),
        ("webhooks", "0002_config_version"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, BACKWARD),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW "
                "WHEN (current_setting('tollgate.actor', true) <> '') EXECUTE FUNCTION audit_write()",
                f"DROP TRIGGER audited ON {table}",
            )
            for table in TABLES
        ),
    ]
