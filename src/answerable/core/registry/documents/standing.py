"""What applying a document does to an agent that somebody has stopped.

Laws: a document that says nothing of standing changes none, so that a file that is applied once more gives nobody back;
a retired agent stays so, whatever a document says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import AgentId
from answerable.errors import shown
from answerable.errors.codes.registry import AGENT_RETIRED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.canonical import JSONValue

RETIRED: Final = "retired"
STOPPED: Final = frozenset({"suspended", RETIRED})


def retired_agents(documents: Iterable[JSONValue]) -> Iterator[AgentId]:
    """Names of those that never come back."""
    for one in documents:
        match one:
            case {"kind": "Agent", "metadata": {"name": str(name)}, "spec": {"status": "retired"}}:
                yield AgentId(name)


def with_standing(document: JSONValue, stored: JSONValue) -> JSONValue:
    """A sound document as it is put in the place of the one that is stored under its name.

    Raises Refused (`agent.retired`) for one that gives a retired agent another status.
    """
    match document, stored:
        case (
            {"kind": "Agent", "metadata": {"name": str(name)}, "spec": dict(spec)},
            {"spec": {"status": str(before)}},
        ) if before in STOPPED:
            said = spec.get("status", before)
            if before == RETIRED and said != RETIRED:
                message = f"agent {shown(name)} is retired, for good: register another one under another name"
                raise AGENT_RETIRED(message)
            assert isinstance(document, dict)  # noqa: S101 - the case has looked
            return {**document, "spec": {**spec, "status": said}}
    return document
