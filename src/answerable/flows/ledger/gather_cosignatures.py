"""Gather witness cosignatures on the newest checkpoint, and detect from witnesses whether this log was rolled back.

This runs beside the walk, never in it: a witness that is down, slow or lies delays no action and only raises an alarm
with a reason and a time. Proof against this log is different. A checkpoint that its key signed and that its tree does
not extend ends the process (`ledger.rolled_back`), because no entry may follow on a forked history.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import anyio
from anyio import to_thread

from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.cosigned import TIMESTAMP_BYTES
from answerable.core.tlog.merkle import verify_consistency
from answerable.core.tlog.note import COSIGNATURE_KINDS, Note
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unavailable, Unverified, shown
from answerable.errors.codes.ledger import LEDGER_CORRUPT, LEDGER_ROLLED_BACK, LEDGER_UNWITNESSED
from answerable.errors.codes.tlog import (
    WITNESS_ANSWER,
    WITNESS_COSIGNATURE,
    WITNESS_DENIED,
    WITNESS_LIED,
    WITNESS_OVERTAKEN,
    WITNESS_WENT_BACK,
)
from answerable.flows.ledger.starting_witnesses import StartingWitnesses
from answerable.flows.recording.rounds import until_round
from answerable.ports.ledger import TAKES_NOTHING_NOW
from answerable.ports.witness import Cosigned, Denied

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.tlog.note import NoteSignature, VerifierKey
    from answerable.ports.clock import Clock
    from answerable.ports.witness import Witness

TRIES_MAX: Final = 3
"""Requests to one witness in one round: to learn its size, to send the proof, and once more after a concurrent one."""

WITNESS_PORT: Final = "witness"

State: TypeAlias = Literal["waiting", "ok", "alarm"]


class WitnessedLedger(Protocol):
    """The part of a ledger that witnesses use. Raises Unavailable as ports.Ledger does."""

    @property
    def checkpoint(self) -> str:
        """The latest published checkpoint, empty when there is none yet."""
        ...

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of the first size is a prefix of that of the second, which a checkpoint
        covers."""
        ...

    def publish_cosigned(self, note: bytes) -> object:
        """Durably make this the newest cosigned checkpoint, if it is newer or has more cosignatures. Called in a
        thread.

        Raises Malformed or Unverified for a checkpoint of another log, and Unavailable and Broken.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CosigningLimits:
    """Limits. quorum: number of witnesses that must cosign. round_seconds: between two rounds. skew_seconds_max: how
    far a cosignature's time may differ from this clock. stop_after_seconds: time without a quorum after which actions
    are refused; 0 for never."""

    quorum: int = 1
    round_seconds: float = 10.0
    skew_seconds_max: int = 300
    stop_after_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """State of one witness. waiting: not queried yet, or just being started. size, cosigned_at: of its newest
    cosignature, 0 before the first.

    reason: why there is an alarm; since: when it began. Times are Unix milliseconds.
    """

    name: str
    state: State = "waiting"
    size: int = 0
    cosigned_at: int = 0
    reason: str = ""
    since: int = 0


class Cosigning:
    """The witnesses of one log and their states. Use only in the event loop's thread; rounds do not overlap."""

    def __init__(
        self,
        *,
        ledger: WitnessedLedger,
        log_keys: Sequence[VerifierKey],
        witnesses: Sequence[Witness],
        clock: Clock,
        limits: CosigningLimits,
    ) -> None:
        """log_keys: keys of the log, the first one named like its origin. Witnesses have different names."""
        self._ledger = ledger
        self._log_keys = tuple(log_keys)
        self._witnesses = tuple(witnesses)
        self._clock = clock
        self._limits = limits
        self._states = {one.name: WitnessState(name=one.name) for one in self._witnesses}
        self._sizes: dict[str, int] = {}
        self._gathered = _Gathered(note=None)
        self._lacking_since: float | None = None
        self._turn = anyio.Lock()
        self._covered = 0
        self.starting = StartingWitnesses(clock=clock)

    def states(self) -> tuple[WitnessState, ...]:
        """Return the state of each witness."""
        return tuple(self._states.values())

    @property
    def is_set_up(self) -> bool:
        """Whether there are enough witnesses for the quorum."""
        return 0 < self._limits.quorum <= len(self._witnesses)

    @property
    def covered(self) -> int:
        """Size of the newest published checkpoint that a quorum has cosigned; 0 before the first."""
        return self._covered

    def refusal(self) -> Refused | None:
        """Return why new actions are refused now; None while they are accepted."""
        after, lacking = self._limits.stop_after_seconds, self._lacking_since
        if not after or lacking is None or self._clock.monotonic() - lacking < after:
            return None
        return LEDGER_UNWITNESSED(
            f"no quorum of witnesses has cosigned the ledger for {after:g} seconds: `answerable status` says why"
        )

    async def gather(self) -> None:
        """Run one round: query, concurrently, each witness that has not cosigned the newest checkpoint.

        Cosignatures are published as soon as the quorum is met, and again when all witnesses have been queried. On
        cancellation, the witnesses that have not answered are in alarm. Raises Broken (`ledger.rolled_back`), and the
        ledger's exceptions, except where it accepts nothing now; a witness's behaviour raises nothing else.
        """
        async with self._turn:
            encoded = self._ledger.checkpoint.encode()
            if not self._witnesses or not encoded:
                return
            note = Note.parse(encoded)
            if self._gathered.note is None or self._gathered.note.text != note.text:
                self._gathered = _Gathered(note=note)
            failures: list[AnswerableError] = []
            try:
                async with anyio.create_task_group() as tasks:
                    for one in self._witnesses:
                        if one.name not in self._gathered.by:
                            tasks.start_soon(self._ask, one, note, failures)
            finally:
                self._count()
            if failures:
                raise failures[0]
            await self._publish()
            if len(self._gathered.by) >= self._limits.quorum:
                self._covered = max(self._covered, Checkpoint.parse(note.text).size)

    async def gather_always(self) -> None:
        """Run rounds until cancelled. Raises as `gather`."""
        while True:
            await self.gather()
            await anyio.sleep(until_round(self.starting.round_seconds(self._limits.round_seconds)))

    async def _ask(self, witness: Witness, note: Note, failures: list[AnswerableError]) -> None:
        """Query one witness. Raises only on cancellation: an error that must end the round is added to `failures`."""
        try:
            signatures, at = await self._cosignatures(witness, note)
            self.starting.done(witness.name)
            self._gathered.signatures.update({(one.name, one.key_id): one for one in signatures})
            self._gathered.by.add(witness.name)
            size = Checkpoint.parse(note.text).size
            self._states[witness.name] = WitnessState(
                name=witness.name, state="ok", size=size, cosigned_at=at * 1000
            )
            if len(self._gathered.by) == self._limits.quorum:
                await self._publish()
        except (Malformed, Unverified) as lied:
            self._alarm(witness, lied.message)
        except Unavailable as failed:
            if failed.port == WITNESS_PORT:
                self._silent(witness, failed.message)
            else:
                failures.append(failed)
        except Broken as broken:
            self._alarm(witness, broken.message)
            failures.append(broken)
        except anyio.get_cancelled_exc_class():
            if witness.name not in self._gathered.by:
                self._silent(witness, "it had not answered when there was no more time to wait")
            raise

    async def _cosignatures(self, witness: Witness, note: Note) -> tuple[tuple[NoteSignature, ...], int]:
        """Return verified cosignatures of one witness on this checkpoint, and their time in seconds."""
        own = Checkpoint.parse(note.text)
        for _ in range(TRIES_MAX):
            old = self._sizes.get(witness.name, 0)
            proof = self._ledger.consistency_proof(old, own.size) if 0 < old < own.size else ()
            answer = await witness.add_checkpoint(
                AddCheckpoint(old_size=old, proof=proof, checkpoint=note.encoded())
            )
            if isinstance(answer, Cosigned):
                verified = self._verified(witness, note, answer.signatures)
                self._sizes[witness.name] = own.size
                return verified
            if isinstance(answer, Denied):
                raise await self._judge_denial(witness, answer)
            await self._judge_size(witness, answer.size)
            self._sizes[witness.name] = answer.size
            if answer.size > own.size:
                # A caller with a newer checkpoint of this log may have sent it to the witness: the next round sends it,
                # too.
                raise WITNESS_OVERTAKEN()
        raise WITNESS_ANSWER(f"the witness named another size after each of {TRIES_MAX} requests")

    def _verified(self, witness: Witness, note: Note, lines: bytes) -> tuple[tuple[NoteSignature, ...], int]:
        """Verify the witness's answer. Raises Malformed or Unverified for anything but its fresh cosignature on this
        text."""
        answered = Note.parse(note.text + b"\n" + lines)
        newest: dict[tuple[str, bytes], tuple[int, NoteSignature]] = {}
        for line, key in answered.signatures_by(witness.keys(), kinds=COSIGNATURE_KINDS):
            name, at = (key.name, key.key_id), int.from_bytes(line.signature[:TIMESTAMP_BYTES], "big")
            newest[name] = max(newest.get(name, (at, line)), (at, line), key=lambda one: one[0])
        if not newest:
            raise WITNESS_COSIGNATURE("the witness's answer contains no cosignature by its key")
        now = self._clock.now() // 1000
        for at, _ in newest.values():
            if abs(at - now) > self._limits.skew_seconds_max:
                raise WITNESS_COSIGNATURE(
                    f"its cosignature is {abs(at - now)} seconds {'old' if at < now else 'ahead of our clock'}, "
                    f"expected at most {self._limits.skew_seconds_max}",
                    step="cosignature.time",
                )
        return tuple(line for _, line in newest.values()), max(at for at, _ in newest.values())

    async def _judge_size(self, witness: Witness, size: int) -> None:
        """Judge a size other than the one sent. Raises Broken if this log went back, Unverified if the witness did."""
        if size <= self._newest().size:
            before = self._states[witness.name].size
            if size < before:
                raise WITNESS_WENT_BACK(
                    f"the witness cosigned size {before} and now knows only size {size}: its "
                    "state was rolled back"
                )
            return
        copy = await self._copy(witness)
        newest = self._newest()
        if copy is None:
            # The witness publishes no copy. Its word is enough to stop: continuing could fork the log.
            raise rolled_back(witness.name, own=newest.size, theirs=size)
        raise self._contradiction(witness, copy) or _lied(size, copy.size)

    async def _judge_denial(self, witness: Witness, denied: Denied) -> AnswerableError:
        """Return what to raise when a witness denies; at worst, that this log does not extend what the witness
        cosigned."""
        if denied.why != "inconsistent":
            return WITNESS_DENIED(f"the witness refused: {denied.why}")
        copy = await self._copy(witness)
        if copy is None:
            return WITNESS_DENIED(
                "the witness says that our checkpoint does not continue the one that it "
                "cosigned, but does not send that one"
            )
        return self._contradiction(witness, copy) or _lied(copy.size, self._newest().size)

    async def _copy(self, witness: Witness) -> Checkpoint | None:
        """Return the witness's copy of the checkpoint, with this log's signature verified. None where it has none.
        Raises Malformed, Unverified."""
        try:
            copy = await witness.newest(self._log_keys[0].name)
        except Unavailable:
            return None
        if copy is None:
            return None
        return verified_checkpoint(copy, origin=self._log_keys[0].name, log_keys=self._log_keys)

    def _contradiction(self, witness: Witness, theirs: Checkpoint) -> Broken | None:
        return contradiction(
            witness.name, own=self._newest(), theirs=theirs, proof=self._ledger.consistency_proof
        )

    def _newest(self) -> Checkpoint:
        return Checkpoint.parse(Note.parse(self._ledger.checkpoint.encode()).text)

    async def _publish(self) -> None:
        gathered = self._gathered
        if gathered.note is None or len(gathered.signatures) <= gathered.published:
            return
        signatures = (*gathered.note.signatures, *gathered.signatures.values())
        cosigned = Note(text=gathered.note.text, signatures=signatures).encoded()
        try:
            # In a thread: it syncs to disk, and actions must not wait for that.
            await to_thread.run_sync(self._ledger.publish_cosigned, cosigned)
        except Unavailable as failed:
            if failed.code not in TAKES_NOTHING_NOW:
                raise
            return  # As with checkpoints, a full disk only delays publishing: the next round tries again.
        except (Malformed, Unverified) as fault:
            # The witnesses signed this log's own text, so the fault is in the files on disk.
            raise LEDGER_CORRUPT(f"a cosigned checkpoint cannot be published: {fault.message}") from None
        gathered.published = max(gathered.published, len(signatures) - len(gathered.note.signatures))

    def _silent(self, witness: Witness, reason: str) -> None:
        if not self.starting.excuses(witness.name):
            self._alarm(witness, reason)

    def _alarm(self, witness: Witness, reason: str) -> None:
        before = self._states[witness.name]
        since = before.since if before.state == "alarm" else self._clock.now()
        self._states[witness.name] = replace(before, state="alarm", reason=reason, since=since)

    def _count(self) -> None:
        if len(self._gathered.by) >= self._limits.quorum:
            self._lacking_since = None
        elif self._lacking_since is None:
            self._lacking_since = self._clock.monotonic()


