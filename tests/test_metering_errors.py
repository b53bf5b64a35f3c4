"""Errors that no view answers, such as an id that is none, are in the metering API's shape under its paths."""

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from config.errors import is_metering
from paywalls.views.base import MeteringView


def routes(resolver, prefix=""):
    """Each path under /v1/ of Django's URL table, with whether the metering API serves it."""
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith("/v1/"):
            yield path, issubclass(pattern.callback.cls, MeteringView)


def test_the_shape_of_errors_goes_by_the_path_as_the_views_do():
    served = dict(routes(get_resolver(), "/"))
    assert {path: is_metering(path) for path in served} == served


@pytest.mark.parametrize(
    "path", ["/v1/keys/7", "/v1/burn-tables/none", "/v1/entitlements/x", "/v1/analytics/"]
)
def test_what_is_nowhere_is_told_in_its_shape(path):
    answer = Client().delete(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "not_found", "message": f"There is no {path}."}


def test_other_paths_keep_the_shape_of_openai():
    assert Client().get("/v1/nowhere").json()["error"]["code"] == "not_found"
