"""Nonces that people's answers are made with: each for one thing, five minutes and one answer.

They are kept by their digests in the register that all processes share: an answer that was begun before a restart, or
at another process, counts once. What is signed binds the nonce to the action, the card, the verdict and the words; here
it is bound to what was opened, and to who opened it where that is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.challenge import NONCE_BYTES, NONCE_MILLIS_MAX
from answerable.core.approval.view_challenges import nonce_digest
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.statement import AHEAD_MILLIS_MAX

if TYPE_CHECKING:
    from answerable.flows.state.walk import Walk


def give_nonce(walk: Walk, about: str, *, to: str = "") -> tuple[bytes, UnixMillis]:
    """A fresh nonce for one answer to this, and until when it is good, Unix milliseconds. to: who opens it, and alone
    may answer with it; empty where that is not known, as at the control API. Raises Unavailable."""
    now = walk.clock.now()
    nonce = walk.entropy.bytes(NONCE_BYTES)
    ends = UnixMillis(now + NONCE_MILLIS_MAX)
    walk.openings.give(nonce_digest(nonce), about=about, to=to, at=now, ends=ends)
    return nonce, ends


def used_nonce(walk: Walk, about: str, nonce: bytes, now: UnixMillis, *, by: str = "") -> UnixMillis | None:
    """When it was given for this, if it is in time, nobody else's and was not used before; it is now. Else None.

    One that was given later than now is of before the clock was set back, and by that clock its end would come late.
    Raises Unavailable.
    """
    given = walk.openings.take(nonce_digest(nonce), about=about, by=by, now=now)
    return given if given is not None and given - now <= AHEAD_MILLIS_MAX else None
