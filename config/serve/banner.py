"""What `make run` prints when everything answers: where it is, and two snippets that work as they are."""

import sys
from pathlib import Path
from typing import Any

from config.serve.preparation import Operator

_SNIPPETS = """
Ask it something:

curl {base}/chat/completions \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "sandbox/echo", "user": "alice", "messages": [{{"role": "user", "content": "Hello"}}]}}'

The same in Python (pip install openai):

from openai import OpenAI

client = OpenAI(base_url="{base}", api_key="{key}")
answer = client.chat.completions.create(
    model="sandbox/echo",
    user="alice",
    messages=[{{"role": "user", "content": "Hello"}}],
)
print(answer.choices[0].message.content)

Alice's trial credit pays for four of these; the fifth answers with a link to top up.
"""

_NO_DEMO = """
To sell something: {manage} apply FILE.yaml (the format is in docs/configuration.md).
"""


def text(settings: Any, key: str | None, operator: Operator | None) -> str:
    """The banner; without a demo `key` it says how to make a paywall."""
    base = f"{settings.PUBLIC_URL}/v1"
    manage = f"{_python()} manage.py"
    lines = {"Base URL": base}
    if key:
        lines["Demo key"] = key
    lines["Admin"] = f"{settings.PUBLIC_URL}/admin/"
    lines["Operator"] = _operator(operator, manage)
    lines["Data"] = str(settings.DATA_DIR) if settings.EMBEDDED else "the server of DATABASE_URL"
    table = "\n".join(f"  {name:<9} {value}" for name, value in lines.items())
    what_next = _SNIPPETS.format(base=base, key=key) if key else _NO_DEMO.format(manage=manage)
    return f"\nTollgate is running.\n\n{table}\n{what_next}\nCtrl-C stops everything.\n"


def _operator(operator: Operator | None, manage: str) -> str:
    if operator is None:
        return f"{manage} createsuperuser makes one"
    if operator.password:
        return f"{operator.name}, password {operator.password} (shown this once)"
    return f"{operator.name} (forgotten? {manage} changepassword {operator.name})"


def _python() -> str:
    """The interpreter as one would type it here."""
    path = Path(sys.executable)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else "python"
