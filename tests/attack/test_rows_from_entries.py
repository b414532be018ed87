"""Rows of registers that no reader brings up yet say nothing that their entries do not: each is made again from these
alone, here, as whoever brings it up will have to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.sqlite import (
    SqliteEventRegister,
    SqliteInstanceRegister,
    SqlitePreparedRegister,
    SqliteProjections,
    SqliteStore,
)
from answerable.core.action.prepared import NO_CONTENT, Prepared, prepared_text
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.workload.instance import Instance
from answerable.core.incident.event_stream import HEADER_LOST, SUBJECT_BYTES_MAX
from answerable.core.incident.projected_streams import as_told
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.projected_instances import instance_in
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.core.registry.manifests.manifest_drift import Measured
from answerable.errors import Refused
from answerable.flows.events import manage_streams as streams
from answerable.flows.ledger.announce import announce_new
from answerable.flows.recovery.project_ledger import Log, catch_up, confirm
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.workloads.enrol_workload import enrol, renew
from answerable.testing.builders import Bench
from tests.worlds.enrolment import InventedProcesses, enrolling, evidence_of, key_of, sign_manifest
from tests.worlds.event import CAEP, desk_on
from tests.worlds.prepared import BATCH, LARGE, execute, prepared, prepared_bench, structured

pytestmark = pytest.mark.anyio
PUSH, URL = "urn:ietf:rfc:8935", "https://siem.example/events"
PROMPT = f"sha256:{sha256(b'be kind').hexdigest()}"
SUBJECT = {"format": "opaque", "id": "rover"}


def entries(bench: Bench) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Each with its leaf and what is sealed in it."""
    for stored in bench.recorder.ledger.replay():
        leaf = leaf_of(stored)
        yield stored, leaf, payload_of(stored, leaf, bench.recorder.subject_keys.find) or {}


@pytest.mark.requirement("PROJECT-23", "PROJECT-36")
async def test_streams_of_events_are_as_their_entries_say_over_an_older_copy_and_from_nothing(tmp_path: Path):
    bench = await Bench().registered()
    with closing(SqliteStore.open(tmp_path / "live.db")) as store:
        desk = desk_on(
            bench,
            register=SqliteEventRegister(store),
            receivers={"scout": frozenset({URL}), "rover": frozenset()},
        )
        push = {"delivery": {"method": PUSH, "endpoint_url": URL, "authorization_header": "Bearer s3cr3t"}}
        one = (await streams.create_stream(desk, "scout", push))["stream_id"]
        two = (await streams.create_stream(desk, "rover", {"description": "of rover"}))["stream_id"]
        gone = (await streams.create_stream(desk, "rover", {}))["stream_id"]
        with (
            closing(sqlite3.connect(tmp_path / "live.db")) as source,
            closing(sqlite3.connect(tmp_path / "first.db")) as copy,
        ):
            source.backup(copy)
        wanted = {"stream_id": two, "events_requested": [f"{CAEP}session-revoked"]}
        await streams.change_stream(desk, "rover", wanted, whole=False)
        about = {"stream_id": two, "subject": SUBJECT}
        other = {"stream_id": two, "subject": {**SUBJECT, "id": "scout"}}
        await streams.remove_subject(desk, "rover", about)
        await streams.remove_subject(desk, "rover", other)
        await streams.add_subject(desk, "rover", about)
        await streams.change_status(desk, "rover", {"stream_id": two, "status": "paused", "reason": "night"})
        await streams.verify_stream(desk, "scout", {"stream_id": one})
        await streams.delete_stream(desk, "rover", gone)
        await announce_new(desk)
        assert all(b"s3cr3t" not in stored.leaf + encode(sealed) for stored, _, sealed in entries(bench))
        live = {stream.id: as_told(stream) for stream in desk.register.streams()}
        assert live.keys() == {one, two}
    for name in ("none", "first"):
        with closing(SqliteStore.open(tmp_path / f"{name}.db")) as store:
            log = Log(bench.recorder.ledger.origin, bench.recorder.ledger.replay)
            registers = SqliteProjections(store, tmp_path / f"{name}.db")
            caught_up = catch_up(registers, [log], bench.recorder.subject_keys.find)
            assert caught_up.left_out == []
            made = SqliteEventRegister(store)
            assert {stream.id: as_told(stream) for stream in made.streams()} == live
            assert catch_up(registers, [log], bench.recorder.subject_keys.find).rows == {}
            assert confirm(registers, log, bench.recorder.subject_keys.find)
            # The header by which a receiver knows us is its secret: without it, the stream waits for its receiver.
            found = made.find(one)
            assert found is not None
            lost = name == "none"
            assert (found.header, found.status) == (("", "paused") if lost else ("Bearer s3cr3t", "enabled"))
            assert (found.reason == HEADER_LOST) == lost


