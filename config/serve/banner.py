"""What `make run` prints when everything answers: where it is, and two snippets that work as they are."""

from typing import Any

from config.serve.preparation import OPERATOR

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
To sell something: python manage.py apply FILE.yaml (the format is in docs/configuration.md).
"""


def text(settings: Any, key: str | None, password: str | None) -> str:
    """The banner; without a demo `key` it says how to make a paywall, without a `password` it shows none."""
    base = f"{settings.PUBLIC_URL}/v1"
    lines = {"Base URL": base}
    if key:
        lines["Demo key"] = key
    lines["Admin"] = f"{settings.PUBLIC_URL}/admin/"
    if password:
        lines["Operator"] = f"{OPERATOR}, password {password} (shown this once)"
    elif settings.PRODUCTION:
        lines["Operator"] = "python manage.py createsuperuser makes one"
    else:
        lines["Operator"] = f"{OPERATOR} (forgotten? python manage.py changepassword {OPERATOR})"
    lines["Data"] = str(settings.DATA_DIR) if settings.EMBEDDED else "the server of DATABASE_URL"
    table = "\n".join(f"  {name:<9} {value}" for name, value in lines.items())
    what_next = _SNIPPETS.format(base=base, key=key) if key else _NO_DEMO
    return f"\nTollgate is running.\n\n{table}\n{what_next}\nCtrl-C stops everything.\n"
