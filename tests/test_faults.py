"""The docs' list of faults names tests that exist."""

import re

import pytest

from tests.environment import ROOT

NAMED = re.findall(r"`(tests/\w+\.py)::(\w+)`", (ROOT / "docs" / "faults.md").read_text())


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda value: value.rpartition("/")[2])
def test_a_fault_has_its_test(file: str, name: str) -> None:
    assert re.search(rf"^ *def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file} has no {name}"


def test_every_fault_of_the_page_names_a_test() -> None:
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("| ")]
    assert len(NAMED) == len([row for row in rows if not row.startswith("| the fault")]) > 30
