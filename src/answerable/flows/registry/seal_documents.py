"""Seal changed documents for the ledger: each person's under that person's key, all others under the log's key."""

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
    from answerable.flows.state.parts import Recorder


def changes_of_things(changed: Mapping[str, bytes | None]) -> bytes:
    """Return changed documents that are not personal data, by `kind/name`. In `changed`, None means removed."""
    return encode({key: _document(text) for key, text in changed.items() if not key.startswith(PRINCIPAL)})


async def changes_of_people(recorder: Recorder, changed: Mapping[str, bytes | None]) -> list[Section]:
    """Return the documents of people, each sealed for its person. Raises Unavailable if a key cannot be read."""
    found: list[Section] = []
    for key, text in changed.items():
        if not key.startswith(PRINCIPAL):
            continue
        # Each new person needs a key written to disk: yield, so that thousands of people do not block the event loop.
        await checkpoint()
        sealing = sealing_for(recorder, principal_subject(key.removeprefix(PRINCIPAL)))
        found.append(Section([(b"changes", encode({key: _document(text)}))], sealing))
    return found


def _document(text: bytes | None) -> JSONValue:
    return parse(text) if text is not None else None
