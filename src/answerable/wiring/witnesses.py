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
from answerable.errors import AnswerableError
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

    Raises Broken (`ledger.rolled_back`). Accepts silently if the witness's directory cannot be read, or holds nothing
    signed by this log's key: then the running witness itself is asked.
    """
    origin = log_keys[0].name
    # Read the witness first: a log that another process is writing is then never behind what its witness knew before.
    try:
        known = FilesWitnessRegister.reading(settings.local_witness.directory).log(origin)
        if known is None or known.newest is None:
            return
        theirs = verified_checkpoint(known.newest, origin=origin, log_keys=log_keys)
        own = _newest_on_disk(directory or settings.ledger.directory)
    except (AnswerableError, OSError):
        return
    if theirs.size == 0:
        return
    if own is None:
        raise rolled_back(LOCAL, own=0, theirs=theirs.size)
    if theirs.size >= own.size:
        found = contradiction(LOCAL, own=own, theirs=theirs, proof=lambda _old, _new: ())
        if found is not None:
            raise found
    # An older checkpoint needs a consistency proof, which only an open log can make: the first round asks for it.


def _newest_on_disk(directory: Path) -> Checkpoint | None:
    """Return the checkpoint in a log's directory, None if there is none. Opening the log verifies it. Raises
    OSError."""
    try:
        encoded = read_plain(directory / "checkpoint", NOTE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    return Checkpoint.parse(Note.parse(encoded).text)
