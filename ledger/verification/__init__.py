"""Do the books sum? Each rule is one query that answers the rows breaking it, so the proof runs in the database."""

from ledger.verification.proof import RULES, verify
from ledger.verification.rule import Fault, Rule

__all__ = ["RULES", "Fault", "Rule", "verify"]
