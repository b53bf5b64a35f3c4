import config.ids
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("paywalls", "0013_fixed_mode"),
    ]

    operations = [
        migrations.CreateModel(
            name="Playground",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=config.ids.new, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "is_on",
                    models.BooleanField(
                        default=True, help_text="Whether the link opens the page.", verbose_name="on"
                    ),
                ),
                ("link_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("rotated_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "visitor_requests_per_minute",
                    models.PositiveIntegerField(
                        default=10,
                        help_text="Of one visitor.",
                        verbose_name="requests per minute of a visitor",
                    ),
                ),
                (
                    "link_requests_per_minute",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="Of all visitors together.",
                        verbose_name="requests per minute in all",
                    ),
                ),
                (
                    "visitor_spend_per_day",
                    models.BigIntegerField(default=1000000000, verbose_name="spend per day of a visitor"),
                ),
                (
                    "link_spend_per_day",
                    models.BigIntegerField(default=10000000000, verbose_name="spend per day in all"),
                ),
                (
                    "paywall",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="playground",
                        to="paywalls.paywall",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PlaygroundDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("used", models.BigIntegerField()),
                (
                    "playground",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="days",
                        to="paywalls.playground",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="playground",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("link_requests_per_minute__gt", 0),
                    ("link_spend_per_day__gt", 0),
                    ("visitor_requests_per_minute__gt", 0),
                    ("visitor_spend_per_day__gt", 0),
                ),
                name="playground_limits_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="playgroundday",
            constraint=models.UniqueConstraint(fields=("playground", "day"), name="playground_day_once"),
        ),
        migrations.AddConstraint(
            model_name="playgroundday",
            constraint=models.CheckConstraint(
                condition=models.Q(("used__gte", 0)), name="playground_day_not_negative"
            ),
        ),
        # What the gateway caches of a paywall, it caches of its playground.
        migrations.RunSQL(
            "CREATE TRIGGER playground_changed AFTER INSERT OR UPDATE OR DELETE ON paywalls_playground "
            "FOR EACH ROW EXECUTE FUNCTION paywalls_touch_parent();",
            "DROP TRIGGER playground_changed ON paywalls_playground;",
        ),
    ]
