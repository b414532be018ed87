"""Issue and use up nonces for people's answers: each is valid for one subject, one answer and five minutes.

The register that all processes share stores their digests, so that an answer begun before a restart, or at another
process, counts once. The signature binds the nonce to the action, the card, the verdict and the words. The register
binds it to the opened subject, and to the person who opened it if known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.challenge import NONCE_BYTES, NONCE_MILLIS_MAX
from answerable.core.approval.view_challenges import nonce_digest
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.statement import AHEAD_MILLIS_MAX

if TYPE_CHECKING:
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy


def give_nonce(
    openings: OpeningRegister, clock: Clock, entropy: Entropy, about: str, *, to: str = ""
) -> tuple[bytes, UnixMillis]:
    """Return a fresh nonce for one answer, and when it expires, Unix milliseconds. about: the subject. to: the only
    person who may use it; empty where unknown, as at the control API. Raises Unavailable."""
    now = clock.now()
    nonce = entropy.bytes(NONCE_BYTES)
    ends = UnixMillis(now + NONCE_MILLIS_MAX)
    openings.give(nonce_digest(nonce), about=about, to=to, at=now, ends=ends)
    return nonce, ends


def used_nonce(
    openings: OpeningRegister, about: str, nonce: bytes, now: UnixMillis, *, by: str = ""
) -> UnixMillis | None:
    """Use up a nonce and return when it was given. None if it is for another subject or person, expired, or already
    used.

    A nonce given later than now, from before the clock was set back, is refused: by the new clock it would expire too
    late. Raises Unavailable.
    """
    given = openings.take(nonce_digest(nonce), about=about, by=by, now=now)
    return given if given is not None and given - now <= AHEAD_MILLIS_MAX else None
