"""Names of principals. Ids are distinct types, never bare strings.

Laws: a name is exact and case-sensitive; names that could be mistaken for another are refused when they are made.
"""

from __future__ import annotations

import re
from typing import Final, NewType

from answerable.errors import shown
from answerable.errors.codes.documents import NAME_INVALID

AgentId = NewType("AgentId", str)
PrincipalId = NewType("PrincipalId", str)
UnixMillis = NewType("UnixMillis", int)

SCHEDULE_PREFIX: Final = "schedule:"
"""Before the name of a schedule that gives mandates, where a person's name stands otherwise: no person has a colon."""
WORKFLOW_PREFIX: Final = "workflow:"
"""Before the name of a workflow that answers approvals."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


def checked_name(text: str, *, what: str) -> str:
    """Return `text` when it is a registry name: 1 to 63 of `a-z 0-9 . _ -`, alphanumeric at both ends.

    Raises Malformed (`name.invalid`).
    """
    if not _NAME.fullmatch(text):
        raise NAME_INVALID(
            f"{what} {shown(text)} is not a name: use 1 to 63 of a-z 0-9 . _ - with a letter or digit at both ends"
        )
    return text


def agent_id(text: str) -> AgentId:
    """Raises Malformed (`name.invalid`)."""
    return AgentId(checked_name(text, what="agent"))


def principal_id(text: str) -> PrincipalId:
    """Raises Malformed (`name.invalid`)."""
    return PrincipalId(checked_name(text, what="principal"))


def issuer_id(text: str) -> PrincipalId:
    """Who may give a mandate: a person, or `schedule:NAME`. Raises Malformed (`name.invalid`)."""
    name = schedule_of(text)
    if name is None:
        return principal_id(text)
    return PrincipalId(f"{SCHEDULE_PREFIX}{checked_name(name, what='schedule')}")


def answerer_id(text: str) -> PrincipalId:
    """Who may answer an approval: a person, or `workflow:NAME`. Raises Malformed (`name.invalid`)."""
    name = workflow_of(text)
    return principal_id(text) if name is None else workflow_id(name)


def workflow_id(name: str) -> PrincipalId:
    """How a workflow names itself where a person's name stands otherwise. Raises Malformed (`name.invalid`)."""
    return PrincipalId(f"{WORKFLOW_PREFIX}{checked_name(name, what='workflow')}")


def workflow_of(answerer: str) -> str | None:
    """The name of the workflow that is meant; None where a person is."""
    return answerer.removeprefix(WORKFLOW_PREFIX) if answerer.startswith(WORKFLOW_PREFIX) else None


def schedule_of(issuer: str) -> str | None:
    """The name of the schedule that is meant; None where a person is."""
    return issuer.removeprefix(SCHEDULE_PREFIX) if issuer.startswith(SCHEDULE_PREFIX) else None
