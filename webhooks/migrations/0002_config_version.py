"""What a paywall's subscriptions want is part of what the gateway caches of the paywall."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER subscription_made AFTER INSERT OR DELETE ON webhooks_subscription
    FOR EACH ROW EXECUTE FUNCTION paywalls_touch_parent();
CREATE TRIGGER subscription_changed AFTER UPDATE OF events, is_active ON webhooks_subscription
    FOR EACH ROW WHEN (OLD.events IS DISTINCT FROM NEW.events OR OLD.is_active <> NEW.is_active)
    EXECUTE FUNCTION paywalls_touch_parent();
"""

BACKWARD = """
DROP TRIGGER subscription_changed ON webhooks_subscription;
DROP TRIGGER subscription_made ON webhooks_subscription;
"""


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial"), ("paywalls", "0002_config_version")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
