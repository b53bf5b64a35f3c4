from django.apps import AppConfig


class PaywallsConfig(AppConfig):
    name = "paywalls"
