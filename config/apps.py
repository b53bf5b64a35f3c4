from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
    label = "config"

    def ready(self) -> None:
        from django.conf import settings

        from config import translations

        translations.compile_all(settings.BASE_DIR / "locale", settings.LOCALE_PATHS[0])

        from config import celery, checks  # noqa: F401  (tasks bind to our app; the system checks register)
