from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"

    def ready(self) -> None:
        from ledger.entitlements import configuration as entitlements
        from ledger.rating import configuration as costs
        from paywalls.configuration import parts

        parts.register(entitlements.PART)
        parts.register(costs.PART)
