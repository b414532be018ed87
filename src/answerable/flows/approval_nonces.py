"""Nonces that people's answers are made with: each for one approval, five minutes and one answer.

They live in this process alone: who answers after a restart opens the approval again, which is all that is lost.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.approval.challenge import NONCE_BYTES, NONCE_MILLIS_MAX
from answerable.core.identity.principal import UnixMillis

if TYPE_CHECKING:
    from answerable.core.approval.approval import ApprovalId
    from answerable.ports.entropy import Entropy

PER_APPROVAL_MAX: Final = 32
"""Open at a time for one approval; past it the oldest is good no longer, so nobody can fill memory by looking."""


@dataclass(slots=True)
class ApprovalNonces:
    """Those that were given out and not used yet, by approval; of both the longest untouched first."""

    _given: OrderedDict[ApprovalId, OrderedDict[bytes, UnixMillis]] = field(default_factory=OrderedDict)

    def give(self, approval: ApprovalId, entropy: Entropy, now: UnixMillis) -> tuple[bytes, UnixMillis]:
        """A fresh nonce for an answer to this approval, and until when it is good, Unix milliseconds."""
        self._drop_ended(now)
        mine = self._given.setdefault(approval, OrderedDict())
        self._given.move_to_end(approval)
        nonce = entropy.bytes(NONCE_BYTES)
        ends = UnixMillis(now + NONCE_MILLIS_MAX)
        mine[nonce] = ends
        if len(mine) > PER_APPROVAL_MAX:
            mine.popitem(last=False)
        return nonce, ends

    def take(self, approval: ApprovalId, nonce: bytes, now: UnixMillis) -> UnixMillis | None:
        """When it was given for this approval, if it is in time and was not taken before; it is now. Else None."""
        ends = self._given.get(approval, OrderedDict()).pop(nonce, None)
        return UnixMillis(ends - NONCE_MILLIS_MAX) if ends is not None and now < ends else None

    def _drop_ended(self, now: UnixMillis) -> None:
        while self._given:
            first = next(iter(self._given))
            if any(now < ends for ends in self._given[first].values()):
                return
            del self._given[first]