@pytest.mark.requirement("PROJECT-23")
async def test_what_changes_nothing_is_no_entry_and_a_receiver_cannot_fill_the_ledger():
    bench = await Bench().registered()
    desk = desk_on(bench)
    name = (await streams.create_stream(desk, "scout", {}))["stream_id"]
    size = bench.recorder.ledger.size
    await streams.add_subject(desk, "scout", {"stream_id": name, "subject": SUBJECT})
    await streams.verify_stream(desk, "scout", {"stream_id": name})
    assert bench.recorder.ledger.size == size
    largest = {"stream_id": name, "subject": {**SUBJECT, "id": "x" * (SUBJECT_BYTES_MAX - 50)}}

    async def flood() -> None:
        for _ in range(1_000):
            await streams.remove_subject(desk, "scout", largest)
            await streams.add_subject(desk, "scout", largest)

    with pytest.raises(Refused) as refused:
        await flood()
    assert refused.value.code == "event_stream.too_often"
    written = [one.leaf + one.attachment for one, _, _ in entries(bench) if one.tag == Tag.EVENT_STREAM]
    assert sum(map(len, written)) <= streams.RECORDED_BYTES_MAX
    other = (await streams.create_stream(desk, "rover", {}))["stream_id"]
    assert other, "of another one's changes nothing is counted"
    await streams.delete_stream(desk, "scout", name)
    bench.clock.advance(streams.RECORDED_SECONDS)
    await streams.create_stream(desk, "scout", {})


@pytest.mark.requirement("PROJECT-24")
async def test_instances_can_be_made_again_from_their_entries_also_after_they_renewed(tmp_path: Path):
    bench, workloads = await enrolling()
    with closing(SqliteStore.open(tmp_path / "live.db")) as store:
        workloads.instances = SqliteInstanceRegister(store)
        await sign_manifest(bench.walk, b"be kind")
        says = Measured(values={"prompt_digest": (PROMPT, "sidecar")})
        first = await enrol(workloads, evidence=evidence_of(), key=key_of("one"), measured=says)
        below = await enrol(
            workloads, evidence=evidence_of(), key=key_of("sub"), measured=says, parent=first.id
        )
        assert isinstance(workloads.observer, InventedProcesses)
        process = workloads.observer.start(7).process
        await enrol(workloads, evidence=evidence_of("unix:uid:2000"), key=None, process=process)
        gone = await enrol(workloads, evidence=evidence_of("unix:uid:2000"), key=key_of("two"))
        bench.clock.advance(workloads.limits.instance_seconds * 0.6)
        assert (await renew(workloads, first.id)).expires_at > first.expires_at
        await renew(workloads, below.id)
        await end_instance(workloads, gone.id, because="asked", by="dora")
        made: dict[str, Instance] = {}
        for stored, leaf, sealed in entries(bench):
            if stored.tag == Tag.WORKLOAD_ENROLLED:
                told = instance_in(leaf, sealed)
                assert told is not None
                made[leaf["instance"]] = told
            elif stored.tag == Tag.WORKLOAD_ENDED:
                ended = {"ended_because": leaf["because"], "ended_by": sealed.get("by", "")}
                made[leaf["instance"]] = replace(made[leaf["instance"]], state="ended", **ended)
        assert len(made) == 4
        assert made == {name: workloads.instances.find(spiffe_id(name)) for name in made}


def prepared_in(
    intent: dict[str, Any], definition: str, outcome: tuple[Any, dict[str, Any], dict[str, Any]]
) -> Prepared:
    """What was prepared, from the intent that prepared it, the entry of its tool's definition, and its outcome."""
    stored, leaf, sealed = outcome
    content = prepared_text(sealed["result"], bytes_max=32_768)
    assert f"sha256:{content.digest}" == sealed["prepared"]["digest"]
    return Prepared(
        id=intent["action"],
        agent=AgentId(intent["agent"]),
        mandate=MandateId(intent["mandate"]),
        server=intent["server"],
        capability=intent["capability"],
        content=content,
        digest=content.digest,
        tool=definition,
        manifest=intent.get("manifest", ""),
        chain=tuple(hop["agent"] for hop in intent.get("hops", ())),
        entry=stored.index,
        leaf=stored.leaf_hash.hex(),
        made_at=UnixMillis(leaf["at"]),
        expires_at=UnixMillis(sealed["prepared"]["expires_at"]),
    )


@pytest.mark.requirement("PROJECT-25")
async def test_what_was_prepared_can_be_made_again_from_its_intent_and_outcome(tmp_path: Path):
    with closing(SqliteStore.open(tmp_path / "live.db")) as store:
        register = SqlitePreparedRegister(store)
        bench, _ = await prepared_bench(structured(BATCH), structured(LARGE), prepared=register)
        await sign_manifest(bench.walk, b"be kind")
        used = await prepared(bench)
        bench.clock.advance(1)
        await prepared(bench)
        await execute(bench, used)
        made: dict[int, Prepared] = {}
        begun: dict[int, dict[str, Any]] = {}
        cited: dict[int, str] = {}
        for stored, leaf, sealed in entries(bench):
            if stored.tag == Tag.CITED:
                cited[stored.index] = leaf["name"]
            elif stored.tag == Tag.INTENT:
                begun[stored.index] = leaf
                if "prepared_ref" in leaf:
                    place = leaf["prepared_ref"]["entry"]
                    made[place] = replace(made[place], used_by=leaf["action"], content=NO_CONTENT)
            elif stored.tag == Tag.OUTCOME and sealed.get("prepared", {}).get("kept"):
                intent = begun[leaf["intent"]]
                made[stored.index] = prepared_in(intent, cited[intent["tool_ref"]], (stored, leaf, sealed))
        assert [one.used_by != "" for one in made.values()] == [True, False]
        assert [*made.values()] == [register.get(one.id) for one in made.values()]
