"""Nonces that people's answers are made with: each for one approval, five minutes and one answer.

They live in this process alone: who answers after a restart opens the approval again, which is all that is lost.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.approval.challenge import NONCE_BYTES, NONCE_MILLIS_MAX
from answerable.core.identity.principal import UnixMillis

if TYPE_CHECKING:
    from answerable.core.approval.approval import ApprovalId
    from answerable.ports.entropy import Entropy

PER_APPROVAL_MAX: Final = 32
"""Open at a time for one approval; past it the oldest of whoever opened it most often is good no longer, so nobody can
fill memory by looking, nor keep another person from answering by opening it again and again."""


@dataclass(slots=True)
class ApprovalNonces:
    """Those that were given out and not used yet, by approval; of both the longest untouched first."""

    _given: OrderedDict[ApprovalId, OrderedDict[bytes, tuple[UnixMillis, str]]] = field(
        default_factory=OrderedDict
    )

    def give(
        self, approval: ApprovalId, entropy: Entropy, now: UnixMillis, *, to: str = ""
    ) -> tuple[bytes, UnixMillis]:
        """A fresh nonce for an answer to this approval, and until when it is good, Unix milliseconds. to: who opens it,
        as far as it is known; each answers with whichever they have."""
        self._drop_ended(now)
        mine = self._given.setdefault(approval, OrderedDict())
        self._given.move_to_end(approval)
        nonce = entropy.bytes(NONCE_BYTES)
        ends = UnixMillis(now + NONCE_MILLIS_MAX)
        mine[nonce] = (ends, to)
        if len(mine) > PER_APPROVAL_MAX:
            most = Counter(who for _, who in mine.values()).most_common(1)[0][0]
            del mine[next(one for one, (_, who) in mine.items() if who == most)]
        return nonce, ends

    def take(self, approval: ApprovalId, nonce: bytes, now: UnixMillis) -> UnixMillis | None:
        """When it was given for this approval, if it is in time and was not taken before; it is now. Else None."""
        ends, _ = self._given.get(approval, OrderedDict()).pop(nonce, (None, ""))
        return UnixMillis(ends - NONCE_MILLIS_MAX) if ends is not None and now < ends else None

    def _drop_ended(self, now: UnixMillis) -> None:
        while self._given:
            first = next(iter(self._given))
            if any(now < ends for ends, _ in self._given[first].values()):
                return
            del self._given[first]
