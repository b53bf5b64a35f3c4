"""The courier: keeps a worker's senders busy with due deliveries until nothing is due or under way.

The courier's own thread is the only one that talks to the database: it claims for the senders that are free and records
whatever came back, all of it in one transaction. Senders only send.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from webhooks import claims, deactivation, recording, sending
from webhooks.claims import Claim, Queue
from webhooks.models import Subscription
from webhooks.sending import Result

log = logging.getLogger("tollgate.webhooks")

# Seconds after which a courier with attempts under way looks for due deliveries again.
LOOK_SECONDS = 0.5


class Courier:
    """One for each worker process; `run()` of a second thread only wakes the first."""

    def __init__(
        self,
        senders: int,
        *,
        send: Callable[[Claim], Result] = sending.send,
        gave_up: Callable[[Subscription], None] = lambda endpoint: None,
    ) -> None:
        """`gave_up` is told of each endpoint that was deactivated for failing too long."""
        # A quarter of the senders for endpoints that are slow or failing and for retries: they can fill no more.
        patient = max(1, senders // 4)
        self._free = {True: max(1, senders - patient), False: patient}
        self._pool = ThreadPoolExecutor(senders + 1, thread_name_prefix="webhook-sender")
        self._send = send
        self._gave_up = gave_up
        self._done: queue.SimpleQueue[tuple[bool, Claim, Result] | None] = queue.SimpleQueue()
        self._running = threading.Lock()
        self._under_way = 0
        self._stopping = False

    def run(self) -> int:
        """Deliver until nothing is due and nothing under way; how many attempts were made."""
        if not self._running.acquire(blocking=False):
            self._done.put(None)
            return 0
        try:
            claims.take_back_lost()
            attempts = 0
            while True:
                claimed = 0 if self._stopping else self._hand_out()
                attempts += claimed
                if not self._under_way:
                    return attempts
                self._take_in(wait=not claimed)
        finally:
            self._running.release()

    def stop(self) -> None:
        """Begin nothing new; `run()` returns once what is under way has ended."""
        self._stopping = True
        self._done.put(None)

    def _hand_out(self) -> int:
        claimed = self._claim(prompt=True, queues=[Queue.PROMPT])
        return claimed + self._claim(prompt=False, queues=[Queue.RETRIES, Queue.SLOW])

    def _claim(self, *, prompt: bool, queues: list[Queue]) -> int:
        claimed = 0
        for waiting in queues:
            if not self._free[prompt]:
                break
            for claim in claims.claim(waiting, self._free[prompt]):
                self._free[prompt] -= 1
                self._under_way += 1
                self._pool.submit(self._carry, prompt, claim)
                claimed += 1
        return claimed

    def _carry(self, prompt: bool, claim: Claim) -> None:
        self._done.put((prompt, claim, self._send(claim)))

    def _take_in(self, *, wait: bool) -> None:
        """Record what has come back; where nothing has and `wait`, wait a little for it."""
        done: list[tuple[Claim, Result]] = []
        try:
            item = self._done.get(timeout=LOOK_SECONDS if wait else 0.005)
            while True:
                if item is not None:
                    prompt, claim, result = item
                    self._free[prompt] += 1
                    self._under_way -= 1
                    done.append((claim, result))
                item = self._done.get_nowait()
        except queue.Empty:
            pass
        if done:
            for endpoint in recording.record(done):
                if deactivation.give_up(endpoint):
                    self._gave_up(endpoint)
