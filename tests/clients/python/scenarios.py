"""What every client is asked to do, and how it reports: one JSON object on standard output, a member a scenario.

A client's file makes a function of each scenario and hands them to `report`. It says `SAID`, and answers the text that
it got (of a stream: the parts). Or it says `CALL` with the tool `get_weather`, answers that call with `WEATHER`, and
reports what was called and what came back. `BROKE_KEY` is of a paywall on which nobody has money.
"""

import json
import os
import traceback
from collections.abc import Callable
from typing import Any

URL = os.environ["TOLLGATE_URL"]
KEY = os.environ["TOLLGATE_KEY"]
BROKE_KEY = os.environ["TOLLGATE_BROKE_KEY"]
MODEL = os.environ["TOLLGATE_MODEL"]
USER = os.environ["TOLLGATE_USER"]

SAID = "Hello there, gateway"
CALL = 'call get_weather {"city": "Paris"}'
WEATHER = "21 degrees"
DESCRIPTION = "The weather in a city."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def report(**scenarios: Callable[[], Any]) -> None:
    """Run every scenario; one that fails reports its error and keeps nobody from running."""
    told: dict[str, Any] = {}
    for name, scenario in scenarios.items():
        try:
            told[name] = scenario()
        except Exception:
            told[name] = {"error": traceback.format_exc()}
    print(json.dumps(told))
