"""Record which key is whose in the ledger, before anything that a person signed with a key file takes effect.

Laws: a change of people's keys is recorded before it takes effect. Everything signed by a key file refers to the latest
entry that names the key's owner. Each opened log names a signer's key once, if no known entry of it does.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.records_keys import (
    PEOPLE_IN_CHANGE_MAX,
    PEOPLE_NAMED_MAX,
    KeyFile,
    NamedKeys,
    Signs,
    changed_signers,
    people_keys,
    thumbprints_of,
)
from answerable.core.ledger.subject import principal_subject
from answerable.errors.codes.registry import REGISTRY_CHANGED_MEANWHILE
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Receipt
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import InProgress, Recorder
    from answerable.ports.registry_store import RegistryStore

OTHERS_MAX: Final = 32
"""Documents beside people that a change may name, so that the entry has room for people."""
NAMED_MAX: Final = 10_000
"""People whose key entry is cached in memory."""


async def signers_changed(
    recorder: Recorder, registry: RegistryStore, after: RegistrySnapshot
) -> list[Signs]:
    """Return the people whose keys another registry changes. The caller must hold `under_way.applying`.

    Forgets their earlier entries at once, because a failed write may or may not have recorded the change. Raises
    Unavailable if a subject's key cannot be read.
    """
    people, found = after.principals, list[Signs]()
    for name in changed_signers(registry.current.principals, people):
        if name not in recorder.pseudonyms:
            # Each new person needs a key written to disk: yield, so that thousands of people do not block the event
            # loop.
            await checkpoint()
        found.append(_signs(recorder, name, thumbprints_of(people.get(name))))
    for one in found:
        recorder.keys_named.pop(one.name, None)
    return found


def first_named(people: Sequence[Signs], *, others: int) -> Sequence[Signs]:
    """Return the people that the entry of the change names itself. `others`: number of documents it names, too."""
    return people[: PEOPLE_IN_CHANGE_MAX if others <= OTHERS_MAX else 0]


async def name_changed(
    recorder: Recorder,
    people: Sequence[Signs],
    named: int,
    receipt: Receipt,
    *,
    at: UnixMillis,
    sealing: Sealing,
    registry: str,
) -> BaseException | None:
    """Note the first `named` people, which the entry of a change has named, and record the others.

    Returns the cancellation if the caller left. Raises Unavailable: then nothing of the change takes effect.
    """
    change = _place(receipt)
    _note(recorder.keys_named, people[:named], change)
    left: BaseException | None = None
    rest = iter(people[named:])
    while part := [*islice(rest, PEOPLE_NAMED_MAX)]:
        entry = people_keys(at=at, sealing=sealing, registry=registry, people=part, change=change)
        placed, left_now = await record_entry(recorder, entry)
        _note(recorder.keys_named, part, _place(placed))
        left = left or left_now
    return left


async def key_on_record(
    recorder: Recorder,
    registry: RegistryStore,
    under_way: InProgress,
    person: str,
    key: str,
    *,
    applying: bool = False,
) -> Reference:
    """Return the entry that says this key (thumbprint) is this person's, who has just signed with it; record one if
    needed.

    `applying`: the caller holds `under_way.applying`. Call it before all other checks, because it may wait. Raises
    Refused (`registry.changed_meanwhile`) if other documents came into force meanwhile; Unavailable.
    """
    before = registry.current.digest
    place = _known(recorder, registry, person, key)
    if place is not None:
        return place
    # Not while documents are applied: the new entry would follow the one that removes the key.
    async with _no_change(under_way, applying=applying):
        _require_same(registry, before)
        place = _known(recorder, registry, person, key)
        if place is not None:
            return place
        signs = _signs(recorder, person, _present(registry, person, key))
        entry = people_keys(
            at=recorder.clock.now(),
            sealing=sealing_for(recorder, principal_subject(person)),
            registry=before,
            people=[signs],
        )
        receipt, left = await record_entry(recorder, entry)
        _note(recorder.keys_named, [signs], _place(receipt))
    if left is not None:
        raise left
    _require_same(registry, before)
    return _place(receipt)


async def key_file(
    recorder: Recorder,
    registry: RegistryStore,
    under_way: InProgress,
    person: str,
    key: str,
    *,
    applying: bool = False,
) -> KeyFile:
    """Return the key itself and its entry; as `key_on_record`."""
    place = await key_on_record(recorder, registry, under_way, person, key, applying=applying)
    keys = registry.current.person_keys(person)
    return KeyFile(next(one.jwk for one in keys if one.thumbprint == key), place)


def _known(recorder: Recorder, registry: RegistryStore, person: str, key: str) -> Reference | None:
    """Return the known entry; None if the last known entry of this person is out of date."""
    found = recorder.keys_named.get(person)
    if found is None or found.signs != _signs(recorder, person, _present(registry, person, key)):
        return None
    return found.place


def _present(registry: RegistryStore, person: str, key: str) -> tuple[str, ...]:
    keys = thumbprints_of(registry.current.principals.get(PrincipalId(person)))
    if key not in keys:
        raise REGISTRY_CHANGED_MEANWHILE()
    return keys


def _require_same(registry: RegistryStore, before: str) -> None:
    if registry.current.digest != before:
        raise REGISTRY_CHANGED_MEANWHILE()


def _signs(recorder: Recorder, person: str, keys: tuple[str, ...]) -> Signs:
    return Signs(person, pseudonym_of(recorder, person), keys)


def _note(keys_named: dict[str, NamedKeys], people: Sequence[Signs], place: Reference) -> None:
    if len(keys_named) + len(people) > NAMED_MAX:
        # They are recorded again when they sign next.
        keys_named.clear()
    for one in people[:NAMED_MAX]:
        keys_named[one.name] = NamedKeys(one, place)


def _place(receipt: Receipt) -> Reference:
    return Reference(entry=receipt.index, leaf=receipt.leaf_hash.hex())


@asynccontextmanager
async def _no_change(under_way: InProgress, *, applying: bool) -> AsyncIterator[None]:
    if applying:
        yield
        return
    async with under_way.applying:
        yield
