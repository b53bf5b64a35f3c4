"""A rule of the books, and a row that breaks it."""

from dataclasses import dataclass

# As many examples of one fault as are worth reading.
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """`sql` answers (what, expected, found) for every row that breaks the rule."""

    name: str
    sql: str

    @property
    def statement(self) -> str:
        """The query for the first examples.

        The limit stands outside: the planner must not hope to find them early, since in sound books there are none.
        """
        return f"WITH broken AS MATERIALIZED ({self.sql}) SELECT * FROM broken LIMIT {EXAMPLES}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Fault:
    """One row that breaks a rule."""

    rule: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}: expected {self.expected}, found {self.found}"
