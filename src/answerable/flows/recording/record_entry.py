"""Write entries durably to the ledger even if the caller leaves (is cancelled) at any moment."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from anyio import CancelScope, get_cancelled_exc_class

from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.subject import LOG_SUBJECT, principal_subject
from answerable.core.ledger.subject_key import key_id_of
from answerable.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.flows.state.parts import Recorder
    from answerable.ports.ledger import Submitted

PSEUDONYMS_MAX = 10_000
"""People whose pseudonyms are cached in memory."""


async def record_entry(
    recorder: Recorder,
    entry: Entry,
    *,
    patient: bool = True,
    waits: Callable[[], None] | None = None,
    then: Callable[[Receipt], None] | None = None,
) -> tuple[Receipt, BaseException | None]:
    """Make `entry`, which is in no run, durable even if the caller leaves. Parameters and result as those of
    `IntentLog.record`."""
    submitted, left = await placed_entry(recorder, lambda: entry, patient=patient, waits=waits)
    if then is not None:
        then(submitted.receipt)
    return await durable_entry(submitted, left)


def key_of(recorder: Recorder, subject: str) -> SubjectKey:
    """Return the subject's key. Raises Unavailable with effect `none`: creating a key is no effect."""
    try:
        return recorder.subject_keys.of(subject)
    except Unavailable as failed:
        raise Unavailable(failed.message, code=failed.code, port=failed.port) from failed


def sealing_for(recorder: Recorder, subject: str) -> Sealing:
    """Return the sealing of fields for this subject. Raises Unavailable if its key cannot be read."""
    return Sealing(key=key_of(recorder, subject), random=recorder.entropy.bytes)


def sealing_of_entry(recorder: Recorder, index: int) -> Sealing:
    """Return the sealing for fields that belong with an earlier entry: its key, or the log's own if it has none."""
    with suppress(Malformed):
        key = recorder.subject_keys.find(key_id_of(recorder.ledger.entry(index).attachment))
        if key is not None:
            return Sealing(key=key, random=recorder.entropy.bytes)
    return sealing_for(recorder, LOG_SUBJECT)


def pseudonym_of(recorder: Recorder, person: str) -> str:
    """Return the pseudonym that leaves use in place of a person's name. Raises Unavailable if their key cannot be
    read."""
    known = recorder.pseudonyms.get(person)
    if known is None:
        if len(recorder.pseudonyms) >= PSEUDONYMS_MAX:
            recorder.pseudonyms.clear()
        key = key_of(recorder, principal_subject(person))
        known = recorder.pseudonyms[person] = key.pseudonym(b"principal", person.encode())
    return known


async def placed_entry(
    recorder: Recorder,
    make: Callable[[], Entry],
    *,
    patient: bool,
    waits: Callable[[], None] | None = None,
    submit: Callable[[Entry], Submitted] | None = None,
) -> tuple[Submitted, BaseException | None]:
    """Get a place in the log. Return it, and the cancellation if the caller left. Raises Unavailable.

    submit: gives an entry its place, in place of the log. The cancel shield is built only if needed: it costs more than
    the record.
    """
    left: BaseException | None = None
    while True:
        entry = make()
        try:
            return (submit or recorder.ledger.submit)(entry), left
        except Unavailable as busy:
            if busy.code != "ledger.busy" or not patient:
                raise
        if waits is not None:
            waits()
            waits = None
        try:
            with CancelScope(shield=True):
                await recorder.ledger.room(entry)
        except get_cancelled_exc_class() as gone:
            left = gone


async def durable_entry(
    submitted: Submitted, left: BaseException | None
) -> tuple[Receipt, BaseException | None]:
    """Wait until the entry is on stable storage, even if the caller leaves. Raises Unavailable."""
    if left is None:
        try:
            return await submitted.durable(), None
        except get_cancelled_exc_class() as gone:
            left = gone
    while True:
        # The shield holds off a leaving caller, but not the end of the whole task, which may be requested repeatedly.
        try:
            with CancelScope(shield=True):
                receipt = await submitted.durable()
            return receipt, left
        except get_cancelled_exc_class():
            continue
