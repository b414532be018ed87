"""Cosign this server's log: clients of the configured witnesses, and a check of what the local witness already
knows."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from answerable.adapters.witness_files import FilesWitnessRegister, published_keys
from answerable.adapters.witness_http import HttpWitness
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.note import NOTE_BYTES_MAX, Note
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.errors.codes.tlog import WITNESS_STATE_LOST
from answerable.flows.ledger.gather_cosignatures import Cosigning, CosigningLimits, contradiction, rolled_back
from answerable.plain_file import read_plain
from answerable.wiring.witness_settings import LOCAL, remote_witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from answerable.core.tlog.note import VerifierKey
    from answerable.flows.ledger.gather_cosignatures import WitnessedLedger
    from answerable.ports.clock import Clock
    from answerable.wiring.setting_tree import Settings


@asynccontextmanager
async def cosigning(
    settings: Settings, *, ledger: WitnessedLedger, log_keys: Sequence[VerifierKey], clock: Clock
) -> AsyncIterator[Cosigning]:
    """Yield the cosigning rounds over the configured witnesses; no witness is called yet, and connections are closed at
    the end."""
    chosen = settings.witnesses
    async with AsyncExitStack() as connections:
        witnesses = [await connections.enter_async_context(one) for one in _clients(settings)]
        yield Cosigning(
            ledger=ledger,
            log_keys=log_keys,
            witnesses=witnesses,
            clock=clock,
            limits=CosigningLimits(
                quorum=chosen.quorum,
                round_seconds=chosen.round_seconds,
                skew_seconds_max=chosen.skew_seconds_max,
                stop_after_seconds=chosen.stop_after_seconds,
            ),
        )


def _clients(settings: Settings) -> Iterator[HttpWitness]:
    chosen = settings.witnesses
    if chosen.local:
        yield HttpWitness(
            name=LOCAL,
            address=f"unix:{settings.local_witness.socket}",
            keys=partial(published_keys, settings.local_witness.directory),
            answer_seconds_max=chosen.answer_seconds_max,
        )
    for entry in chosen.remote:
        remote = remote_witness(entry)
        yield HttpWitness(
            name=remote.key.name,
            address=remote.address,
            keys=partial(_same, (remote.key,)),
            answer_seconds_max=chosen.answer_seconds_max,
        )


def _same(keys: tuple[VerifierKey, ...]) -> tuple[VerifierKey, ...]:
    return keys


def require_known_history(
    settings: Settings, log_keys: Sequence[VerifierKey], *, directory: Path | None = None
) -> None:
    """Compare the log in a directory, or in that of the settings, with the local witness's record of it, before
    anything is written to either.

    Raises Broken: `ledger.rolled_back`, and `witness.state_lost` if the witness cosigned more of this log than it
    remembers, so that it could not tell a rollback. Accepts silently if the witness's directory cannot be read, or
    holds something that this log's key did not sign: then the running witness itself is asked.
    """
    origin, place = log_keys[0].name, directory or settings.ledger.directory
    # The witness remembers before the log publishes the cosignature, and a log that another process is writing is
    # never behind what its witness knew before: so they are read in this order.
    cosigned = _note_on_disk(place / "cosigned", log_keys)
    try:
        known = FilesWitnessRegister.reading(settings.local_witness.directory).log(origin)
        noted = known.newest if known is not None else None
        theirs = verified_checkpoint(noted, origin=origin, log_keys=log_keys) if noted is not None else None
        own = _newest_on_disk(place)
    except (AnswerableError, OSError):
        return
    if cosigned is not None and settings.witnesses.local:
        _require_remembered(settings, cosigned, theirs.size if theirs is not None else 0)
    if theirs is None or theirs.size == 0:
        return
    if own is None:
        raise rolled_back(LOCAL, own=0, theirs=theirs.size)
    if theirs.size >= own.size:
        found = contradiction(LOCAL, own=own, theirs=theirs, proof=lambda _old, _new: ())
        if found is not None:
            raise found
    # An older checkpoint needs a consistency proof, which only an open log can make: the first round asks for it.


def _require_remembered(settings: Settings, cosigned: Note, remembered: int) -> None:
    """Check that the local witness remembers what it cosigned. Its key may be lost as well, and be another now: of a
    log that it does not know at all, each cosignature counts that is not of a witness in the settings.

    Raises Broken (`witness.state_lost`).
    """
    checkpoint = Checkpoint.parse(cosigned.text)
    if remembered >= checkpoint.size:
        return
    others = {
        (key.name, key.key_id) for key in (remote_witness(one).key for one in settings.witnesses.remote)
    }
    lines = {(one.name, one.key_id) for one in cosigned.signatures if one.name != checkpoint.origin} - others
    if remembered:
        try:
            lines &= {(key.name, key.key_id) for key in published_keys(settings.local_witness.directory)}
        except Unavailable:
            return
    if lines:
        raise WITNESS_STATE_LOST(
            f"the ledger has a checkpoint of size {checkpoint.size} with the cosignature of {shown(min(lines)[0])}, "
            f"and the witness of this machine remembers {f'size {remembered}' if remembered else 'nothing'}: it cannot "
            f"tell whether this ledger is an older copy; bring back {shown(str(settings.local_witness.directory))}, or "
            "accept the ledger as it is with `answerable witness accept-ledger`"
        )


def _note_on_disk(path: Path, log_keys: Sequence[VerifierKey]) -> Note | None:
    """Return a checkpoint that the log signed; None where there is none that can be read: opening the log tells."""
    try:
        encoded = read_plain(path, NOTE_BYTES_MAX + 1)
        verified_checkpoint(encoded, origin=log_keys[0].name, log_keys=log_keys)
        return Note.parse(encoded)
    except (AnswerableError, OSError):
        return None


def _newest_on_disk(directory: Path) -> Checkpoint | None:
    """Return the checkpoint in a log's directory, None if there is none. Opening the log verifies it. Raises
    OSError."""
    try:
        encoded = read_plain(directory / "checkpoint", NOTE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    return Checkpoint.parse(Note.parse(encoded).text)
