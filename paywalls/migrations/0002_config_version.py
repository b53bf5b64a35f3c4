"""A paywall's config_version moves with every change of what the gateway caches of it.

A trigger, so that no writer can forget it: the ORM, bulk statements and an operator's psql alike.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION paywalls_touch_self() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.config_version := OLD.config_version + 1;
    RETURN NEW;
END $$;

CREATE TRIGGER paywall_changed BEFORE UPDATE ON paywalls_paywall
    FOR EACH ROW EXECUTE FUNCTION paywalls_touch_self();

CREATE FUNCTION paywalls_touch_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE paywalls_paywall SET name = name WHERE id = OLD.paywall_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE paywalls_paywall SET name = name WHERE id = NEW.paywall_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER key_changed AFTER INSERT OR UPDATE OR DELETE ON paywalls_paywallkey
    FOR EACH ROW EXECUTE FUNCTION paywalls_touch_parent();
CREATE TRIGGER provider_changed AFTER INSERT OR UPDATE OR DELETE ON paywalls_provider
    FOR EACH ROW EXECUTE FUNCTION paywalls_touch_parent();
CREATE TRIGGER model_changed AFTER INSERT OR UPDATE OR DELETE ON paywalls_paywallmodel
    FOR EACH ROW EXECUTE FUNCTION paywalls_touch_parent();
"""

BACKWARD = """
DROP TRIGGER model_changed ON paywalls_paywallmodel;
DROP TRIGGER provider_changed ON paywalls_provider;
DROP TRIGGER key_changed ON paywalls_paywallkey;
DROP FUNCTION paywalls_touch_parent();
DROP TRIGGER paywall_changed ON paywalls_paywall;
DROP FUNCTION paywalls_touch_self();
"""


class Migration(migrations.Migration):
    dependencies = [("paywalls", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
