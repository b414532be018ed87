"""The OCSF events of an incident against the published schema, as `record_ocsf_schema.py` has recorded it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from answerable.apps.cli.incident_ocsf import DATASTORE_ACTIVITY, VERSION, ocsf_events
from tests.worlds.incident_statements import incident_of, noted, opened
from tests.worlds.stories import told_bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("INCIDENT-07")]
SCHEMA: Final = json.loads((Path(__file__).parent / "answerable/ocsf-schema.json").read_text())
SCALARS: Final = {"integer_t": int, "long_t": int, "timestamp_t": int, "boolean_t": bool, "json_t": dict}
TEXTS: Final = frozenset({"string_t", "url_t", "hostname_t", "ip_t", "email_t", "mac_t"})
FREE: Final = frozenset({"unmapped"})
UIDS: Final = frozenset({"class_uid", "category_uid", "type_uid"})


def faults_of(event: Mapping[str, Any]) -> list[str]:
    """What the schema says against an event."""
    one = SCHEMA["classes"].get(str(event["class_uid"]))
    if one is None:
        return [f"class {event['class_uid']}"]
    if event["category_uid"] != event["class_uid"] // 1000:
        return ["category_uid"]
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        return ["type_uid"]
    return [*_members(one, event, {*event["metadata"]["profiles"]}, "")]


def _members(one: Any, found: Mapping[str, Any], profiles: set[str], path: str) -> Iterator[str]:
    known = {
        name: said
        for name, said in one["attributes"].items()
        if said.get("profile", "") in profiles or "profile" not in said
    }
    yield from (
        f"{path}{name} is missing" for name, said in known.items() if "required" in said and name not in found
    )
    for limit, names in one["constraints"].items():
        count = sum(name in found for name in names)
        if count == 0 or (limit == "just_one" and count > 1):
            yield f"{path}{limit} of {names}"
    for name, value in found.items():
        said = known.get(name)
        if said is None or said.get("deprecated"):
            yield f"{path}{name} is unknown or deprecated"
        elif name not in FREE:
            for item in value if said.get("is_array") else [value]:
                yield from _value(said, item, profiles, f"{path}{name}", is_uid=name in UIDS)


def _value(said: Any, value: Any, profiles: set[str], path: str, *, is_uid: bool) -> Iterator[str]:
    kind = said["type"]
    if kind in TEXTS:
        if not isinstance(value, str) or not value:
            yield f"{path} is no text"
    elif kind in SCALARS:
        if type(value) is not SCALARS[kind]:
            yield f"{path} is no {kind}"
    else:
        yield from _members(SCHEMA["objects"][kind], value, profiles, f"{path}.")
    if "enum" in said and not is_uid and str(value) not in said["enum"]:
        yield f"{path} is {value}"


async def test_every_event_of_an_incident_is_as_the_published_schema_of_its_version_wants_it() -> None:
    assert SCHEMA["version"] == VERSION
    bench = await told_bench()
    incident = await opened(bench, "agent", "scout", since_ms=1, classes=["serious"])
    await noted(bench, incident, "told them", told="gdpr-33", told_ms=bench.clock.now())
    await noted(bench, incident, "done", change="closed")
    answer = incident_of(bench, incident)
    # One more of them ran at a database, as the target's own names of its session say.
    (read,) = [one for one in answer.actions if one.undoing == "read"]
    at_target = replace(read, action=replace(read.action, session={"pg_user": "ans_1"}))
    erased = replace(answer.notes[0], text=None)
    made = replace(answer, actions=(*answer.actions, at_target), notes=(*answer.notes, erased))
    events = ocsf_events(made)
    assert {one["class_uid"] for one in events} == {2005, 6003, 6005}
    for event in events:
        assert faults_of(event) == [], event
    # Not everything passes.
    (stored,) = [one for one in events if one["class_uid"] == DATASTORE_ACTIVITY]
    for change, fault in (
        ({"api": {"operation": "x"}}, "api is unknown or deprecated"),
        ({"activity_id": 77, "type_uid": 600577}, "activity_id is 77"),
        ({"actor": {"user": {"type_id": 0}}}, "actor.user.at_least_one of ['account', 'name', 'uid']"),
        ({"time": "now"}, "time is no timestamp_t"),
    ):
        assert faults_of({**stored, **change}) == [fault]
    assert faults_of({name: value for name, value in stored.items() if name != "database"}) != []
