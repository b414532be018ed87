"""Write lease changes to the register in batches: one transaction for concurrent changes, awaited until durable."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from answerable.errors import AnswerableError
from answerable.errors.codes.ledger import REGISTER_BUSY, REGISTER_UNAVAILABLE
from answerable.ports.lease_register import PORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.lease.lease import Lease
    from answerable.ports.lease_register import LeaseRegister, Redemption, Taken

BATCH_MAX: Final = 2_000
WAITING_MAX: Final = 400_000
"""As many leases as a broker may have to end at once at its start."""

_log: Final = logging.getLogger(__name__)


class _Waiting:
    """A caller waiting for its change to be written. answer: the register's answer."""

    __slots__ = ("answer", "failed", "written")

    def __init__(self) -> None:
        self.written = anyio.Event()
        self.answer: Taken = "taken"
        self.failed: AnswerableError | None = None


class LeaseWriter:
    """Writes lease changes; `run` must be running. No change is acknowledged before it is on stable storage."""

    def __init__(self, register: LeaseRegister) -> None:
        self._register = register
        self._redeemed: list[tuple[Redemption, _Waiting]] = []
        self._put: list[tuple[Lease, _Waiting]] = []
        self._there = anyio.Event()

    async def run(self) -> None:
        """Write queued changes until cancelled. A write that has begun completes."""
        while True:
            await self._there.wait()
            self._there = anyio.Event()
            while self._redeemed or self._put:
                redeemed, self._redeemed = self._redeemed[:BATCH_MAX], self._redeemed[BATCH_MAX:]
                put, self._put = self._put[:BATCH_MAX], self._put[BATCH_MAX:]
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(self._write, redeemed, put)
                for _, waiting in (*redeemed, *put):
                    waiting.written.set()

    async def redeem(self, redemption: Redemption) -> Taken:
        """Redeem one warrant, as LeaseRegister.redeem does. Raises Unavailable (`register.*`). A caller cancelled while
        waiting does not know whether it was redeemed."""
        waiting = self._waiting()
        self._redeemed.append((redemption, waiting))
        return (await self._written(waiting)).answer

    async def put(self, lease: Lease) -> None:
        """Store one lease, as LeaseRegister.put does. Raises Unavailable."""
        waiting = self._waiting()
        self._put.append((lease, waiting))
        await self._written(waiting)

    async def put_all(self, leases: Iterable[Lease]) -> None:
        """Store many leases together, as LeaseRegister.put does. Raises Unavailable where one of them may not be
        stored."""
        leases = list(leases)
        self._require_room(len(leases))
        together = [(lease, _Waiting()) for lease in leases]
        self._put += together
        for _, waiting in together:
            await self._written(waiting)

    def _waiting(self) -> _Waiting:
        self._require_room(1)
        return _Waiting()

    def _require_room(self, count: int) -> None:
        if len(self._redeemed) + len(self._put) + count > WAITING_MAX:
            raise REGISTER_BUSY()

    async def _written(self, waiting: _Waiting) -> _Waiting:
        self._there.set()
        await waiting.written.wait()
        if waiting.failed is not None:
            raise waiting.failed
        return waiting

    def _write(self, redeemed: list[tuple[Redemption, _Waiting]], put: list[tuple[Lease, _Waiting]]) -> None:
        """Write both kinds of changes, in a thread. Each kind is one transaction, and may fail without the other."""
        with _told([waiting for _, waiting in redeemed]):
            answers = self._register.redeem([change for change, _ in redeemed]) if redeemed else []
            for (_, waiting), answer in zip(redeemed, answers, strict=True):
                waiting.answer = answer
        with _told([waiting for _, waiting in put]):
            if put:
                self._register.put([lease for lease, _ in put])


@contextmanager
def _told(waiting: list[_Waiting]) -> Iterator[None]:
    """Report every failure to the waiting callers: nothing else would wake them."""
    failed: AnswerableError
    try:
        yield
        return
    except AnswerableError as error:
        failed = error
    except Exception as error:
        _log.exception("the register of leases failed")
        message = f"the register of leases failed: {type(error).__name__}"
        failed = REGISTER_UNAVAILABLE(message, port=PORT, effect="unknown")
    for one in waiting:
        one.failed = failed
