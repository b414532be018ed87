"""Port: a witness, which cosigns the log's checkpoints and remembers the newest of them (C2SP tlog-witness)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.witnessing import AddCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """The witness cosigned. signatures: note signature lines, unverified where they come from a remote witness."""

    signatures: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The newest checkpoint that the witness cosigned has another size than the request stated. size: that of the
    newest."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The witness refused: the form, the log's signature, the log as a whole, or the proof."""

    why: Literal["malformed", "unsigned", "unknown log", "inconsistent"]


WitnessAnswer: TypeAlias = "Cosigned | Remembered | Denied"


class Witness(Protocol):
    """Promises: each call sends one request and ends within a time limit, whatever the peer sends and however slowly;
    the result is bounded and unverified, so the caller verifies it; calls may run concurrently.

    Raises only Unavailable: `witness.unreachable`, `witness.failed` with what it says of its own failure,
    `witness.answer` for an answer outside the protocol, and `witness.key_unknown` while a witness that starts for the
    first time has no key yet.
    """

    @property
    def name(self) -> str:
        """The witness's human-readable name."""
        ...

    def keys(self) -> tuple[VerifierKey, ...]:
        """Return the keys with which the witness cosigns. Never empty."""
        ...

    async def add_checkpoint(self, request: AddCheckpoint) -> WitnessAnswer:
        """Send a checkpoint with its consistency proof (C2SP tlog-witness, add-checkpoint)."""
        ...

    async def newest(self, origin: str) -> bytes | None:
        """Return the witness's own copy of the newest checkpoint of this log, as a signed note; None where it publishes
        none."""
        ...
