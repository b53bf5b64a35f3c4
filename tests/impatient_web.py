"""A web process whose settlements wait two seconds for a database that is away, not a minute."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

if __name__ == "__main__":
    import django

    django.setup()

    from proxy import reservation

    reservation.SETTLE_PATIENCE = 2.0

    from config.serve import web

    web.main()
