"""What the actions of one lease wait for: its credential, and a free session of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.leases import LEASE_ENDED

if TYPE_CHECKING:
    from answerable.core.lease.credential import Credential
    from answerable.core.lease.name import LeaseName
    from answerable.errors import AnswerableError


def lease_ended(name: LeaseName) -> Unavailable:
    """Return the error of an action whose lease has ended before it: the gateway did not know of that yet."""
    return LEASE_ENDED(f"lease {shown(name)} has ended: another call gets another one")


@dataclass(slots=True, kw_only=True)
class Issuing:
    """One lease whose credential is being minted, once, for all actions that wait for it.

    over: set when the target is not called for it any more; an end of the lease waits for this. told: set when callers
    need not wait any longer, as it is issued, has failed or is being ended. scope: of the minting. callers: how many
    wait; without any the minting is cancelled.
    """

    over: anyio.Event = field(default_factory=anyio.Event)
    told: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    callers: int = 0
    credential: Credential | None = None
    failed: AnswerableError | None = None

    def fail(self, failed: AnswerableError) -> None:
        """Tell all callers this failure. The first failure counts."""
        self.failed = self.failed or failed
        self.told.set()

    async def wait(self) -> None:
        """Wait until it is issued. Raises the failure: Unavailable with effect `none`, as no action has begun."""
        self.callers += 1
        try:
            await self.told.wait()
        finally:
            self.callers -= 1
            if not self.callers:
                self._left()
        failed = self.failed
        if isinstance(failed, Unavailable):
            raise Unavailable(failed.message, code=failed.code, port=failed.port) from failed
        if isinstance(failed, Refused):
            raise Refused(failed.message, code=failed.code, reasons=failed.reasons) from failed
        if failed is not None:
            raise failed

    def _left(self) -> None:
        """Stop minting for nobody. Once it is issued there is nothing to stop."""
        if self.credential is None:
            self.scope.cancel()


@dataclass(slots=True)
class Turns:
    """Free sessions of one lease. waiting: of the actions that wait; cancelled when the lease is being ended. users:
    actions that wait or have a session; without any this is forgotten."""

    free: anyio.Semaphore
    waiting: set[anyio.CancelScope] = field(default_factory=set)
    users: int = 0

    def end(self) -> None:
        """Let nobody wait any longer."""
        for scope in self.waiting:
            scope.cancel()
