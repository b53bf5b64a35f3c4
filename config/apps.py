from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
    label = "config"

    def ready(self) -> None:
        from config import celery, checks  # noqa: F401  (tasks bind to our app; the system checks register)
