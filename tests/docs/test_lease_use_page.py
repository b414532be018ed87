"""The page about shrinking what an agent is granted, run from top to bottom on a real server."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator

import pytest

from answerable.sdk.keyfile import create_key
from tests.probes.demo_run import ROOT, blocks, environment, even, put_on_path, short_folder
from tests.stand_ins.postgres_server import PostgresServer
from tests.worlds.brokered import support_desk
from tests.worlds.postgres import furnished_server

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("RIGHTS-06", "DOCS-22")]

PAGE = (ROOT / "docs/how-to/shrink-what-an-agent-is-granted.md").read_text()
LEFT_OUT = "…"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with furnished_server() as running:
        yield running


async def test_the_commands_of_the_page_work_and_say_what_it_shows(tmp_path, server):
    with short_folder() as folder:
        async with support_desk(folder, server) as desk:
            key = create_key(folder / "scout.jwk", seed=os.urandom(32))
            await desk.instance(key)
            for _ in range(2):
                said = await desk.calls(key, "execute", "UPDATE support_messages SET body = 'x' WHERE id = 1")
                assert not said["result"]["isError"], said["text"]

            def run() -> subprocess.CompletedProcess[str]:
                return subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", "\n".join(blocks(PAGE, "bash"))],
                    cwd=folder,
                    env=environment(PATH=put_on_path(tmp_path / "bin"), ANSWERABLE_DATA=str(desk.home.data)),
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                )

            done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stdout + done.stderr
    output = even(done.stdout + done.stderr)
    for shown in blocks(PAGE, "console"):
        for piece in shown.split(f"\n{LEFT_OUT}\n"):
            assert even(piece) in output, (piece, done.stdout + done.stderr)
