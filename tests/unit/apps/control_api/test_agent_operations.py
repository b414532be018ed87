"""Operations on agents, over a walk and workloads in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.adapters.sqlite import SqliteSightings
from answerable.api.agent_answers import InstanceEnd, StandingChange
from answerable.apps.cli.agents import told, told_end
from answerable.apps.control_api import agent_operations, inventory_operations
from answerable.apps.control_api.call import Call, instant
from answerable.apps.control_api.openapi import schemas
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.authority import TrustLimits
from answerable.core.ledger.tags import Tag
from answerable.core.registry.snapshot.discovered_asset import Sighting
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.leases.list_outstanding_access import outstanding_of_instance
from answerable.flows.workloads import hand_out_svid
from answerable.flows.workloads.enrol_workload import enrol
from answerable.testing.registers import fresh
from tests.worlds.answers import as_sent
from tests.worlds.enrolment import enrolling, evidence_of, key_of

pytestmark = pytest.mark.anyio


def sightings() -> SqliteSightings:
    found = fresh(SqliteSightings)
    found.keep(
        [
            Sighting(
                kind="server",
                name="mail",
                first=UnixMillis(1000),
                last=UnixMillis(2000),
                count=3,
                source="agent scout",
                grade="gateway",
            )
        ]
    )
    return found


@dataclass
class Identity:
    sightings: Any


@dataclass
class Product:
    walk: Any
    workloads: Any = None
    identity: Any = None


async def product():
    bench, workloads = await enrolling()
    return bench, Product(walk=bench.walk, workloads=workloads, identity=Identity(sightings()))


async def asked(operation: Any, made: Any, *, body: Any = None, query: Any = None, **path: str) -> Any:
    call = Call(product=made, by="operator", path=path, query=query or {}, body=body)
    return as_sent(await operation.run(call))


def x509_key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def members_of(component: str) -> set[str]:
    schema: Any = schemas()[component]
    return set(schema["properties"])


async def test_instances_are_listed_and_counted_for_their_agent():
    bench, made = await product()
    one = await enrol(made.workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    bench.clock.advance(1)
    other = await enrol(
        made.workloads, evidence=evidence_of("unix:uid:2000"), key=key_of("i-2"), process="boot:2:1"
    )
    page = await asked(agent_operations.list_instances, made)
    assert [item["id"] for item in page["items"]] == [str(other.id), str(one.id)]
    page = await asked(agent_operations.list_instances, made, query={"agent": "scout"})
    assert [item["agent"] for item in page["items"]] == ["scout"]
    assert set(page["items"][0]) == members_of("Instance")
    state = await asked(agent_operations.show_agent, made, name="scout")
    assert (state["instances"], state["active"], state["drift_rule"]) == (1, True, "refuse")
    assert set(state) == members_of("AgentState")
    with pytest.raises(Refused):
        await asked(agent_operations.show_agent, made, name="nobody")


async def test_retiring_says_what_ended_and_what_cannot_be_undone():
    bench, made = await product()
    await bench.issue("m-1")
    one = await enrol(made.workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    change = await asked(agent_operations.set_standing, made, name="scout", body={"status": "retired"})
    assert change["instances_ended"] == [str(one.id)]
    assert change["mandates_closed"] == ["m-1"]
    assert set(change) == members_of("StandingChange")
    lines = told(msgspec.convert(change, StandingChange))
    assert lines[0] == "agent scout is now retired"
    assert "1 instances ended" in lines[1]
    # None was issued, so there is nothing that others could believe.
    assert lines[3] == "no SVID of it is valid any more, here or elsewhere"
    again = await asked(agent_operations.set_standing, made, name="scout", body={"status": "retired"})
    assert told(msgspec.convert(again, StandingChange))[0] == "agent scout was already retired"
    for status in ("gone", ""):
        with pytest.raises(Malformed):
            await asked(agent_operations.set_standing, made, name="rover", body={"status": status})


async def test_retiring_names_each_svid_that_others_may_still_believe():
    bench, made = await product()
    one = await enrol(made.workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    other = await enrol(made.workloads, evidence=evidence_of("unix:uid:2000"), key=None, process="boot:2:1")
    first = await hand_out_svid.x509_svid(made.workloads, one.id, x509_key())
    await hand_out_svid.x509_svid(made.workloads, other.id, x509_key())
    await hand_out_svid.jwt_svid(made.workloads, one.id, ("somebody",))
    bench.clock.advance(301)
    change = await asked(agent_operations.set_standing, made, name="scout", body={"status": "suspended"})
    assert set(change) == members_of("StandingChange")
    # The token has run out, and what is of rover is not scout's.
    [left] = change["svids_outstanding"]
    assert left == {
        "instance": str(one.id),
        "kind": "x509",
        "serial": f"{first.serial:x}",
        "expires_at": instant(first.not_after),
    }
    assert change["svids_all"]
    assert left["expires_at"] <= change["x509_svids_valid_until"]
    lines = told(msgspec.convert(change, StandingChange))
    assert "not ended: its SVIDs are still valid at third parties" in lines[2]
    assert change["x509_svids_valid_until"] in lines[2]
    # Of one instance of several; and asked again, when nothing is to be done, it is still told.
    found = await outstanding_of_instance(made.workloads, str(other.id))
    assert [svid.instance for svid in found.svids] == [str(other.id)]
    again = await asked(agent_operations.set_standing, made, name="scout", body={"status": "suspended"})
    assert again["svids_outstanding"] == [left]
    # Where other processes have logs of their own, they may have issued more.
    made.workloads.applying.live.link = object()
    more = await asked(agent_operations.set_standing, made, name="scout", body={"status": "retired"})
    assert not more["svids_all"]
    assert any(
        "further SVIDs within that time may exist" in line
        for line in told(msgspec.convert(more, StandingChange))
    )


@pytest.mark.requirement("LIFE-05")
@pytest.mark.parametrize("what", ["agent", "instance"])
async def test_what_was_issued_under_a_longer_life_than_is_set_now_is_in_the_bound_that_is_stated(what: str):
    """A server that was started anew with shorter lives has not shortened what is out there."""
    bench, made = await product()
    one = await enrol(made.workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    certificate = await hand_out_svid.x509_svid(made.workloads, one.id, x509_key())
    await hand_out_svid.jwt_svid(made.workloads, one.id, ("somebody",))
    token_ends = bench.clock.now() + made.workloads.trust.limits.jwt_seconds * 1000
    made.workloads.trust.limits = TrustLimits(x509_seconds=60, jwt_seconds=30)
    if what == "agent":
        told_of = await asked(agent_operations.set_standing, made, name="scout", body={"status": "retired"})
    else:
        told_of = await asked(agent_operations.end_one, made, body={"instance": str(one.id)})
    assert {left["kind"] for left in told_of["svids_outstanding"]} == {"x509", "jwt"}
    for left in told_of["svids_outstanding"]:
        assert left["expires_at"] <= told_of[f"{left['kind']}_svids_valid_until"]
    assert told_of["x509_svids_valid_until"] == instant(certificate.not_after)
    assert told_of["jwt_svids_valid_until"] == instant(UnixMillis(token_ends // 1000 * 1000))


async def test_ending_one_instance_keeps_its_process_out_and_leaves_the_others_alone():
    bench, made = await product()
    one = await enrol(made.workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    sub = await enrol(made.workloads, evidence=one.evidence, key=key_of("s-1"), parent=one.id)
    other = await enrol(made.workloads, evidence=evidence_of(), key=None, process="boot:2:1")
    end = await asked(agent_operations.end_one, made, body={"instance": str(one.id)})
    assert end["instances_ended"] == [str(one.id), str(sub.id)]
    assert set(end) == members_of("InstanceEnd")
    lines = told_end(msgspec.convert(end, InstanceEnd))
    assert "and 1 sub-agents with it" in lines[0]
    assert lines[2].startswith("no SVID of it is valid any more")
    assert list(made.workloads.instances.live()) == [other]
    because = [entry["because"] for entry in bench.entries(Tag.WORKLOAD_ENDED)]
    assert because == ["operator.ended", "parent.ended"]
    with pytest.raises(Refused, match="restart the process") as error:
        await enrol(made.workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    assert error.value.code == "instance.ended"
    again = await asked(agent_operations.end_one, made, body={"instance": str(one.id)})
    assert told_end(msgspec.convert(again, InstanceEnd)) == (f"instance {one.id} had ended before",)
    unknown = str(one.id).replace("/scout/", "/rover/")
    with pytest.raises(Refused) as error:
        await asked(agent_operations.end_one, made, body={"instance": unknown})
    assert error.value.code == "instance.unknown"
    for text in ("scout", "", "https://example.test/agent/scout"):
        with pytest.raises(Malformed):
            await asked(agent_operations.end_one, made, body={"instance": text})


async def test_a_join_token_is_for_an_active_agent_and_works_once():
    _, made = await product()
    token = await asked(
        agent_operations.make_join_token, made, name="scout", body={"label": "first", "seconds": 60}
    )
    assert set(token) == members_of("JoinToken")
    found = made.workloads.attestor.join_token(token["token"])
    assert "join_token:name:first" in found.selectors
    with pytest.raises(Refused):
        await asked(agent_operations.make_join_token, made, name="nobody", body={"label": "x"})
    with pytest.raises(Malformed):
        await asked(
            agent_operations.make_join_token, made, name="scout", body={"label": "x", "seconds": "60"}
        )


async def test_what_was_seen_is_listed_and_without_a_trust_domain_that_is_said():
    _, made = await product()
    page = await asked(inventory_operations.list_seen, made)
    assert page["items"][0]["name"] == "mail"
    assert set(page["items"][0]) == members_of("Sighting")
    assert page["items"][0]["blocked"] == "everywhere"
    with pytest.raises(Unavailable):
        await asked(agent_operations.list_instances, Product(walk=made.walk))


async def test_what_clients_are_set_up_to_reach_is_told_for_a_registered_agent_and_in_bounds():
    _, made = await product()
    direct = {"name": "shadow", "reached": "npx", "where": ".mcp.json"}
    told = await asked(
        inventory_operations.report_servers, made, body={"agent": "scout", "servers": [direct]}
    )
    assert told == {"agent": "scout", "unregistered": 1}
    assert set(told) == members_of("ServersReported")
    page = await asked(inventory_operations.list_seen, made)
    [one] = [item for item in page["items"] if item["name"] == "shadow (npx)"]
    assert (one["grade"], one["blocked"], one["source"]) == ("claimed", "here", "project of scout")
    for servers in ("x", [direct] * 501, [{**direct, "more": "x"}], [{"name": "x"}], [{**direct, "name": 1}]):
        with pytest.raises(Malformed) as malformed:
            await asked(
                inventory_operations.report_servers, made, body={"agent": "scout", "servers": servers}
            )
        assert malformed.value.code == "request.body"
    with pytest.raises(Refused):
        await asked(inventory_operations.report_servers, made, body={"agent": "nobody", "servers": []})
