"""The inventory of what is not registered: somebody wants to work unseen, or to bury in names what others would see."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from answerable.adapters.sqlite import SqliteSightings, SqliteStore
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.evidence import Evidence
from answerable.core.registry.snapshot.discovered_asset import OTHERS, SOURCE_MAX, Sighting
from answerable.core.registry.snapshot.unregistered import configured_name, reached_by, stranger_name
from answerable.errors import Refused
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.workloads.keep_discovered_assets import (
    Looked,
    configured_servers,
    keep_discovered_assets,
    offered_tools,
    put_configured,
    unregistered,
)
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from tests.worlds.enrolment import (
    UNIX,
    attested_documents,
    challenge_of,
    evidence_of,
    fresh_key,
    served,
    served_documents,
    signed_body,
)
from tests.worlds.parts import to_apply, to_govern

SCOUT = AgentId("scout")
THIS_PROGRAM = f"unix:path:{os.path.realpath(sys.executable)}"
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LIFE-06")]


class Offering:
    """Port Upstream of a bench, which lists tools besides. generation: as the port says."""

    def __init__(self, upstream: Any, **tools: list[str]) -> None:
        self._upstream, self.listed, self.generation = upstream, tools, 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._upstream, name)

    def tools(self, server: str) -> dict[str, Any] | None:
        return {name: {"name": name} for name in self.listed.get(server, [])}


async def offering(**tools: list[str]) -> tuple[Bench, Offering]:
    bench = await Bench().registered(attested_documents())
    upstream: Any = Offering(bench.walk.verification.upstream, **tools)
    bench.walk.verification.upstream = upstream
    return bench, upstream


def bytes_in(place: Path) -> int:
    return sum(one.stat().st_size for one in place.iterdir())


def capability(name: str, target: str) -> Any:
    """Like the one that reads cases."""
    (found,) = (one for one in attested_documents() if one["metadata"]["name"] == "crm.read")
    return {**found, "metadata": {"name": name}, "spec": {**found["spec"], "target": target}}


def places(found: list[Sighting]) -> set[tuple[str, str, str]]:
    return {(one.kind, one.name, one.source) for one in found}


async def test_what_a_server_offers_and_nobody_registered_is_listed_refused_and_leaves_when_registered() -> (
    None
):
    bench, upstream = await offering(crm=["get_case", "drop_all"])
    await bench.issue()
    register, looked = fresh(SqliteSightings), Looked()
    keep_discovered_assets(
        bench.walk.verification.sightings,
        register,
        offered=offered_tools(
            bench.authority.registry, bench.walk.verification.upstream, bench.clock, looked
        ),
    )
    [one] = unregistered(bench.authority.registry, register)
    assert (one.name, one.source, one.grade, one.how) == ("crm/drop_all", "server crm", "gateway", "offered")
    # Nothing can be new until something changes.
    assert (
        offered_tools(bench.authority.registry, bench.walk.verification.upstream, bench.clock, looked) == ()
    )
    action, caller = bench.request("drop_all", {"case": "4711"})
    with pytest.raises(Refused) as refused:
        await govern_action(*to_govern(bench.walk), action, caller)
    assert refused.value.code == "capability.unknown"
    assert bench.upstream.effects == []
    keep_discovered_assets(bench.walk.verification.sightings, register)
    assert places(unregistered(bench.authority.registry, register)) == {
        ("tool", "crm/drop_all", "server crm"),
        ("tool", "crm/drop_all", "agent scout"),
    }
    # Registered, it is gone at once from what is shown, and with the next write from the register.
    await apply_registry(*to_apply(bench.walk), [capability("crm.drop", "drop_all")], by="operator")
    assert unregistered(bench.authority.registry, register) == []
    keep_discovered_assets(
        bench.walk.verification.sightings,
        register,
        offered=offered_tools(
            bench.authority.registry, bench.walk.verification.upstream, bench.clock, looked
        ),
        registry=bench.authority.registry,
    )
    assert list(register.all()) == []
    # A list that is read anew is looked at anew.
    upstream.listed["crm"].append("wipe")
    upstream.generation += 1
    assert [
        one.name
        for one in offered_tools(
            bench.authority.registry, bench.walk.verification.upstream, bench.clock, looked
        )
    ] == ["crm/wipe"]


@pytest.mark.requirement("LIFE-07")
async def test_neither_a_server_nor_an_agent_buries_what_others_saw(tmp_path: Path) -> None:
    bench, _ = await offering(crm=[f"t{number}" for number in range(5_000)])
    await bench.issue()
    database = tmp_path / "registers.db"
    register = SqliteSightings(SqliteStore.open(database))
    bench.walk.verification.sightings.note(
        "agent", "uid 7 sha256 ab", bench.clock.now(), source="user 7", grade="kernel", how="real"
    )
    keep_discovered_assets(
        bench.walk.verification.sightings,
        register,
        offered=offered_tools(
            bench.authority.registry, bench.walk.verification.upstream, bench.clock, Looked()
        ),
    )
    action, caller = bench.request("get_case", {"case": "4711"})
    for number in range(300):
        bench.clock.advance(1)
        for other in range(334):
            name = f"made-up-{number}-{other}"
            bench.walk.verification.sightings.note(
                "tool", name, bench.clock.now(), source="agent scout", grade="gateway", how="asked for"
            )
        with pytest.raises(Refused):
            await govern_action(
                *to_govern(bench.walk), structs.replace(action, target=f"asked-{number}"), caller
            )
        keep_discovered_assets(bench.walk.verification.sightings, register)
    found = unregistered(bench.authority.registry, register)
    by_source = {
        source: [one for one in found if one.source == source] for source in ("server crm", "agent scout")
    }
    assert {source: len(some) for source, some in by_source.items()} == {
        "server crm": SOURCE_MAX + 1,
        "agent scout": SOURCE_MAX + 1,
    }
    counted = {one.source: one.count for one in found if one.name == OTHERS}
    assert counted["server crm"] == 5_000 - SOURCE_MAX
    assert counted["agent scout"] == 300 * 335 - SOURCE_MAX, "every one of 100,500 is counted"
    assert ("agent", "uid 7 sha256 ab", "user 7") in places(found)
    assert bytes_in(tmp_path) < 8 * 1_048_576


async def test_a_rogue_server_under_a_registered_name_is_not_taken_for_that_one() -> None:
    bench = await Bench().registered(attested_documents())
    register = fresh(SqliteSightings)
    (known,) = bench.authority.registry.current.servers.values()
    listed = [
        (known.name, reached_by(known), ".mcp.json"),
        (known.name, "npx", ".mcp.json"),
        ("mail", "https://mail.example", ".cursor/mcp.json"),
        ("key-" + "sk-ant-api03-" + "A" * 93 + "AA", "npx", "mcp.json"),
    ]
    found = configured_servers(SCOUT, listed, at=bench.clock.now())
    assert put_configured(bench.authority.registry, register, found, agent=SCOUT) == 3
    items = unregistered(bench.authority.registry, register)
    assert {one.name for one in items} >= {
        configured_name(known.name, "npx"),
        configured_name("mail", "https://mail.example"),
    }
    assert {(one.grade, one.source, one.direct) for one in items} == {("claimed", "project of scout", True)}
    assert "sk-ant" not in "".join(one.name for one in items), "a credential in a name is not written down"
    # What is said anew replaces what was said before.
    assert put_configured(bench.authority.registry, register, found[:1], agent=SCOUT) == 0
    assert unregistered(bench.authority.registry, register) == []


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        (evidence_of("unix:uid:7", "unix:sha256:" + "ab" * 32), "uid 7 sha256 abababababab"),
        (
            Evidence(source="oidc", grade="gateway", selectors=("oidc:iss:https://i", "oidc:sub:x")),
            "oidc:iss:https://i + oidc:sub:x",
        ),
    ],
)
async def test_strangers_are_called_by_what_was_proved_of_them(evidence: Evidence, name: str) -> None:
    assert stranger_name(evidence) == name
    bench = await Bench().registered(attested_documents({"scout": [["oidc:sub:x"], ["unix:uid:7"]]}))
    register = fresh(SqliteSightings)
    bench.walk.verification.sightings.note("agent", name, bench.clock.now(), source="s", grade="gateway")
    keep_discovered_assets(bench.walk.verification.sightings, register)
    shown = unregistered(bench.authority.registry, register)
    if evidence.source == "oidc":
        assert shown == [], "an agent is registered for a part of what was proved"
    else:
        # Of a process only user and program are in its name; that it is an agent now, it shows by enrolling.
        assert [one.name for one in shown] == [name]
        bench.walk.verification.sightings.leave("agent", name)
        keep_discovered_assets(bench.walk.verification.sightings, register)
        assert list(register.all()) == []


async def test_whoever_asks_to_be_enrolled_and_is_nobody_is_listed_refused_and_leaves_once_enrolled(
    tmp_path: Path,
) -> None:
    nobody = {"scout": [["unix:uid:4000000001"]], "rover": [["join_token:name:first"]]}
    async with served(tmp_path, acting=False, attestation=nobody) as world:
        batch, register = world.walk.verification.sightings, fresh(SqliteSightings)
        key = fresh_key()
        async with world.client(uds=True) as client:
            with pytest.raises(Refused) as refused:
                await client.enrol(await client.challenge(), key=key, attestation=UNIX)
        assert refused.value.code == "attestation.unknown"
        keep_discovered_assets(batch, register)
        [one] = unregistered(world.walk.authority.registry, register)
        assert (one.kind, one.source, one.grade) == ("agent", "enrolment by unix", "kernel")
        assert one.name.startswith("uid ")
        # What nobody proved is not noted.
        body = signed_body(await challenge_of(world), fresh_key(), {"type": "join_token", "token": "x" * 43})
        status, _ = await world.post("enrol", body)
        assert status != 200
        assert batch.take() == ()
        # Registered and enrolled, it leaves, though by its name nobody can tell what its path is.
        ours = {**nobody, "scout": [[THIS_PROGRAM, f"unix:uid:{os.getuid()}"]]}
        await apply_registry(*to_apply(world.walk), served_documents(tmp_path, ours, "refuse"), by="operator")
        async with world.client(uds=True) as client:
            await client.enrol(await client.challenge(), key=key, attestation=UNIX)
        keep_discovered_assets(batch, register, registry=world.walk.authority.registry)
        assert list(register.all()) == []
