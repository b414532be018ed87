"""Documents in the ledger, each sealed for whose data it is: those of people for them, the rest for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from answerable.core.canonical import encode, parse
from answerable.core.ledger.disclosure import Section
from answerable.core.ledger.subject import principal_subject
from answerable.core.registry.documents.documents import PRINCIPAL
from answerable.flows.recording.record_entry import sealing_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.flows.state.walk import Walk


def changes_of_things(changed: Mapping[str, bytes | None]) -> bytes:
    """Of changed documents, by `kind/name`, those that are nobody's personal data. changed: None for one removed."""
    return encode({key: _document(text) for key, text in changed.items() if not key.startswith(PRINCIPAL)})


async def changes_of_people(walk: Walk, changed: Mapping[str, bytes | None]) -> list[Section]:
    """The others, each for that person. Raises Unavailable when a subject's key cannot be had."""
    found: list[Section] = []
    for key, text in changed.items():
        if not key.startswith(PRINCIPAL):
            continue
        # A key is made for each new person, on disk: thousands of them must not hold up everything else.
        await checkpoint()
        sealing = sealing_for(walk, principal_subject(key.removeprefix(PRINCIPAL)))
        found.append(Section([(b"changes", encode({key: _document(text)}))], sealing))
    return found


def _document(text: bytes | None) -> JSONValue:
    return parse(text) if text is not None else None