def contradiction(
    witness: str,
    *,
    own: Checkpoint,
    theirs: Checkpoint,
    proof: Callable[[int, int], tuple[bytes, ...]],
) -> Broken | None:
    """Return the fault if our newest checkpoint does not extend one that we signed and a witness cosigned; None if it
    does.

    proof: makes consistency proofs from our own tree, from the first size to the second.
    """
    if theirs.size > own.size:
        return rolled_back(witness, own=own.size, theirs=theirs.size)
    if theirs.size == 0:
        return None
    try:
        verify_consistency(
            old_size=theirs.size,
            new_size=own.size,
            old_root=theirs.root,
            new_root=own.root,
            proof=proof(theirs.size, own.size) if theirs.size < own.size else (),
        )
    except Unverified:
        return LEDGER_ROLLED_BACK(
            f"the log was forked: witness {shown(witness)} cosigned a checkpoint of size {theirs.size} with another "
            f"history than ours of size {own.size}"
        )
    return None


def rolled_back(witness: str, *, own: int, theirs: int) -> Broken:
    """Return the fault that our log lost entries that a witness knows."""
    return LEDGER_ROLLED_BACK(
        f"the log was rolled back: its newest checkpoint has size {own}, and witness {shown(witness)} cosigned size "
        f"{theirs}; bring back the whole ledger directory as it was last; without a copy this log is over: move it and "
        "its key (keys/log.jwk) away, and the next start begins another"
    )


def _lied(said: int, size: int) -> Unverified:
    return WITNESS_LIED(f"the witness named size {said}, but its own copy has size {size}")


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """Cosignatures gathered for one checkpoint. by: names of the witnesses. published: how many signatures are
    published."""

    note: Note | None
    signatures: dict[tuple[str, bytes], NoteSignature] = field(default_factory=dict)
    by: set[str] = field(default_factory=set)
    published: int = 0
