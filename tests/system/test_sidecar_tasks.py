"""Tasks and handing on under `answerable agent up`: the agent has names, its sidecar has the tokens."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from answerable.core.identity.keys.keys import public_key
from answerable.sdk.delegation import Narrowing, Receiver, hand_on, token_for
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key, public_jwk
from answerable.sdk.proof_auth import SignatureAuth
from tests.probes.demo_run import ROOT
from tests.worlds.gateway import until
from tests.worlds.up import OWNERSHIP, WAIT_SECONDS_MAX, House, environment, house, registry

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.identity.keys.keys import SigningKey

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the sidecar keeps its keys by Linux's means"),
]
RECEIVING = ROOT / "tests/system/receiving_agent.py"
TASKING = ROOT / "tests/system/tasking_agent.py"
JWS = re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.")


def documents(place: Path, *, tier: int = 1, giver: str = "scout", taker: str = "writer") -> str:
    """A CRM, a person with a key, an agent that is attested, and one with a key to which may be handed on."""
    crm = json.dumps([str(ROOT / "examples/servers/crm.py"), "--database", str(place / "crm.db")])
    known = registry(scout=[[f"unix:uid:{os.getuid()}", f"unix:path:{os.path.realpath(sys.executable)}"]])
    known = known.replace(
        "{displayName: Ada, groups: [leads]}", "{displayName: Ada, groups: [leads], keyFile: ada.pub.jwk}"
    )
    return f"""{known}---
apiVersion: answerable/v1
kind: Agent
metadata: {{name: writer}}
spec:
  useCase: support
  environment: production
  keyFile: writer.pub.jwk
  ownership: {OWNERSHIP}
---
apiVersion: answerable/v1
kind: Server
metadata: {{name: crm}}
spec: {{command: {json.dumps(sys.executable)}, args: {crm}}}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: crm.customer-read}}
spec:
  server: crm
  target: customer_read
  kind: read
  environment: production
  tier: {tier}
  sensitivity: internal
  resource: {{type: Case, argument: case_id}}
  arguments: [{{name: case_id, type: string, required: true}}]
  ownership: {OWNERSHIP}
---
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: two-cases}}
spec:
  useCase: support
  agent: {giver}
  purpose: Read two cases
  grants: [{{capability: crm.customer-read, resources: ["4711", "4712"]}}]
  delegation: {{depthMax: 1, widthMax: 1, agents: [{taker}]}}
  environment: production
  callsMax: 10
  ttlSeconds: 600
---
apiVersion: answerable/v1
kind: PolicySet
metadata: {{name: all}}
spec:
  policies: |
    @id("reads")
    permit(principal, action in Action::"read", resource);
