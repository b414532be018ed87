"""What was done a moment ago, asked about at once: a real `up` whose witness stands still, and goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.worlds.up import House, house, registry

pytestmark = pytest.mark.anyio
AGENT = "answering-agent"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def witness_of(server: int) -> int:
    """The process of the local witness, which the server started."""
    for children in Path(f"/proc/{server}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            if b"witness" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    raise AssertionError("the server started no witness")


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def begun(made: House) -> None:
    made.apply(registry(**{AGENT: [["unix:uid:0"]]}))
    await made.start()


async def newest_intent(made: House) -> str:
    made.command("drill", "stop", AGENT)
    return await newest(made, ("intent",))


async def newest(made: House, kinds: Collection[str]) -> str:
    size = json.loads(made.command("ledger", "status", "--json"))["entries"]
    for index in range(size - 1, -1, -1):
        if json.loads(made.command("ledger", "show", str(index), "--json"))["kind"] in kinds:
            return str(index)
    raise AssertionError("the drill did nothing")


@pytest.mark.requirement("SAME-02")
@pytest.mark.requirement("SAME-03")
@pytest.mark.requirement("SAME-04")
@pytest.mark.requirement("SAME-05")
async def test_what_was_done_a_moment_ago_is_explained_and_exported_with_its_grade(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        await begun(made)
        assert made.process is not None
        policy = tmp_path / "policy"
        policy.write_text(made.command("witness", "policy"))
        with standing_still(witness_of(made.process.pid)):
            index = await newest_intent(made)
            for noun in (("why",), ("decision", "replay")):
                assert json.loads(made.command(*noun, index, "--json"))["grade"] == "signed"
            end = await newest(made, ("outcome", "indeterminate"))
            of = json.loads(made.command("ledger", "show", end, "--json"))["leaf"]["intent"]
            assert f"there is no decision `{end}`; it is of entry {of}: see" in made.command(
                "why", end, code=1
            )
            early = tmp_path / "early.zip"
            export = ("evidence", "export", "--entry", index, "--out")
            assert "witnesses have not cosigned" in made.command(*export, str(early), "--wait", "1", code=4)
            verify = ("evidence", "verify", "--policy", str(policy), "--json")
            made.command(*verify, str(early), code=6)
        seen = tmp_path / "seen.zip"
        made.command(*export, str(seen), "--wait", "60")
        assert json.loads(made.command(*verify, str(seen)))["status"] == "valid"
        for noun in (("why",), ("decision", "replay")):
            assert json.loads(made.command(*noun, index, "--json"))["grade"] == "witnessed"
        await made.stop(signal.SIGTERM)
        copy = ("ledger", "verify", str(made.data / "ledger"), "--policy", str(policy))
        made.command(*copy, "--since", "2020-01-01T00:00:00Z")
        made.command(*copy, "--since", "2199-01-01T00:00:00Z", code=6)
