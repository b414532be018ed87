"""Registry documents for the commands: read them from files with the place of every fault, and compare them by
field."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar import compiled
from answerable.adapters.registry_files import Change, Reading, diff, read_paths, read_text
from answerable.core.registry.parsing.active import faults_of_new, inactive, snapshot_of
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.parsing.active import Inactive

__all__ = ["Change", "Reading", "changes", "faults_in", "inactive_in", "read_documents"]

STANDARD_INPUT: Final = "-"

changes = diff


def read_documents(sources: Sequence[str], *, standard_input: str) -> Reading:
    """Read files and directories; `-` is standard input. Never raises: unreadable sources are listed as faults."""
    read = read_paths([Path(source) for source in sources if source != STANDARD_INPUT])
    if STANDARD_INPUT not in sources:
        return read
    piped = read_text(standard_input, file="standard input", directory=Path())
    return Reading(
        documents=(*read.documents, *piped.documents),
        origins=(*read.origins, *piped.origins),
        faults=(*read.faults, *piped.faults),
    )


def faults_in(reading: Reading) -> tuple[str, ...]:
    """Return every fault of documents that stand alone: texts, shapes, references, then the policies."""
    found = (*reading.faults, *(reading.located(fault) for fault in faults_of_new(reading.documents)))
    if found:
        return found
    try:
        snapshot = snapshot_of(reading.documents)
        text = "\n".join(snapshot.policy_sets[name].policies for name in sorted(snapshot.policy_sets))
        compiled(text, snapshot)
    except Malformed as error:
        return (error.message,)
    return ()


def inactive_in(documents: Sequence[JSONValue]) -> tuple[Inactive, ...]:
    """Return the sound documents that would not be in force. Raises Malformed (`registry.faults`)."""
    return tuple(inactive(documents))
