"""An agent stops itself, and tries to stop others, to stop as somebody else, and to go on again by itself."""

from __future__ import annotations

import pytest

from answerable.core.containment.hold import HoldId
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unverified
from answerable.flows.containment.lift_hold import lift_hold
from answerable.flows.drills.report_containment import report_containment
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.signing import signed_lift
from answerable.testing.samples import signing_key
from tests.attack.test_stop_reports import require_readable
from tests.worlds.enrolment import Served, fresh_key, served
from tests.worlds.parts import to_hold

pytestmark = pytest.mark.anyio
UNIX = {"type": "unix"}


async def enrolled(world: Served, key, parent=None, *, csr: bytes = b""):
    async with world.client(uds=True) as client:
        challenge = await client.challenge()
        if parent is None:
            return await client.enrol(challenge, key=key, attestation=UNIX, csr=csr)
        return await client.enrol_sub_agent(challenge, parent=SignatureAuth(parent), key=key)


@pytest.mark.requirement("STOP-05")
async def test_an_instance_stops_itself_with_its_sub_agents(tmp_path):
    async with served(tmp_path, acting=False) as world:
        mine, sub = fresh_key(), fresh_key()
        me = await enrolled(world, mine)
        child = await enrolled(world, sub, parent=mine)
        async with world.client() as client:
            hold = HoldId(await client.stop(SignatureAuth(mine), reason="I loop"))
        found = world.walk.authority.holds.get(hold)
        assert (found.what, found.by, found.source, found.reason) == (
            ("instance", str(me.instance)), str(me.instance), "agent", "I loop",
        )  # fmt: skip
        report = await report_containment(
            *to_hold(world.walk), world.walk.limits, found, workloads=world.workloads
        )
        assert set(report.instances) == {str(me.instance), str(child.instance)}
        for key in (mine, sub):
            async with world.client() as client:
                with pytest.raises((Refused, Unverified)):
                    await client.renew(SignatureAuth(key))
                with pytest.raises((Refused, Unverified)):
                    await client.stop(SignatureAuth(key), over="agent")


@pytest.mark.requirement("STOP-05")
async def test_a_sub_agent_that_stops_itself_stops_neither_its_parent_nor_the_agent(tmp_path):
    async with served(tmp_path, acting=False) as world:
        mine, sub = fresh_key(), fresh_key()
        await enrolled(world, mine)
        child = await enrolled(world, sub, parent=mine)
        async with world.client() as client:
            await client.stop(SignatureAuth(sub))
            await client.renew(SignatureAuth(mine))
            with pytest.raises((Refused, Unverified)):
                await client.renew(SignatureAuth(sub))
        [leaf] = world.entries(Tag.HOLD_PLACED)
        assert (leaf["kind"], leaf["name"], leaf["source"]) == ("instance", str(child.instance), "agent")
        require_readable(world.walk)


@pytest.mark.requirement("STOP-05")
async def test_an_agent_stops_itself_whole_and_no_new_instance_of_it_is_let_in(tmp_path):
    async with served(tmp_path, acting=False) as world:
        mine = fresh_key()
        await enrolled(world, mine)
        async with world.client() as client:
            hold = HoldId(await client.stop(SignatureAuth(mine), over="agent"))
        assert world.walk.authority.holds.get(hold).what == ("agent", "scout")
        with pytest.raises(Refused) as raised:
            await enrolled(world, fresh_key())
        assert raised.value.code == "held.agent"


@pytest.mark.requirement("STOP-05")
@pytest.mark.parametrize(
    "body",
    [
        {"over": "rover"},
        {"over": "everything"},
        {"over": "owner"},
        {"over": ["agent"]},
        {"over": "agent", "name": "rover"},
        {"over": "instance", "instance": "spiffe://example.org/agent/rover/1"},
        {"kind": "agent", "name": "rover"},
        {"over": "agent", "agent": "rover"},
        {"over": "agent", "by": "alice"},
        {"over": "agent", "source": "person"},
        {"over": "agent", "expires_at": 1},
        {"over": "agent", "reason": "two\nlines"},
        {"over": "agent", "reason": ""},
    ],
)
async def test_nobody_else_can_be_named_and_nothing_else_can_be_said(tmp_path, body):
    async with served(tmp_path, acting=False) as world:
        mine = fresh_key()
        await enrolled(world, mine)
        status, _ = await world.post("stop", body, auth=SignatureAuth(mine))
        assert status == 400
        assert list(world.walk.authority.holds.all()) == []


@pytest.mark.requirement("STOP-05")
async def test_a_stranger_a_registered_key_and_nobody_stop_nothing(tmp_path):
    async with served(tmp_path, acting=False) as world:
        for auth in (None, SignatureAuth(fresh_key()), SignatureAuth(signing_key("alice"))):
            status, _ = await world.post("stop", {"over": "agent"}, auth=auth)
            assert status == 401
        assert list(world.walk.authority.holds.all()) == []


@pytest.mark.requirement("STOP-05", "STOP-02")
async def test_what_an_agent_placed_it_cannot_lift_and_one_person_can(tmp_path):
    async with served(tmp_path, acting=False) as world:
        mine = fresh_key()
        await enrolled(world, mine)
        async with world.client() as client:
            hold = HoldId(await client.stop(SignatureAuth(mine)))
        found = world.walk.authority.holds.get(hold)

        def word(by: str, key) -> str:
            return signed_lift(
                found,
                by=PrincipalId(by),
                reason="it is well",
                audience=world.walk.recorder.ledger.origin,
                at=world.walk.clock.now(),
                key=key,
            )

        for by in ("scout", "alice"):
            with pytest.raises((Unverified, Malformed)):
                await lift_hold(
                    world.walk.recorder,
                    world.walk.authority,
                    world.walk.asking.under_way,
                    world.walk.counters,
                    hold,
                    word(by, mine),
                )
        assert (
            await lift_hold(
                world.walk.recorder,
                world.walk.authority,
                world.walk.asking.under_way,
                world.walk.counters,
                hold,
                word("alice", signing_key("alice")),
            )
        ).lifted_at
