"""The limits of an end user move the paywall's config_version, as its own and its models' do.

Only they: end users are made all the time, and what the gateway caches of a paywall stays.
"""

from django.db import migrations

_COLUMNS = (
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "max_output_tokens",
    "allowed_models",
)


def _all(row):
    return ", ".join(f"{row}.{column}" for column in _COLUMNS)


def _any(row):
    return " OR ".join(f"{row}.{column} IS NOT NULL" for column in _COLUMNS)


FORWARD = f"""
CREATE TRIGGER user_limits_changed AFTER UPDATE ON paywalls_enduser
    FOR EACH ROW WHEN (ROW({_all("OLD")}) IS DISTINCT FROM ROW({_all("NEW")}))
    EXECUTE FUNCTION paywalls_touch_parent();
CREATE TRIGGER user_limits_made AFTER INSERT ON paywalls_enduser
    FOR EACH ROW WHEN ({_any("NEW")}) EXECUTE FUNCTION paywalls_touch_parent();
CREATE TRIGGER user_limits_gone AFTER DELETE ON paywalls_enduser
    FOR EACH ROW WHEN ({_any("OLD")}) EXECUTE FUNCTION paywalls_touch_parent();
"""

BACKWARD = """
DROP TRIGGER user_limits_gone ON paywalls_enduser;
DROP TRIGGER user_limits_made ON paywalls_enduser;
DROP TRIGGER user_limits_changed ON paywalls_enduser;
"""


class Migration(migrations.Migration):
    dependencies = [("paywalls", "0005_limits")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
