"""Port: a witness, who cosigns the log's checkpoints and remembers the newest of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.witnessing import AddCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """signatures: note signature lines. Where they come from a witness, nothing about them is checked yet."""

    signatures: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The newest checkpoint that the witness cosigned has another size than it was told."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The witness said no: to the form, to the log's signature, to the log as a whole, or to the proof."""

    why: Literal["malformed", "unsigned", "unknown log", "inconsistent"]


WitnessAnswer: TypeAlias = "Cosigned | Remembered | Denied"


class Witness(Protocol):
    """Promises: each call asks once and ends within a limit of time, whatever the other side sends and however slowly;
    what it returns is bounded and unchecked, so whoever asks verifies it; calls may run concurrently.

    Raises only Unavailable: `witness.unreachable`, `witness.answer` for what is not of the protocol, and
    `witness.key_unknown` while the key of a witness that starts for the first time is not there yet.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def keys(self) -> tuple[VerifierKey, ...]:
        """The keys that it cosigns with; a cosignature by one of them is the witness's. Never empty."""
        ...

    async def add_checkpoint(self, request: AddCheckpoint) -> WitnessAnswer:
        """Send a checkpoint with its consistency proof (C2SP tlog-witness, add-checkpoint)."""
        ...

    async def newest(self, origin: str) -> bytes | None:
        """The witness's own copy of the newest checkpoint of this log, as a signed note; None where it shows none."""
        ...
