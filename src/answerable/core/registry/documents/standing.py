"""Preserve an agent's stopped status when its document is applied again.

Laws: a document without a status changes none, so that applying a file again does not reactivate a stopped agent; a
retired agent stays retired, whatever a document says.
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
    """Yield the names of retired agents, which never become active again."""
    for one in documents:
        match one:
            case {"kind": "Agent", "metadata": {"name": str(name)}, "spec": {"status": "retired"}}:
                yield AgentId(name)


def with_standing(document: JSONValue, stored: JSONValue) -> JSONValue:
    """Return a valid document as it replaces the one stored under its name.

    Raises Refused (`agent.retired`) for a document that gives a retired agent another status.
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
