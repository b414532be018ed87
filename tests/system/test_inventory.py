"""What is not registered, under the real `answerable up`: listed with who caused it, and refused meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from answerable.sdk.keyfile import create_key, public_jwk
from tests.system.test_agent_ends import lasting
from tests.system.test_sidecar_tasks import documents
from tests.worlds.up import WAIT_SECONDS_MAX, House, environment, house

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.requirement("LIFE-06"),
    pytest.mark.skipif(sys.platform != "linux", reason="the sidecar keeps its keys by Linux's means"),
]
OFFERED = "crm/note_add"
PROGRAM = os.path.realpath(sys.executable)


async def seen(home: House, *options: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    shown = json.loads(await asyncio.to_thread(home.command, "agent", "seen", *options, "--json"))
    return {(one["kind"], one["name"], one["source"]): one for one in shown}


async def listed(home: House, kind: str, source: str, name: str = "") -> dict[str, Any]:
    """The only one of a kind and source, or the one of this name, once it is there: it is written every few seconds."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            found = [
                one for place, one in (await seen(home)).items() if (place[0], place[2]) == (kind, source)
            ]
            if named := [one for one in found if not name or one["name"] == name]:
                return named[0]
            await asyncio.sleep(0.1)


async def test_what_is_offered_asked_for_configured_or_unknown_is_listed_and_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        keys = {name: create_key(tmp_path / f"{name}.jwk", seed=os.urandom(32)) for name in ("ada", "writer")}
        for name, key in keys.items():
            (tmp_path / f"{name}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        registered = documents(tmp_path)
        await asyncio.to_thread(home.apply, registered)
        # 1. A tool that the server offers; nobody has asked for it.
        one = await listed(home, "tool", "server crm", OFFERED)
        assert (one["grade"], one["how"], one["blocked"]) == ("gateway", "offered", "everywhere")
        # 2. Asked for, it is refused, and so is a server that nobody registered.
        issue = ("mandate", "issue", "two-cases", "--as", "ada", "--key", str(tmp_path / "ada.jwk"), "--yes")
        mandate = (await asyncio.to_thread(home.command, *issue)).strip()
        work = tmp_path / "work.json"
        work.write_text(json.dumps({"mandate": mandate, "key": json.loads(public_jwk(keys["writer"]))}))
        async with lasting(home, work, mandate) as agent:
            await agent.said()
            assert "Amara Okafor" in (await agent.asked("read 4711"))["text"]
            for line, code in (
                ("call crm note_add", "capability.unknown"),
                ("call shadow customer_read", "http.path"),
            ):
                answer = await agent.asked(line)
                assert f'"{code}"' in answer["text"], answer
        await listed(home, "tool", "agent scout", OFFERED)
        assert (await listed(home, "server", "agent scout", "shadow"))["how"] == "asked for"
        # 3. What a client of the project is set up to reach past the gateway: its word.
        project = tmp_path / "project"
        project.mkdir()
        shim = {"command": "answerable", "args": ["mcp", "shim", "crm"]}
        direct = {"command": "/usr/bin/npx", "args": ["mail-server", "--token", "secret-of-mail"]}
        (project / ".mcp.json").write_text(json.dumps({"mcpServers": {"crm": shim, "mail": direct}}))
        found = await seen(home, "--project", str(project), "--agent", "scout")
        claimed = found["server", "mail (npx)", "project of scout"]
        assert (claimed["grade"], claimed["blocked"]) == ("claimed", "here")
        assert not any("crm" in name for kind, name, source in found if source == "project of scout")
        assert "secret-of-mail" not in json.dumps([*found.values()])
        # 4. A program that is nobody, at both doors of identity.
        assert (await started(home))[0] == 0
        await asyncio.to_thread(home.apply, registered.replace(PROGRAM, "/nowhere"))
        assert (await started(home))[0] != 0
        me = await listed(home, "agent", "enrolment by unix")
        assert me["grade"] == "kernel"
        assert me["name"].startswith(f"uid {os.getuid()} sha256 ")
        # 5. Registered, a thing leaves.
        capability = next(one for one in registered.split("---\n") if "kind: Capability" in one)
        note = capability.replace("crm.customer-read", "crm.note-add").replace("customer_read", "note_add")
        await asyncio.to_thread(home.apply, note)
        left = await seen(home)
        assert not [place for place in left if place[1] == OFFERED]


async def started(home: House) -> tuple[int, str]:
    """A sidecar with an agent that ends at once."""
    done = await asyncio.to_thread(
        subprocess.run,
        home.line("agent", "up", "--agent", "scout", "--", "true"),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    return done.returncode, done.stderr
