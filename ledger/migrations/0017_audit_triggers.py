"""Money that operators and keys move, and the ledger's settings, are in the audit log; metered use is not."""

from django.db import migrations

TABLES = (
    "ledger_burntable",
    "ledger_entitlement",
    "ledger_autotopup",
    "ledger_stripeaccount",
    "ledger_withdrawal",
    "ledger_reconciliationitem",
    "ledger_operatoralert",
)
_WHEN = "WHEN (current_setting('tollgate.actor', true) <> '') EXECUTE FUNCTION audit_write()"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0016_links_asked_for_in_chats"), ("paywalls", "0018_audit_triggers")]

    operations = [
        migrations.RunSQL(
            f"""
            CREATE TRIGGER audited AFTER INSERT ON ledger_transfer FOR EACH ROW
                WHEN (NEW.kind NOT IN ('usage', 'burn') AND current_setting('tollgate.actor', true) <> '')
                EXECUTE FUNCTION audit_write();
            CREATE TRIGGER audited AFTER UPDATE OF day_limit, month_limit, low_balance ON ledger_account
                FOR EACH ROW {_WHEN};
            """,
            "DROP TRIGGER audited ON ledger_transfer; DROP TRIGGER audited ON ledger_account;",
        ),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW {_WHEN}",
                f"DROP TRIGGER audited ON {table}",
            )
            for table in TABLES
        ),
    ]
