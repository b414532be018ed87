"""The example of a change-management system as a real program, beside the real server and a real tool."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from answerable.core.canonical import parse
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key
from answerable.testing.samples import OWNERSHIP, document, signing_key
from tests.worlds.gateway import registry
from tests.worlds.mandate import changed
from tests.worlds.up import SETTINGS, WAIT_SECONDS_MAX, House, environment, house, until
from tests.worlds.workflow_tasks import MANDATE, give_task, noted

pytestmark = pytest.mark.anyio
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "workflows" / "change_check.py"
ALLOWED = SETTINGS.replace(
    "[walk]", '[walk]\nworkflows = ["allowed", "allowed", "allowed", "refused"]'
).replace("[gateway]", "[gateway]\napproval_wait_seconds = 1")
RELEASED = {"id": "CHG-1042", "capability": "crm.note", "arguments": {"case_id": "4711", "text": "moved"}}


def documents(root: Path, jwk: Any) -> str:
    """Notes wait for the change check, which runs as this very user; agents are known by keys."""
    spec = {
        "purpose": "Look the change up among the released ones",
        "ai": False,
        "groups": ["changes"],
        "capabilities": ["crm.note"],
        "tierMax": 2,
        "keys": [jwk],
        "attestation": [[f"unix:uid:{os.getuid()}"]],
        "ownership": {**OWNERSHIP, "owner": "erin", "backupOwner": "frank"},
    }
    people = [
        document("Principal", name, {"keys": [parse(signing_key(name).public.jwk.encode())]})
        for name in ("erin", "frank")
    ]
    found = [*registry(root, ["crm"]), *people, document("Workflow", "change-check", spec)]
    found = changed(found, "Capability", "crm.note", unhinted="accepted")
    return yaml.safe_dump_all(found, sort_keys=False).replace("approvers:1", "changes:1")


@contextlib.asynccontextmanager
async def checking(home: House, key: Path, changes: Path) -> AsyncIterator[Path]:
    """The program as people run it; what it writes."""
    said = home.root / "check-said"
    with said.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once, and runs until the end
            [
                sys.executable, str(EXAMPLE), "--gateway", f"unix:{home.data / 'gateway.sock'}",
                "--name", "change-check", "--key", str(key), "--changes", str(changes),
            ],
            stdout=out,
            stderr=out,
            env=environment(),
        )  # fmt: skip
    try:
        yield said
    finally:
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait, WAIT_SECONDS_MAX)


@pytest.mark.requirement("WORKFLOW-08")
async def test_a_program_approves_what_its_list_has_exactly_and_denies_the_rest(tmp_path: Path):
    async with house(tmp_path, ALLOWED) as home:
        key = tmp_path / "check.jwk"
        made = create_key(key, seed=b"\7" * 32)
        changes = tmp_path / "changes.json"
        changes.write_text(json.dumps({"changes": [RELEASED]}))
        await home.start()
        home.apply(documents(tmp_path, parse(made.public.jwk.encode())))
        await home.serving()
        await give_task(home)
        for text in ("moved", "moved twice"):
            assert "approval" in await noted(home, text)
        async with checking(home, key, changes) as said:
            await until(lambda: said.read_text().count(", now ") == 2, "both answers")
        assert "change CHG-1042, now approved" in said.read_text()
        assert "no released change says this, now denied" in said.read_text()
        assert "note_id" in await noted(home, "moved")
        shown = {one["state"]: one for one in _approvals(home)}
        assert set(shown) == {"used", "denied"}
        (answer,) = shown["used"]["answers"]
        assert (answer["by"], answer["workflow"]) == ("erin", "change-check")
        assert "Workflow change-check of erin approved" in home.command("timeline", MANDATE)


@pytest.mark.requirement("WORKFLOW-04")
async def test_the_door_gives_nothing_to_who_is_no_workflow(tmp_path: Path):
    """A process of another user is nobody over the socket, and so is a connection without a certificate."""
    async with house(tmp_path, ALLOWED) as home:
        await home.start()
        home.apply(documents(tmp_path, parse(signing_key("check").public.jwk.encode())).replace(
            f"unix:uid:{os.getuid()}", "unix:uid:4242"
        ))  # fmt: skip
        client, base = open_client(f"unix:{home.data / 'gateway.sock'}")
        async with client, httpx2.AsyncClient() as plain:
            over_socket = await client.get(f"{base}/workflow/v1/approvals")
            over_tcp = await plain.get(f"{home.tcp}/workflow/v1/approvals")
        assert (over_socket.status_code, over_socket.json()["code"]) == (403, "workflow.unattested")
        assert (over_tcp.status_code, over_tcp.json()["code"]) == (401, "workflow.channel")


def _approvals(home: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(home.command("approval", "list", "--state", "all", "--json"))
    return found
