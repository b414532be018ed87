"""Port: what a witness remembers of the logs it was told to watch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.tlog.note import VerifierKey

EvidenceKind: TypeAlias = Literal["fork", "older", "unproven"]
"""fork: two checkpoints of one size with different roots, both signed by the log; nobody else can make those.
older: signed by the log and smaller than the newest cosigned one: the log went back, or somebody repeats an old one.
unproven: signed by the log, without a proof that it continues the newest: a fork, or somebody spoilt the proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedLog:
    """keys: those of the log, all of its origin. newest: the newest cosigned checkpoint, None before the first."""

    origin: str
    keys: tuple[VerifierKey, ...]
    newest: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A checkpoint that the log signed and that does not fit what was cosigned. size: the one it states.

    known: the newest cosigned checkpoint at that moment. request: the body as it came.
    """

    kind: EvidenceKind
    at: UnixMillis
    size: int
    known: bytes
    request: bytes


class WitnessRegister(Protocol):
    """Promises: when `advance` returns True, the new checkpoint is on stable storage and no older one will ever be read
    again; of two who advance from the same state one gets False, whatever threads and processes they are in; killed
    at any instant, it has either the state before or the state after.

    A state that is not what was written raises Broken (`witness.state_damaged`), and is never taken for a log of
    which nothing was cosigned. Apart from that raises only Unavailable: `witness.unwritable`, `witness.poisoned`.
    """

    def log(self, origin: str) -> WitnessedLog | None:
        """One log by its origin, None for one that was never added."""
        ...

    def log_of_hash(self, origin_hash: str) -> WitnessedLog | None:
        """One log by the SHA-256 of its origin, 64 lower-case hex digits."""
        ...

    def origins(self) -> Sequence[str]:
        """Names of all of them, sorted."""
        ...

    def add(self, key: VerifierKey) -> bool:
        """Watch the log called `key.name` under this key, in addition to those it has; False when it has this one."""
        ...

    def advance(self, origin: str, *, seen: bytes | None, newest: bytes) -> bool:
        """Remember `newest` if what is remembered still is `seen`, durably; whether it was."""
        ...

    def keep_evidence(self, origin: str, evidence: Evidence) -> None:
        """Keep it for people to see, each request once, and only so many of a kind: strangers can make some kinds."""
        ...

    def evidence(self, origin: str) -> Sequence[Evidence]:
        """What was kept about one log, oldest first."""
        ...
