"""Rebuild instances from the entries that enrolled and renewed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from answerable.core.identity.keys.keys import public_key
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.workload.evidence import Evidence, Grade, Source
from answerable.core.identity.workload.instance import Instance
from answerable.errors import AnswerableError

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


class _Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    agent: str
    drift: tuple[str, ...]
    expires: int
    grade: Grade
    instance: str
    manifest: str
    manifest_fields: dict[str, Grade]
    manifest_grade: Grade | Literal[""]
    parent: str
    source: Source


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    running: _Running
    selectors: tuple[str, ...] = ()


class _Running(msgspec.Struct, frozen=True, kw_only=True):
    agent_up: bool
    enrolled_at: int
    measured: tuple[tuple[str, str, Grade], ...]
    process: str
    public_key: str


def instance_in(leaf: dict[str, JSONValue], fields: dict[str, JSONValue] | None) -> Instance | None:
    """Return the instance as an entry with tag `workload_enrolled` states it; None if it does not state all of it: an
    entry from before 2026-11-30, or one that cannot be decrypted."""
    try:
        said = msgspec.convert(leaf, type=_Enrolled)
        sealed = msgspec.convert(fields, type=_Sealed)
        running = sealed.running
        return Instance(
            id=spiffe_id(said.instance),
            agent=AgentId(said.agent),
            evidence=Evidence(source=said.source, grade=said.grade, selectors=sealed.selectors),
            enrolled_at=UnixMillis(running.enrolled_at),
            expires_at=UnixMillis(said.expires),
            key=public_key(running.public_key) if running.public_key else None,
            process=running.process,
            parent=said.parent,
            manifest=said.manifest,
            manifest_grade=said.manifest_grade,
            manifest_fields=tuple(said.manifest_fields.items()),
            agent_up=running.agent_up,
            measured=running.measured,
            drift=said.drift,
        )
    except (AnswerableError, msgspec.ValidationError):
        return None
