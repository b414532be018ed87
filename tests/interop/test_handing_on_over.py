"""A task that is handed on over A2A and over a message broker: the SDKs and the server of others, our doors behind.

The orchestrator puts a chain into a message of the A2A SDK, or of NATS; the researcher takes it out, exchanges it at
the token service and acts at the gateway. Between them the chain is dropped, spoilt and doubled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import answerable
from answerable.core.canonical import encode
from answerable.core.identity.keys.keys import new_private_jwk
from answerable.core.ledger.opened import payload_of
from answerable.core.ledger.tags import Tag
from set_up import ROOT, VERIFIERS
from tests.interop.programs import program
from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.ports import free_port
from tests.worlds.token import AGENTS, TokenWorld, token_world
from verifiers import NATS

pytestmark = pytest.mark.anyio

WAIT_SECONDS_MAX = 60


class Agent:
    """A process of one of the programs, which answers each line with one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def told(self) -> Any:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            line = await self.process.stdout.readline()
            if not line:
                raise AssertionError((await self.process.stderr.read()).decode()[-3000:])
        return json.loads(line)

    async def asked(self, on_the_way: str, case: str = "4711") -> Any:
        assert self.process.stdin is not None
        line = json.dumps({"case": case, "on_the_way": on_the_way})
        self.process.stdin.write(line.encode() + b"\n")
        return await self.told()


def python_of_agents() -> str:
    """Of the environment with the SDKs of others, or a loud skip."""
    environment = next(one for one in VERIFIERS if one.path == "verifiers/agents")
    if not environment.is_ready():
        skip_loudly(f"what {environment.lock} lists", "./dev verifiers", name="agents")
    return str(environment.python)


@contextlib.asynccontextmanager
async def started(world: TokenWorld, agent: str, *command: str) -> AsyncIterator[Agent]:
    """One agent in a process of its own, ended with the test."""
    keys = world.home / "agent-keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    for name in AGENTS:
        write_key(keys / f"{name}.jwk", name)
    place = {"gateway": world.url, "keys": str(keys), "mandate": "m-1", "agent": agent}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=kept
        | {"HANDED_WORK": json.dumps(place), "PYTHONPATH": str(Path(answerable.__file__).parent.parent)},
    )
    try:
        yield Agent(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def write_key(path: Path, name: str) -> None:
    """The sample key of an agent, as `load_key` reads it."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(encode(new_private_jwk("ed25519", sha256(name.encode()).digest())))


@contextlib.asynccontextmanager
async def a2a_pair(world: TokenWorld) -> AsyncIterator[Agent]:
    """The orchestrator, with the researcher at the other end."""
    program_line = (python_of_agents(), str(ROOT / "tests/interop/a2a_agent.py"))
    async with started(world, "researcher", *program_line, "receive") as researcher:
        url = (await researcher.told())["url"]
        async with started(world, "orchestrator", *program_line, "send", url) as orchestrator:
            yield orchestrator


@contextlib.asynccontextmanager
async def nats_pair(world: TokenWorld) -> AsyncIterator[Agent]:
    """The same two, with a NATS server between them."""
    program_line = (python_of_agents(), str(ROOT / "tests/interop/nats_agent.py"))
    async with (
        broker(world.home) as url,
        started(world, "researcher", *program_line, "receive", url) as researcher,
    ):
        assert (await researcher.told())["event"] == "listening"
        async with started(world, "orchestrator", *program_line, "send", url) as orchestrator:
            yield orchestrator


@contextlib.asynccontextmanager
async def broker(home: Path) -> AsyncIterator[str]:
    """A NATS server on a free port of loopback."""
    server = program(NATS)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        server, "-a", "127.0.0.1", "-p", str(port), "-P", str(home / "nats.pid"),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield f"nats://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


PAIRS = {"a2a": a2a_pair, "nats": nats_pair}


def refusals(world: TokenWorld) -> list[dict[str, Any]]:
    """Leaves of refusals, with their reasons opened."""
    found = []
    for stored in world.walk.recorder.ledger.replay():
        leaf = json.loads(stored.leaf)
        if leaf["tag"] == Tag.REFUSAL:
            opened = payload_of(stored, leaf, world.walk.recorder.subject_keys.find) or {}
            found.append({**leaf, "reasons": opened["reasons"]})
    return found


@pytest.mark.requirement("HAND-06")
@pytest.mark.parametrize("over", PAIRS)
async def test_a_task_that_is_handed_on_in_a_message_is_exchanged_and_done_and_on_record(tmp_path, over):
    async with token_world(tmp_path) as world:
        await world.mandate()
        async with PAIRS[over](world) as orchestrator:
            said = await orchestrator.asked("nothing")
            assert said.get("read"), said
            assert said["hops"] == ["orchestrator", "researcher"]
        [intent] = world.entries(Tag.INTENT)
        assert (intent["agent"], intent["mandate"]) == ("researcher", "m-1")
        assert [hop["agent"] for hop in intent["hops"]] == ["orchestrator", "researcher"]
        forms = {one["index"]: one["form"] for one in world.entries(Tag.CITED) if one["kind"] == "hop"}
        assert [forms[hop["entry"]] for hop in intent["hops"]] == ["online", "online"]


@pytest.mark.requirement("HAND-07")
@pytest.mark.parametrize("over", PAIRS)
async def test_a_message_that_lost_its_chain_gives_no_authority_and_the_refusal_names_who_acted(
    tmp_path, over
):
    async with token_world(tmp_path) as world:
        await world.mandate()
        async with PAIRS[over](world) as orchestrator:
            said = await orchestrator.asked("dropped")
            assert "neither a mandate nor a delegation chain" in str(said["denied"]), said
        assert world.entries(Tag.INTENT) == []
        [refusal] = refusals(world)
        assert (refusal["agent"], refusal["code"], refusal["mandate"]) == (
            "researcher",
            "mandate.missing",
            "",
        )
        assert "hops" not in refusal
        assert "neither a mandate nor a delegation chain" in str(refusal["reasons"])


SPOILT = {
    "a2a": {
        "announced only": ("delegation.carriage", "the message has no chain"),
        "unannounced": ("delegation.carriage", "does not name the extension"),
        "announced twice": ("delegation.carriage", "2 times"),
        "cut": ("delegation.depth_invalid", "depth of hop 0 is `1`, expected 0"),
        "oversized": ("delegation.carriage", "more than 262144"),
        "no text": ("delegation.carriage", "must be one chain of hops"),
        "tampered": ("token.refused", "the delegation chain is invalid"),
    },
    "nats": {
        "twice": ("delegation.carriage", "has 2 fields `answerable-delegation`"),
        "cut": ("delegation.depth_invalid", "depth of hop 0 is `1`, expected 0"),
        "oversized": ("delegation.carriage", "more than 32768"),
        "tampered": ("token.refused", "the delegation chain is invalid"),
    },
}


@pytest.mark.requirement("HAND-08")
@pytest.mark.parametrize("over", PAIRS)
async def test_a_chain_that_was_spoilt_on_its_way_is_refused_with_what_is_wrong_and_nothing_is_done(
    tmp_path, over
):
    async with token_world(tmp_path) as world:
        await world.mandate()
        async with PAIRS[over](world) as orchestrator:
            for on_the_way, (code, detail) in SPOILT[over].items():
                said = await orchestrator.asked(on_the_way)
                assert said.get("code") == code, (on_the_way, said)
                assert detail in said["detail"], (on_the_way, said)
            assert world.entries(Tag.INTENT) == []
            assert (await orchestrator.asked("capitals")).get("read"), "and the next whole one goes through"
