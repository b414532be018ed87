"""An agent stops itself through a real sidecar, which goes on beside it and lets nothing more through."""

from __future__ import annotations

import sys

import pytest

from answerable.core.containment.hold import HoldId
from answerable.core.ledger.tags import Tag
from answerable.sdk.proof_auth import SignatureAuth
from tests.system.test_sidecar import sidecar, told
from tests.worlds.enrolment import fresh_key, served
from tests.worlds.mail import mailbox

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's"),
    pytest.mark.requirement("STOP-09"),
]


@pytest.mark.parametrize("over", ["instance", "agent"])
async def test_an_agent_stops_itself_through_its_handle_and_does_nothing_more(tmp_path, over):
    async with served(tmp_path) as world:
        world.mandate("crm.read")
        step = "stop:agent" if over == "agent" else "stop"
        async with sidecar(world, tmp_path, "act", "who", step, "try", "sub-try", step, "exit:4") as process:
            pass
        # The agent is not killed: it ends as it likes, and the sidecar with it.
        assert process.returncode == 4
        done, who, stopped, after, sub, again = told(tmp_path)
        assert done["name"] == "Amara Okafor"
        assert stopped["status"] == 200
        hold = world.walk.authority.holds.get(HoldId(stopped["hold"]))
        assert hold.what == (over, who["instance"] if over == "instance" else "scout")
        assert (hold.by, hold.source) == (who["instance"], "agent")
        assert set(after) == {"refused"}
        assert sub["status"] in (401, 403)
        assert again["status"] in (401, 403)
        assert len(world.entries(Tag.INTENT)) == 1
        assert [one["because"] for one in world.entries(Tag.WORKLOAD_ENDED)] == ["held"]
        # Another sidecar of the same agent is let in where the instance alone was stopped.
        (tmp_path / "found.json").unlink()
        async with sidecar(world, tmp_path, "try") as process:
            pass
        if over == "instance":
            assert told(tmp_path)[0]["name"] == "Amara Okafor"
        else:
            assert process.returncode == 3
            assert not (tmp_path / "found.json").exists()


async def test_a_sub_agent_that_stops_itself_leaves_its_parent_at_work(tmp_path):
    async with served(tmp_path) as world:
        world.mandate("crm.read")
        async with sidecar(world, tmp_path, "sub-stop", "act") as process:
            pass
        assert process.returncode == 0
        stopped, after, done = told(tmp_path)
        assert world.walk.authority.holds.get(HoldId(stopped["hold"])).what == (
            "instance",
            stopped["instance"],
        )
        assert set(after) == {"refused"}
        assert done["name"] == "Amara Okafor"
        because = {one["instance"]: one["because"] for one in world.entries(Tag.WORKLOAD_ENDED)}
        assert because[stopped["instance"]] == "held"


async def test_an_agent_stops_itself_by_the_sdk_at_a_real_server_and_one_person_lets_it_come_back(tmp_path):
    async with mailbox(tmp_path) as box:
        scout = fresh_key()
        await box.instance(scout)
        await box.deletes(scout, "first")
        async with box.enrolling() as client:
            hold = await client.stop(SignatureAuth(scout), over="agent", reason="I go in circles")
        assert not await box.does(scout, "tools/call", "mail_delete", which="second")
        assert not await box.is_let_in(fresh_key())
        await box.lift(hold, "ada")
        again = fresh_key()
        await box.instance(again)
        await box.deletes(again, "again")
        assert not await box.does(scout, "tools/call", "mail_delete", which="by the one that ended")
        assert len(box.deleted) == 2
