"""Port: a witness's state of the logs that it watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.tlog.note import VerifierKey

EvidenceKind: TypeAlias = Literal["fork", "older", "unproven"]
"""fork: two checkpoints of one size with different roots, both signed by the log; nobody else can produce those.
older: signed by the log and smaller than the newest cosigned one: the log was rolled back, or an old one is replayed.
unproven: signed by the log, without a valid proof that it extends the newest: a fork, or somebody damaged the proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedLog:
    """A watched log. keys: those of the log, all of its origin. newest: the newest cosigned checkpoint, None before the
    first."""

    origin: str
    keys: tuple[VerifierKey, ...]
    newest: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A checkpoint that the log signed and that contradicts what was cosigned. size: the size it states.

    known: the newest cosigned checkpoint at that moment. request: the request body as received.
    """

    kind: EvidenceKind
    at: UnixMillis
    size: int
    known: bytes
    request: bytes


class WitnessRegister(Protocol):
    """Promises: when `advance` returns True, the new checkpoint is on stable storage and no older one will ever be read
    again; of two callers that advance from the same state one gets False, in whatever threads and processes; a process
    killed at any instant leaves either the state before or the state after.

    A corrupt state raises Broken (`witness.state_damaged`), and is never read as a log of which nothing was cosigned.
    Otherwise raises only Unavailable: `witness.unwritable`, `witness.poisoned`.
    """

    def log(self, origin: str) -> WitnessedLog | None:
        """Return a log by its origin; None for one that was never added."""
        ...

    def log_of_hash(self, origin_hash: str) -> WitnessedLog | None:
        """Return a log by the SHA-256 of its origin, 64 lower-case hex digits."""
        ...

    def origins(self) -> Sequence[str]:
        """Return the origins of all logs, sorted."""
        ...

    def add(self, key: VerifierKey) -> bool:
        """Watch the log called `key.name` under this key, in addition to its other keys; False when it has this key
        already."""
        ...

    def advance(self, origin: str, *, seen: bytes | None, newest: bytes) -> bool:
        """Store `newest` durably if the stored checkpoint still is `seen`; return whether it was."""
        ...

    def keep_evidence(self, origin: str, evidence: Evidence) -> None:
        """Store evidence for people to inspect, each request once and a bounded number of each kind, because
        unauthenticated callers can produce some kinds."""
        ...

    def evidence(self, origin: str) -> Sequence[Evidence]:
        """Return the stored evidence about one log, oldest first."""
        ...