"""


async def worked(home: House, key: SigningKey) -> dict[str, Any]:
    """What the agent said, after a run under its sidecar."""
    issue = ("mandate", "issue", "two-cases", "--as", "ada", "--key", str(home.root / "ada.jwk"), "--yes")
    mandate = (await asyncio.to_thread(home.command, *issue)).strip()
    work = home.root / "work.json"
    work.write_text(json.dumps({"mandate": mandate, "key": json.loads(public_jwk(key))}))
    gateway = f"unix:{home.data / 'gateway.sock'}"
    line = home.line(
        *("agent", "up", "--agent", "scout", "--gateway", gateway, "--mandate", "of-nobody"),
        *("--", sys.executable, str(TASKING), str(work)),
    )
    done = await asyncio.to_thread(
        subprocess.run,
        line,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr + home.said
    said: dict[str, Any] = json.loads(done.stdout)
    return said | {"mandate": mandate}


async def read_by_writer(home: House, key: SigningKey, chain: str, case: str) -> str:
    """One call of the receiver, under what was handed on to it, with its own key."""
    client, base = open_client(f"unix:{home.data / 'gateway.sock'}", SignatureAuth(key))
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "w", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "customer_read", "arguments": {"case_id": case}, "_meta": meta},
    }
    fields = {
        "accept": "application/json, text/event-stream",
        "answerable-delegation": chain,
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "customer_read",
    }
    async with client:
        answer: httpx2.Response = await client.post(f"{base}/mcp/crm", json=message, headers=fields)
    return answer.text


@pytest.mark.requirement("HAND-03", "HAND-04", "HAND-05", "ACTING-03")
async def test_an_agent_works_and_hands_on_by_names_and_its_sidecar_keeps_the_tokens(tmp_path: Path):
    async with house(tmp_path) as home:
        keys = {name: create_key(tmp_path / f"{name}.jwk", seed=os.urandom(32)) for name in ("ada", "writer")}
        for name, key in keys.items():
            (tmp_path / f"{name}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        await asyncio.to_thread(home.apply, documents(tmp_path))
        await home.serving()
        said = await worked(home, keys["writer"])
        assert said["read"]["name"] == "Amara Okafor"
        assert (said["task"]["mandate"], said["task"]["depth"]) == (said["mandate"], 0)
        assert said["tasks"]["tasks"] == [said["task"]]
        assert not JWS.search(json.dumps([said["task"], said["tasks"]])), "names alone, and no token"
        assert said["forgotten"] == {"forgotten": "cases"}
        *arrived, forgotten = said["arrived"]
        assert [(one["name"], one["depth"]) for one in arrived] == [("back", 1)] * 2, (
            "as a2a or a broker brings it"
        )
        assert forgotten == {"forgotten": "back"}
        assert not JWS.search(json.dumps(arrived))
        assert said["refused"] == [
            [403, "delegation.not_narrower"],
            [400, "sidecar.members"],
            [400, "delegation.lifetime"],
            [400, "sidecar.members"],
            [403, "sidecar.task"],
            [403, "sidecar.delegation"],
            [403, "sidecar.delegation"],
            [403, "sidecar.delegation"],
            [403, "delegation.missing"],
            [400, "delegation.carriage"],
            [400, "sidecar.members"],
            [403, "token.refused"],
            [400, "sidecar.task_name"],
            [400, "sidecar.path"],
        ]
        statuses = [status for status, _ in (*said["messages"], said["after"])]
        assert statuses == [403, 403, 400, 403]
        assert not any(JWS.search(text) for _, text in (*said["messages"], said["after"]))
        chain = said["handed"]["delegation"]
        assert "Amara Okafor" in await read_by_writer(home, keys["writer"], chain, "4711")
        denied = await read_by_writer(home, keys["writer"], chain, "4712")
        assert "(hop 1 of 1)" in denied
        assert "Jonas" not in denied
        tree = json.loads(await asyncio.to_thread(home.command, "mandate", "tree", said["mandate"], "--json"))
        assert [(one["agent"], one["form"], one["actions"]["done"]) for one in tree["hops"]] == [
            # What it did itself it did under its mandate, by its key alone.
            ("scout", "online", 0),
            ("writer", "offline", 1),
        ]
        assert tree["hops"][1]["actions"]["refused"] == 1


async def handed_to(home: House, place: Path, key: SigningKey, mandate: str) -> None:
    """The writer hands its task on to the instance that tells its key there."""
    await until((place / "key.jwk").exists, seconds=WAIT_SECONDS_MAX)
    receiver = Receiver(agent="scout", key=public_key(json.loads((place / "key.jwk").read_text())))
    client, base = open_client(f"unix:{home.data / 'gateway.sock'}", SignatureAuth(key))
    async with client:
        root = await token_for(client, base, mandate=mandate, auth=key)
    (place / "chain.new").write_text(hand_on(root, receiver, Narrowing(), key=key))
    (place / "chain.new").rename(place / "chain")


@pytest.mark.requirement("ACTING-03")
async def test_a_sidecar_gets_a_token_for_each_action_where_the_tier_lets_none_act_twice(tmp_path: Path):
    async with house(tmp_path) as home:
        keys = {name: create_key(tmp_path / f"{name}.jwk", seed=os.urandom(32)) for name in ("ada", "writer")}
        for name, key in keys.items():
            (tmp_path / f"{name}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        await asyncio.to_thread(home.apply, documents(tmp_path, tier=3, giver="writer", taker="scout"))
        await home.serving()
        issue = ("mandate", "issue", "two-cases", "--as", "ada", "--key", str(home.root / "ada.jwk"), "--yes")
        mandate = (await asyncio.to_thread(home.command, *issue)).strip()
        place = tmp_path / "handed"
        place.mkdir()
        line = home.line(
            *("agent", "up", "--agent", "scout", "--gateway", f"unix:{home.data / 'gateway.sock'}"),
            *("--", sys.executable, str(RECEIVING), str(place)),
        )
        running = asyncio.create_task(
            asyncio.to_thread(
                subprocess.run, line, capture_output=True, text=True, env=environment(),
                timeout=WAIT_SECONDS_MAX, check=False,
            )
        )  # fmt: skip
        await asyncio.wait_for(handed_to(home, place, keys["writer"], mandate), WAIT_SECONDS_MAX)
        done = await running
        assert done.returncode == 0, done.stderr + home.said
        said = json.loads(done.stdout)
        assert "customer_read" in said["tools"]
        assert [one["name"] for one in said["read"]] == ["Amara Okafor"] * 3
        tree = json.loads(await asyncio.to_thread(home.command, "mandate", "tree", mandate, "--json"))
        acted = [one for one in tree["hops"] if one["agent"] == "scout" and one["actions"]["done"]]
        assert [one["actions"]["done"] for one in acted] == [1, 1, 1], "each by a token of its own"
