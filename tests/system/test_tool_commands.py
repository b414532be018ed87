"""`answerable tool` and `answerable capability propose`, as people run them, in front of a real MCP server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from answerable.core.ledger.tags import Tag
from answerable.sdk.keyfile import create_key, public_jwk
from tests.probes.demo_run import ROOT, short_folder
from tests.worlds.up import House, environment, house, until

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("TOOL-10")]

SETTINGS = "[gateway]\nport = 0\n[ledger]\nseal_seconds = 1\n"
DOCUMENTS = """\
apiVersion: answerable/v1
kind: Principal
metadata: {{name: ada}}
spec: {{displayName: Ada, groups: [leads], keyFile: ada.pub.jwk}}
---
apiVersion: answerable/v1
kind: Principal
metadata: {{name: bela}}
spec: {{displayName: Bela, groups: [leads], keyFile: bela.pub.jwk}}
---
apiVersion: answerable/v1
kind: Server
metadata: {{name: crm}}
spec: {{command: {python}, args: [{server}, --database, {database}]}}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: crm.customer-read}}
spec:
  server: crm
  target: customer_read
  kind: read
  environment: production
  tier: 1
  sensitivity: confidential
  resource: {{type: Case, argument: case_id}}
  arguments: [{{name: case_id, type: string, required: true}}]
  ownership: {{owner: ada, backupOwner: bela, approverGroup: leads, auditLevel: full, reviewDate: '2099-01-01'}}
"""


def founded(one: House) -> dict[str, Path]:
    """Keys of Ada, Bela and a stranger, and documents."""
    keys = {name: one.root / f"{name}.jwk" for name in ("ada", "bela", "eve")}
    for name, path in keys.items():
        (one.root / f"{name}.pub.jwk").write_text(public_jwk(create_key(path, seed=os.urandom(32))))
    one.apply(
        DOCUMENTS.format(
            python=sys.executable, server=ROOT / "examples/servers/crm.py", database=one.root / "crm.db"
        )
    )
    return keys


def tools(one: House, code: int) -> dict[str, Any]:
    """By name. A failing command tells the same on standard output, which `command` does not return."""
    done = subprocess.run(
        one.line("tool", "list", "crm", "--json"),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=90,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return {tool["name"]: tool for tool in json.loads(done.stdout)}


async def test_an_owner_reads_approves_and_registers_tools_at_the_command_line():
    with short_folder() as root:
        async with house(root, SETTINGS) as one:
            keys = founded(one)
            await one.start()
            await until(lambda: " up" in one.command("server", "list"), "the CRM")
            found = tools(one, 5)
            assert {name: tool["standing"] for name, tool in found.items()} == {
                "customer_read": "new",
                "case_list": "unregistered",
                "note_add": "unregistered",
            }
            # Who does not own it cannot let it through; nothing is signed for another definition than was looked at.
            approve = ("tool", "approve", "crm", "customer_read", "--yes", "--key")
            assert "nobody has registered this key" in one.command(*approve, str(keys["eve"]), code=1)
            stranger = one.command(*approve, str(keys["eve"]), "--as", "ada", code=3)
            assert "key" in stranger
            other = one.command(*approve, str(keys["ada"]), "--definition", "0" * 64, code=3)
            assert "has definition" in other
            told = one.command(*approve, str(keys["bela"]), "--definition", found["customer_read"]["offered"])
            assert "* argument `/case_id`, string, needed" in told
            assert "! " not in told
            assert '+        "readOnlyHint": true' in told
            assert tools(one, 0)["customer_read"]["standing"] == "pinned"
            assert "no difference from the approved definition" in one.command(
                "tool", "diff", "crm", "customer_read"
            )
            # The rest is proposed, corrected and applied; what nobody answers for stays inactive.
            proposed = one.command("capability", "propose", "crm")
            documents = [document for document in yaml.safe_load_all(proposed) if document]
            assert {document["metadata"]["name"] for document in documents} == {
                "crm.case-list",
                "crm.note-add",
            }
            assert "# review: ownership is missing" in proposed
            (one.root / "proposed.yaml").write_text(proposed)
            applied = one.command("apply", "-f", str(one.root / "proposed.yaml"))
            assert "Capability/crm.note-add" in applied
            assert tools(one, 5)["note_add"]["standing"] == "new"
            assert "`answerable tool diff crm note_add`" in await until(lambda: waits(one), "word of it")
            (leaf,) = await sealed(one)
            assert (leaf["tool"], leaf["source"]) == ("customer_read", "owner")


def waits(one: House) -> str:
    """What the server says of tools that wait, once it does."""
    return one.said if "tool `note_add` of server `crm` is not approved yet" in one.said else ""


async def sealed(one: House) -> list[dict[str, Any]]:
    """The pins of the ledger, once they are published."""
    one.command("ledger", "seal")
    return one.entries(Tag.TOOL_PINNED)
