"""Check, store and cosign a checkpoint as a witness (C2SP tlog-witness, add-checkpoint).

Laws:
- a checkpoint is cosigned only if it extends the one cosigned before, in size and in every leaf;
- a cosignature is sent only after its checkpoint is on stable storage. After a crash before that, nothing was sent;
 after a crash after it, the log asks again from the stored size and gets the same checkpoint cosigned;
- times of cosignatures on one log never go back.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.tlog.checkpoint import Checkpoint, checkpoint_in
from answerable.core.tlog.cosignature import cosignature, verified_cosignatures
from answerable.core.tlog.merkle import EMPTY_ROOT, verify_consistency
from answerable.core.tlog.note import LOG_KINDS, Note
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import Broken, Malformed, Unavailable, Unverified, shown
from answerable.errors.codes.tlog import (
    PROOF_LENGTH_UNVERIFIED,
    WITNESS_CLOCK_BACK,
    WITNESS_LOG_UNKNOWN,
    WITNESS_OLD_SIZE,
    WITNESS_STATE_DAMAGED,
)
from answerable.ports.witness import Cosigned, Remembered
from answerable.ports.witness_register import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.tlog.note import VerifierKey
    from answerable.ports.clock import Clock
    from answerable.ports.witness_register import EvidenceKind, WitnessedLog, WitnessRegister

CLOCK_BACK_SECONDS_MAX: Final = 60
"""How far the clock may have gone back since the last cosignature; within that, the last time is used again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A key of the witness. sign: takes the bytes to sign, returns the bare signature."""

    key: VerifierKey
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class CosigningState:
    """State of a witness. cosigners: the preferred key first, never empty."""

    register: WitnessRegister
    clock: Clock
    cosigners: tuple[Cosigner, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The newest checkpoint cosigned for a log. at: time of its newest cosignature, seconds; size 0 and no note before
    the first."""

    size: int
    root: bytes
    at: int
    note: bytes | None


def cosign_checkpoint(desk: CosigningState, body: bytes) -> Cosigned | Remembered:
    """Process the body of one add-checkpoint request. Blocks while the checkpoint is written to disk.

    Raises Malformed; Refused (`witness.log.unknown`); Unverified, steps `consistency.*` for the proof and others for
    the log's signature; Unavailable; Broken (`witness.state_damaged`).
    """
    request = AddCheckpoint.parse(body)
    note = Note.parse(request.checkpoint)
    checkpoint = _checkpoint_in(note)
    log = desk.register.log(checkpoint.origin)
    if log is None:
        raise WITNESS_LOG_UNKNOWN(f"log {shown(checkpoint.origin)} is not registered at this witness")
    checkpoint_in(note, origin=log.origin, log_keys=log.keys)
    if request.old_size > checkpoint.size:
        raise WITNESS_OLD_SIZE(
            f"old size {request.old_size} is larger than the checkpoint's size {checkpoint.size}"
        )
    known = _known(desk, log)
    _keep_what_cannot_be(desk, checkpoint, known, body)
    if request.old_size != known.size:
        return Remembered(size=known.size)
    try:
        _verify_growth(checkpoint, known, request.proof)
    except Unverified:
        if checkpoint.size > known.size:
            _keep(desk, checkpoint, known, body, "unproven")
        raise
    # Keep one valid signature of each of the log's keys, and drop signatures that third parties appended.
    by_key = {key: line for line, key in note.signatures_by(log.keys, kinds=LOG_KINDS)}
    signed = Note(text=note.text, signatures=tuple(by_key.values()))
    return _cosigned(desk, signed, known)


def _checkpoint_in(note: Note) -> Checkpoint:
    """Parse the checkpoint. Raises Malformed; Unverified for size 0 with another root than that of the empty tree,
    which is well-formed."""
    try:
        return Checkpoint.parse(note.text)
    except Malformed as fault:
        if fault.code == "checkpoint.root" and note.text.split(b"\n", 2)[1] == b"0":
            raise Unverified(fault.message, code=fault.code, step="consistency.new_root") from None
        raise


