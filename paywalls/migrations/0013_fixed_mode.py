"""A paywall's mode can't change: its users' money would be in the wrong wallets. Nobody gets past a trigger."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION paywalls_refuse_mode_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the mode of a paywall can''t change after it is made' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER paywall_mode_fixed BEFORE UPDATE ON paywalls_paywall
    FOR EACH ROW WHEN (OLD.mode IS DISTINCT FROM NEW.mode) EXECUTE FUNCTION paywalls_refuse_mode_change();
"""

BACKWARD = """
DROP TRIGGER paywall_mode_fixed ON paywalls_paywall;
DROP FUNCTION paywalls_refuse_mode_change();
"""


class Migration(migrations.Migration):
    dependencies = [("paywalls", "0012_shared_wallets")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
