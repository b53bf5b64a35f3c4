"""Prefill what providers charge: `manage.py sync_prices`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import ids, money
from paywalls import costs, margins
from paywalls.models import Paywall, PaywallModel, Route
from paywalls.pricing import Price


class Command(BaseCommand):
    help = (
        "Fill in what the providers charge for each model, from the data of the package genai-prices (no network). "
        "Says what changes, keeps what an operator typed, and warns of models that are sold below their cost."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--paywall", metavar="ID", help="only this paywall (pw_…)")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, write nothing")
        parser.add_argument("--force", action="store_true", help="overwrite what an operator typed, too")

    def handle(self, *args: Any, paywall: str | None, dry_run: bool, force: bool, **options: Any) -> None:
        models = PaywallModel.objects.select_related("paywall", "provider").prefetch_related(
            "routes__provider"
        )
        models = models.order_by("paywall", "model_id")
        if paywall:
            models = models.filter(paywall=self._key(paywall))
        changed = asked = 0
        for model in models:
            asked += 1
            before = _told(model.cost())
            finding = costs.find(model, force=force)
            if finding.costs is not None:
                changed += 1
                if dry_run:
                    for name, value in finding.costs.items():
                        setattr(model, name, value)
                else:
                    costs.write(finding)
            note = f"{before} -> {_told(model.cost())}" if finding.costs is not None else finding.note
            self.stdout.write(f"{model.paywall.name}: {model.model_id}: {note}")
            for route in model.routes.all():
                asked += 1
                changed += self._sync_route(model, route, dry_run=dry_run, force=force)
            for loss in margins.of_model(model, model.paywall):
                self.stderr.write(f"warning: {model.paywall.name}: {model.model_id}: {loss}")
        verb = "would change" if dry_run else "changed"
        self.stdout.write(f"{changed} of {asked} {verb} (genai-prices {costs.version()})")

    def _sync_route(self, model: PaywallModel, route: Route, *, dry_run: bool, force: bool) -> bool:
        before = _told(route.own_cost())
        finding = costs.find_route(route, force=force)
        note = finding.note
        if finding.cost is not None:
            if not dry_run:
                costs.write_route(finding)
            route.cost = finding.cost
            note = f"{before} -> {_told(route.own_cost())}"
        by = f"{route.provider.name} ({route.upstream_model})"
        self.stdout.write(f"{model.paywall.name}: {model.model_id}: {by}: {note}")
        return finding.cost is not None

    def _key(self, paywall: str) -> Any:
        try:
            key = ids.parse("paywall", paywall)
        except ValueError:
            raise CommandError(f"{paywall!r} is no id of a paywall, such as pw_018f…") from None
        if not Paywall.objects.filter(pk=key).exists():
            raise CommandError(f"there is no paywall {paywall}")
        return key


def _told(cost: Price | None) -> str:
    """A cost in a few words."""
    if cost is None:
        return "unknown"
    tiers = "".join(
        f", ${money.plain(tier.prompt)} / ${money.plain(tier.completion)} above {tier.above}"
        for tier in cost.tiers
    )
    return f"${money.plain(cost.prompt)} / ${money.plain(cost.completion)}{tiers}"
