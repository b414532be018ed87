"""Encode an instance as one column: canonical JSON of all but its state and end, which have columns of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from answerable.core.canonical import encode
from answerable.core.identity.keys.keys import public_key
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.workload.evidence import Evidence, Grade, Source
from answerable.core.identity.workload.instance import Instance, InstanceState
from answerable.errors.codes.workloads import INSTANCE_ROW

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    agent: str
    source: Source
    grade: Grade
    selectors: list[str]
    enrolled_at: int
    expires_at: int
    key: str
    process: str
    parent: str
    manifest: str
    drift: list[str]
    ended_by: str = ""
    # Older rows lack both of these members.
    manifest_grade: Literal["", "kernel", "sidecar", "gateway", "claimed"] = ""
    measured: list[tuple[str, str, Grade]] = []
    # In rows without this member, the grade covered only matching fields, and claimed fields did not count.
    manifest_fields: list[tuple[str, Grade]] | None = None
    agent_up: bool = False


def body_of(instance: Instance) -> bytes:
    """Return the column."""
    row: dict[str, JSONValue] = {
        "id": str(instance.id),
        "agent": instance.agent,
        "source": instance.evidence.source,
        "grade": instance.evidence.grade,
        "selectors": [*instance.evidence.selectors],
        "enrolled_at": instance.enrolled_at,
        "expires_at": instance.expires_at,
        "key": instance.key.jwk if instance.key is not None else "",
        "process": instance.process,
        "parent": instance.parent,
        "manifest": instance.manifest,
        "drift": [*instance.drift],
        "manifest_grade": instance.manifest_grade,
        "measured": [[*one] for one in instance.measured],
        "manifest_fields": [[*one] for one in instance.manifest_fields],
        "agent_up": instance.agent_up,
    }
    if instance.ended_by:
        row["ended_by"] = instance.ended_by
    return encode(row)


def from_body(body: bytes, *, state: str, because: str) -> Instance:
    """Decode the result of `body_of`. Raises Malformed (`instance.row`, `spiffe_id.*`, `key.*`)."""
    states: tuple[InstanceState, ...] = get_args(InstanceState)
    known = next((known for known in states if known == state), None)
    if known is None:
        raise INSTANCE_ROW("its state is not known")
    try:
        row = msgspec.json.decode(body, type=_Row)
    except msgspec.MsgspecError as error:
        raise INSTANCE_ROW(f"its body is not what was written: {error}".lower()) from None
    return Instance(
        id=spiffe_id(row.id),
        agent=AgentId(row.agent),
        evidence=Evidence(source=row.source, grade=row.grade, selectors=tuple(row.selectors)),
        enrolled_at=UnixMillis(row.enrolled_at),
        expires_at=UnixMillis(row.expires_at),
        key=public_key(row.key) if row.key else None,
        process=row.process,
        parent=row.parent,
        manifest=row.manifest,
        manifest_grade=row.manifest_grade if row.manifest_fields is not None else "",
        manifest_fields=tuple(row.manifest_fields or ()),
        agent_up=row.agent_up,
        measured=tuple(row.measured),
        drift=tuple(row.drift),
        state=known,
        ended_because=because,
        ended_by=row.ended_by,
    )
