"""The pure book run over a list of steps, beside the same steps as operations for `post()`."""

from datetime import UTC, datetime, timedelta

from config import ids
from ledger import book
from ledger.errors import HoldNotOpen, InsufficientFunds
from ledger.operations import Capture, Credit, Debit, Held, PlaceHold, Receipt, Release, Resolved
from paywalls.users import UserRef

EXPIRIES = {"past": timedelta(hours=-1), "future": timedelta(hours=1), None: None}


class PureBooks:
    """Accounts by user name, after the steps; `expected` is the type of each operation's outcome."""

    def __init__(self, paywall_id):
        self.paywall_id = paywall_id
        self.accounts = {}
        self.expected = []
        self._holds = []  # [name, hold] in the order they were placed
        self._wallets = {}

    def operations(self, steps):
        """The steps as operations, run through the pure book on the way."""
        now = datetime.now(UTC)
        made = [self._step(now + timedelta(microseconds=at), *step) for at, step in enumerate(steps)]
        return [operation for operation in made if operation]

    def _step(self, now, verb, *rest):
        if verb in ("capture", "release"):
            return self._resolve(now, verb, *rest)
        name, amount, *more = rest
        ref = UserRef(self.paywall_id, name)
        account = self.accounts.setdefault(name, book.Account())
        source = f"{verb}:{ids.new().hex}"
        if verb == "credit":
            expires = EXPIRIES[more[0]] and now + EXPIRIES[more[0]]
            lot = book.Lot(ids.new(), book.PAID, amount, amount, now, expires)
            self._keep(name, lambda: book.credit(account, lot, now), Receipt)
            return Credit(ref, amount, source, "deposit", "deposits", expires_at=expires)
        if verb == "debit":
            self._keep(name, lambda: book.debit(account, amount, now), Receipt)
            return Debit(ref, amount, source, "charge", "revenue")
        hold = book.Hold(ids.new(), amount)
        if self._keep(name, lambda: book.place_hold(account, hold, now), Held):
            self._holds.append([name, hold])
        return PlaceHold(ref, hold.id, amount, 3600)

    def _resolve(self, now, verb, at, amount=0):
        if not self._holds:
            return None
        entry = self._holds[at % len(self._holds)]
        name, hold = entry
        account, wallet = self.accounts[name], UserRef(self.paywall_id, name)
        replayed = hold.state == (book.CAPTURED if verb == "capture" else book.RELEASED)
        if replayed:
            self.expected.append(Resolved)
        elif verb == "capture":
            change = self._keep(name, lambda: book.capture(account, hold, amount, now), Resolved)
            entry[1] = change.hold if change else hold
        else:
            change = self._keep(name, lambda: book.release(account, hold), Resolved)
            entry[1] = change.hold if change else hold
        if verb == "capture":
            return Capture(wallet, hold.id, amount, f"usage:{hold.id.hex}")
        return Release(wallet, hold.id)

    def _keep(self, name, work, outcome):
        try:
            change = work()
        except (InsufficientFunds, HoldNotOpen) as refusal:
            self.expected.append(type(refusal))
            return None
        self.accounts[name] = change.account
        self.expected.append(outcome)
        return change
