"""Names of principals and agents, as distinct types instead of bare strings.

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
"""A time in milliseconds since 1970-01-01 UTC."""

SCHEDULE_PREFIX: Final = "schedule:"
"""Prefix of a schedule that gives mandates, in fields that otherwise hold a person's name: no person's name contains a
colon."""
WORKFLOW_PREFIX: Final = "workflow:"
"""Prefix of a workflow that answers approvals."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


def checked_name(text: str, *, what: str) -> str:
    """Return `text` if it is a registry name: 1 to 63 of `a-z 0-9 . _ -`, alphanumeric at both ends.

    Raises Malformed (`name.invalid`).
    """
    if not _NAME.fullmatch(text):
        raise NAME_INVALID(
            f"{what} {shown(text)} is not a name: use 1 to 63 of a-z 0-9 . _ - with a letter or digit at both ends"
        )
    return text


def agent_id(text: str) -> AgentId:
    """Read the name of an agent. Raises Malformed (`name.invalid`)."""
    return AgentId(checked_name(text, what="agent"))


def principal_id(text: str) -> PrincipalId:
    """Read the name of a person. Raises Malformed (`name.invalid`)."""
    return PrincipalId(checked_name(text, what="principal"))


def issuer_id(text: str) -> PrincipalId:
    """Read the name of a mandate's issuer: a person, or `schedule:NAME`. Raises Malformed (`name.invalid`)."""
    name = schedule_of(text)
    if name is None:
        return principal_id(text)
    return PrincipalId(f"{SCHEDULE_PREFIX}{checked_name(name, what='schedule')}")


def answerer_id(text: str) -> PrincipalId:
    """Read the name of an approval's answerer: a person, or `workflow:NAME`. Raises Malformed (`name.invalid`)."""
    name = workflow_of(text)
    return principal_id(text) if name is None else workflow_id(name)


def workflow_id(name: str) -> PrincipalId:
    """Return the id of a workflow in fields that otherwise hold a person's name. Raises Malformed (`name.invalid`)."""
    return PrincipalId(f"{WORKFLOW_PREFIX}{checked_name(name, what='workflow')}")


def workflow_of(answerer: str) -> str | None:
    """Return the name of the workflow, or None if the answerer is a person."""
    return answerer.removeprefix(WORKFLOW_PREFIX) if answerer.startswith(WORKFLOW_PREFIX) else None


def schedule_of(issuer: str) -> str | None:
    """Return the name of the schedule, or None if the issuer is a person."""
    return issuer.removeprefix(SCHEDULE_PREFIX) if issuer.startswith(SCHEDULE_PREFIX) else None