def _known(desk: CosigningState, log: WitnessedLog) -> _Known:
    """Return the stored checkpoint after verifying it: a file's content is not trusted."""
    if log.newest is None:
        return _Known(size=0, root=EMPTY_ROOT, at=0, note=None)
    try:
        note = Note.parse(log.newest)
        checkpoint = Checkpoint.parse(note.text)
        own = verified_cosignatures(note, cosigners=[one.key for one in desk.cosigners])
    except (Malformed, Unverified) as fault:
        raise _damaged(log.origin, fault.message) from None
    if checkpoint.origin != log.origin:
        raise _damaged(log.origin, f"it is a checkpoint of {shown(checkpoint.origin)}")
    if not own:
        raise _damaged(log.origin, "this witness has not cosigned it")
    at = max(one.timestamp for one in own)
    return _Known(size=checkpoint.size, root=checkpoint.root, at=at, note=log.newest)


def _verify_growth(checkpoint: Checkpoint, known: _Known, proof: tuple[bytes, ...]) -> None:
    """Check that the checkpoint extends the known one. Raises Unverified, steps `consistency.*`."""
    if known.size == 0:
        # The empty tree is consistent with every tree, and the protocol requires no proof of that.
        if proof:
            raise PROOF_LENGTH_UNVERIFIED(f"proof of {len(proof)} hashes from size 0, expected none")
        return
    verify_consistency(
        old_size=known.size,
        new_size=checkpoint.size,
        old_root=known.root,
        new_root=checkpoint.root,
        proof=proof,
    )


def _cosigned(desk: CosigningState, signed: Note, known: _Known) -> Cosigned | Remembered:
    """Cosign, store, and only then return the cosignature. signed: the note with signatures of the log alone."""
    origin = Checkpoint.parse(signed.text).origin
    timestamp = _timestamp(desk.clock.now() // 1000, known.at)
    own = tuple(
        cosignature(signed.text, key=one.key, timestamp=timestamp, sign=one.sign) for one in desk.cosigners
    )
    cosigned = Note(text=signed.text, signatures=(*signed.signatures, *own)).encoded()
    if not desk.register.advance(origin, seen=known.note, newest=cosigned):
        # A concurrent request was first: this cosignature has not been sent and never will be.
        log = desk.register.log(origin)
        if log is None:
            raise _damaged(origin, "it is missing")
        return Remembered(size=_known(desk, log).size)
    lines = Note(text=signed.text, signatures=own).encoded()[len(signed.text) + 1 :]
    return Cosigned(signatures=lines)


def _timestamp(now: int, before: int) -> int:
    """Return the seconds for the next cosignature, never below the last. Raises Unavailable (`witness.clock_back`)."""
    if now >= before:
        return now
    if before - now > CLOCK_BACK_SECONDS_MAX:
        raise WITNESS_CLOCK_BACK(
            f"the clock is {before - now} seconds behind the last cosignature, and at most "
            f"{CLOCK_BACK_SECONDS_MAX} are waited for: set the clock"
        )
    return before


def _keep_what_cannot_be(desk: CosigningState, checkpoint: Checkpoint, known: _Known, body: bytes) -> None:
    """Store evidence against the log: it signed a checkpoint that an append-only log cannot have beside the cosigned
    one."""
    if checkpoint.size == known.size and checkpoint.root != known.root:
        _keep(desk, checkpoint, known, body, "fork")
    elif checkpoint.size < known.size:
        _keep(desk, checkpoint, known, body, "older")


def _keep(
    desk: CosigningState, checkpoint: Checkpoint, known: _Known, body: bytes, kind: EvidenceKind
) -> None:
    if known.note is None:
        return
    evidence = Evidence(kind=kind, at=desk.clock.now(), size=checkpoint.size, known=known.note, request=body)
    # A full disk must not withhold the answer from an honest log: the answer also shows that something is wrong.
    with suppress(Unavailable):
        desk.register.keep_evidence(checkpoint.origin, evidence)


def _damaged(origin: str, why: str) -> Broken:
    return WITNESS_STATE_DAMAGED(
        f"the witness's state of log {shown(origin)} was changed or damaged: {why}; restore it from a backup, never "
        "remove it: it holds the proof"
    )
