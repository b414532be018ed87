"""The sidecar as a real process beside a scripted agent, in front of a real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.tags import Tag
from answerable.flows.trust_domain.workloads import WorkloadLimits
from answerable.flows.workloads.follow_manifests import follow_manifests
from tests.worlds.enrolment import served, sign_manifest
from tests.worlds.gateway import HERE, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's"),
]
MAIN = HERE / "system" / "sidecar_main.py"
AGENT = HERE / "system" / "scripted_agent.py"
UNIX = json.dumps({"type": "unix"})
PROGRAM = f"unix:path:{os.path.realpath(sys.executable)}"


@asynccontextmanager
async def sidecar(world, home, *steps, gateway="", attestation=UNIX, agent="scout", project="-", through=()):
    """The sidecar with a scripted agent that does these steps; it has ended afterwards."""
    command = [
        sys.executable, str(MAIN), agent, gateway or f"unix:{world.uds}", "m-1", attestation, project, "--",
        *through, sys.executable, str(AGENT), str(home / "found.json"), *steps,
    ]  # fmt: skip
    async with await anyio.open_process(command, stdout=None, stderr=None) as process:
        try:
            with anyio.fail_after(60):
                yield process
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()


def told(home: Path) -> Any:
    return json.loads((home / "found.json").read_text())


@pytest.mark.requirement("ENROL-12")
@pytest.mark.requirement("ENROL-13")
async def test_an_agent_acts_through_its_handle_and_holds_no_key(tmp_path):
    async with served(tmp_path) as world:
        world.mandate("crm.read")
        steps = ("act:2026-07-28", "act:legacy", "who", "environment", "exit:7")
        async with sidecar(world, tmp_path, *steps) as process:
            pass
        assert process.returncode == 7
        read, legacy, who, seen = told(tmp_path)
        assert read["name"] == legacy["name"] == "Amara Okafor"
        assert who["agent"] == "scout"
        intents = world.entries(Tag.INTENT)
        assert {entry["instance"] for entry in intents} == {who["instance"]}
        assert {entry["evidence"]["grade"] for entry in intents} == {"kernel"}
        # All that the agent was given is an address; after the end nothing is there any more.
        address = seen["env"].pop("ANSWERABLE_GATEWAY")
        assert address.startswith("unix:")
        assert seen["env"].keys() - os.environ.keys() <= {"LC_CTYPE", "LINES", "COLUMNS"}
        assert not Path(address.removeprefix("unix:")).parent.exists()
        ended = world.entries(Tag.WORKLOAD_ENDED)
        assert [(one["instance"], one["because"]) for one in ended] == [(who["instance"], "asked")]


@pytest.mark.requirement("ENROL-12")
async def test_a_join_token_over_loopback_works_once(tmp_path):
    async with served(tmp_path, attestation={"scout": [["join_token:name:first"]]}) as world:
        world.mandate("crm.read")
        token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
        shown = json.dumps({"type": "join_token", "token": token})
        async with sidecar(world, tmp_path, "act", gateway=world.url, attestation=shown) as process:
            pass
        assert process.returncode == 0
        assert told(tmp_path)[0]["name"] == "Amara Okafor"
        assert world.entries(Tag.INTENT)[0]["evidence"] == {"grade": "gateway", "source": "join_token"}
        async with sidecar(world, tmp_path, "act", gateway=world.url, attestation=shown) as process:
            pass
        assert process.returncode == 3
        assert len(world.entries(Tag.WORKLOAD_ENROLLED)) == 1


@pytest.mark.requirement("ENROL-14")
async def test_a_sub_agent_has_a_handle_a_key_and_a_name_of_its_own(tmp_path):
    async with served(tmp_path) as world:
        world.mandate("crm.read")
        async with sidecar(world, tmp_path, "act", "sub", "who"):
            pass
        _, made, read, deeper, ended, who = told(tmp_path)
        assert made["instance"] == f"{who['instance']}/sub-1"
        assert made["source"] == "parent"
        assert read["name"] == "Amara Okafor"
        assert deeper == 403
        assert ended == {"ended": [made["instance"]]}
        first, second = world.entries(Tag.INTENT)
        assert (first["instance"], second["instance"]) == (who["instance"], made["instance"])
        keys = [entry["key"] for entry in world.entries(Tag.WORKLOAD_ENROLLED)]
        assert len(keys) == len(set(keys)) == 2
        because = {one["instance"]: one["because"] for one in world.entries(Tag.WORKLOAD_ENDED)}
        assert because == {made["instance"]: "asked", who["instance"]: "asked"}


@pytest.mark.requirement("ENROL-15")
async def test_a_handle_signs_mcp_messages_and_nothing_else(tmp_path):
    async with served(tmp_path) as world:
        async with sidecar(world, tmp_path, "sign", "who"):
            pass
        statuses, who = told(tmp_path)
        assert statuses == [400] * 5
        assert who["instance"]
        assert [one["because"] for one in world.entries(Tag.WORKLOAD_ENDED)] == ["asked"]


@pytest.mark.requirement("ENROL-15")
async def test_a_process_that_the_sidecar_did_not_start_gets_nothing_from_the_handle(tmp_path):
    go = tmp_path / "go"
    async with served(tmp_path) as world:
        async with sidecar(world, tmp_path, f"wait:{go}", "who"):
            waiting = tmp_path / "found.waiting"
            await until(lambda: waiting.exists() and waiting.read_text(), seconds=20)
            path = Path(waiting.read_text().removeprefix("unix:"))

            def stolen() -> bytes:
                assert path.stat().st_mode & 0o777 == 0o600
                assert path.parent.stat().st_mode & 0o777 == 0o700
                with socket.socket(socket.AF_UNIX) as thief:
                    thief.settimeout(10)
                    thief.connect(str(path))
                    try:
                        # It may be let go before it has said anything.
                        thief.sendall(b"GET /instance HTTP/1.1\r\nhost: localhost\r\n\r\n")
                        return thief.recv(100)
                    except ConnectionError:
                        return b""

            # We run as the same user, and are the sidecar's parent, not its child.
            assert await anyio.to_thread.run_sync(stolen) == b""
            go.touch()
        assert told(tmp_path)[0]["agent"] == "scout"


@pytest.mark.requirement("ENROL-13")
@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may look into every process"
)
async def test_the_agent_cannot_read_the_memory_that_holds_the_key(tmp_path):
    async with served(tmp_path) as world:
        powers = [f"--{kind}=-all" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
        through = ["setpriv", *powers] if os.geteuid() == 0 else []
        async with sidecar(world, tmp_path, "dump", through=through):
            pass
        assert told(tmp_path) == ["PermissionError"]


@pytest.mark.requirement("ENROL-16")
async def test_a_signal_reaches_the_agent_and_the_instance_ends(tmp_path):
    async with served(tmp_path) as world:
        async with sidecar(world, tmp_path, f"wait:{tmp_path / 'never'}") as process:
            await until(lambda: (tmp_path / "found.waiting").exists(), seconds=60)
            process.send_signal(signal.SIGTERM)
        assert process.returncode == 128 + signal.SIGTERM
        assert [one["because"] for one in world.entries(Tag.WORKLOAD_ENDED)] == ["asked"]


@pytest.mark.requirement("ENROL-16")
async def test_the_instance_ends_with_an_agent_that_is_sent_signals_until_it_is_gone(tmp_path):
    async with served(tmp_path) as world:
        async with sidecar(world, tmp_path, f"wait:{tmp_path / 'never'}") as process:
            await until(lambda: (tmp_path / "found.waiting").exists(), seconds=20)
            while process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await anyio.sleep(0.005)
        # By the last one itself, where it came after the end of all that is kept.
        assert process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
        assert [one["because"] for one in world.entries(Tag.WORKLOAD_ENDED)] == ["asked"]


@pytest.mark.requirement("ENROL-16")
@pytest.mark.usefixtures("own_root_is_a_mount")
async def test_the_identity_is_renewed_by_itself_at_half_its_life(tmp_path):
    go = tmp_path / "go"

    known = {"scout": [[f"unix:uid:{os.getuid()}", PROGRAM]]}
    async with served(tmp_path, attestation=known, limits=WorkloadLimits(instance_seconds=2)) as world:
        world.mandate("crm.read")
        async with sidecar(world, tmp_path, f"wait:{go}", "act"):
            await until(lambda: len(world.entries(Tag.WORKLOAD_ENROLLED)) >= 4, seconds=30)
            go.touch()
        assert told(tmp_path)[0]["name"] == "Amara Okafor"
        entries = world.entries(Tag.WORKLOAD_ENROLLED)
        assert len({entry["instance"] for entry in entries}) == 1
        ends = [entry["expires"] for entry in entries]
        assert ends == sorted(ends)


@pytest.mark.requirement("ENROL-16")
async def test_an_ended_instance_is_refused_at_its_next_message(tmp_path):
    go = tmp_path / "go"
    async with served(tmp_path) as world:
        world.mandate("crm.read")
        async with sidecar(world, tmp_path, "act", "who", f"wait:{go}", "act"):
            await until(lambda: (tmp_path / "found.waiting").exists(), seconds=60)
            live = list(world.workloads.instances.live())
            world.workloads.instances.end(live[0].id, because="agent.retired")
            go.touch()
        assert not (tmp_path / "found.json").exists()
        assert len(world.entries(Tag.INTENT)) == 1
        found = world.workloads.instances.find(live[0].id)
        assert found is not None
        assert found.ended_because == "agent.retired"


@pytest.mark.requirement("ENROL-12")
async def test_what_is_measured_as_another_agent_is_not_started(tmp_path):
    async with served(tmp_path) as world:
        async with sidecar(world, tmp_path, "act", agent="rover") as process:
            pass
        assert process.returncode == 3
        assert not (tmp_path / "found.json").exists()
        assert list(world.workloads.instances.live()) == []


@pytest.mark.requirement("ENROL-17")
@pytest.mark.parametrize("rule", ["mark", "refuse"])
async def test_a_prompt_that_changes_under_a_running_agent_is_told_at_once(tmp_path, rule):
    prompt, go = tmp_path / "prompt.md", tmp_path / "go"
    prompt.write_text("be kind")
    async with served(tmp_path, drift=rule) as world:
        world.mandate("crm.read")
        await sign_manifest(world.walk, b"be kind")
        async with sidecar(world, tmp_path, "act", f"wait:{go}", "act", project=str(prompt)):
            await until(lambda: (tmp_path / "found.waiting").exists(), seconds=60)
            prompt.write_text("be cruel")
            await until(lambda: next(iter(world.workloads.instances.live())).drift, seconds=20)
            go.touch()
        (first, second) = world.entries(Tag.WORKLOAD_ENROLLED)
        assert (first["drift"], second["drift"]) == ([], ["prompt_digest"])
        assert first["manifest"] == second["manifest"] != ""
        intents = world.entries(Tag.INTENT)
        assert "drifted" not in intents[0]["evidence"]
        assert intents[0]["manifest"] == first["manifest"]
        if rule == "mark":
            assert [one["evidence"].get("drifted") for one in intents] == [None, True]
        else:
            assert len(intents) == 1
            assert len(world.entries(Tag.REFUSAL)) == 1


@pytest.mark.requirement("MANIFEST-13")
async def test_a_running_agent_goes_on_within_seconds_once_its_owner_signs_what_it_is_now(tmp_path):
    prompt, go = tmp_path / "prompt.md", tmp_path / "go"
    prompt.write_text("be kind")
    async with served(tmp_path) as world, anyio.create_task_group() as tasks:
        tasks.start_soon(follow_manifests, world.workloads)
        world.mandate("crm.read")
        await sign_manifest(world.walk, b"be kind")
        async with sidecar(world, tmp_path, "act", f"wait:{go}", "act", project=str(prompt)):
            await until(lambda: (tmp_path / "found.waiting").exists(), seconds=60)
            prompt.write_text("be frank")
            (one,) = world.workloads.instances.live()
            await until(lambda: world.workloads.instances.find(one.id).drift, seconds=20)
            # Nobody restarts the agent, and it renews at half an hour.
            await sign_manifest(world.walk, b"be frank")
            await until(lambda: not world.workloads.instances.find(one.id).drift, seconds=20)
            go.touch()
        intents = world.entries(Tag.INTENT)
        assert [one["instance"] for one in intents] == [str(one.id)] * 2
        assert intents[0]["manifest"] != intents[1]["manifest"]
        assert [one["manifest_grade"] for one in intents] == ["sidecar", "sidecar"]
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("MANIFEST-13")
async def test_what_changes_under_a_sub_agent_is_told_with_its_parent_and_stands_under_the_next_manifest(
    tmp_path,
):
    prompt, go = tmp_path / "prompt.md", tmp_path / "go"
    prompt.write_text("be kind")
    async with served(tmp_path, drift="mark") as world, anyio.create_task_group() as tasks:
        tasks.start_soon(follow_manifests, world.workloads)
        world.mandate("crm.read")
        await sign_manifest(world.walk, b"be kind")
        async with sidecar(world, tmp_path, f"sub-wait:{go}", project=str(prompt)):
            await until(lambda: (tmp_path / "found.waiting").exists(), seconds=60)
            (sub,) = (one for one in world.workloads.instances.live() if one.parent)
            assert sub.measured == ()
            prompt.write_text("be frank")
            await until(lambda: world.workloads.instances.find(sub.id).measured, seconds=20)
            assert world.workloads.instances.find(sub.id).drift == ("prompt_digest",)
            await sign_manifest(world.walk, b"be frank")
            await until(lambda: not any(one.drift for one in world.workloads.instances.live()), seconds=20)
            go.touch()
        (intent,) = world.entries(Tag.INTENT)
        assert (intent["instance"], "drifted" in intent["evidence"]) == (str(sub.id), False)
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("ENROL-17")
async def test_what_differs_from_its_manifest_is_not_enrolled_where_the_rule_says_so(tmp_path):
    prompt = tmp_path / "prompt.md"
    prompt.write_text("be cruel")
    async with served(tmp_path, acting=False) as world:
        await sign_manifest(world.walk, b"be kind")
        async with sidecar(world, tmp_path, "who", project=str(prompt)) as process:
            pass
        assert process.returncode == 3
        assert world.entries(Tag.WORKLOAD_ENROLLED) == []
