"""Money has one writer: a second one anywhere fails here."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = [
    path
    for folder in ("config", "webhooks", "paywalls", "ledger", "proxy")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
]
# The history of a demonstration, whose times posting can't set; `test_seed_demo.py` proves its books.
DEMONSTRATION = ROOT / "ledger" / "demo" / "books.py"
# The statements of posting, and who may send them.
WRITER = ROOT / "ledger" / "statements.py"
SENDERS = {ROOT / "ledger" / name for name in ("state.py", "posting.py", "wallets.py")}

MONEY = {"Account", "Transfer", "Hold", "Lot"}
ORM_WRITES = {
    "create",
    "bulk_create",
    "get_or_create",
    "update_or_create",
    "update",
    "bulk_update",
    "delete",
    "save",
}
SQL_WRITE = re.compile(
    r"\b(insert\s+into|update|delete\s+from|truncate|merge\s+into|copy)\s+(only\s+)?ledger_(account|transfer|hold|lot)\b",
    re.IGNORECASE,
)


def second_writers(source: str) -> list[str]:
    """What in a module writes money past posting: SQL on its tables, or a manager's or a new row's write."""
    tree = ast.parse(source)
    found = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL_WRITE.search(node.value)
    ]
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ORM_WRITES
        ):
            rooted = {name.id for name in ast.walk(node.func) if isinstance(name, ast.Name)}
            if rooted & MONEY:
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in PRODUCT if path not in (WRITER, DEMONSTRATION)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_nothing_but_posting_writes_money(path):
    source = path.read_text()
    assert second_writers(source) == []
    if path not in SENDERS:
        assert not re.search(r"from ledger import .*\bstatements\b|ledger\.statements", source)


@pytest.mark.parametrize(
    "source",
    [
        "cursor.execute('UPDATE ledger_account SET posted = 1')",
        'cursor.execute(f"""insert into ledger_transfer values ({x})""")',
        "Account.objects.filter(id=1).update(posted=1)",
        "Transfer.objects.create(amount=1)",
        "Lot(amount=1).save()",
        "Hold.objects.all().delete()",
    ],
)
def test_a_second_writer_would_be_found(source):
    assert second_writers(source)
