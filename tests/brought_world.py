"""A house whose agents bring identities of others, a CRM behind its gateway, and a policy that asks how it is known."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from answerable.sdk.keyfile import create_key, public_jwk
from tests.demo_run import ROOT
from tests.up_world import OWNERSHIP, WAIT_SECONDS_MAX, House, environment, registry

ACTING = ROOT / "tests/system/acting_agent.py"
POLICIES = """\
    @id("reads")
    permit(principal, action in Action::"read", resource)
    when { context.agent.grade == "gateway" };
    @id("notes")
    permit(principal, action in Action::"write", resource);
    @id("notes-of-the-vouched-for")
    @reason("only who a trust domain vouches for writes notes")
    forbid(principal, action in Action::"write", resource)
    unless { context.agent.source == "spiffe" && context.agent.grade == "gateway" };
"""


def documents(place: Path, **attestation: list[list[str]]) -> str:
    """A CRM with a reading and a writing tool, Ada with a key, and one mandate template for each agent."""
    ada = place / "ada.jwk"
    if not ada.exists():
        (place / "ada.pub.jwk").write_text(public_jwk(create_key(ada, seed=os.urandom(32))))
    crm = json.dumps([str(ROOT / "examples/servers/crm.py"), "--database", str(place / "crm.db")])
    people = registry(**attestation).replace(
        "{displayName: Ada, groups: [leads]}", "{displayName: Ada, groups: [leads], keyFile: ada.pub.jwk}"
    )
    more = [
        f"""\
apiVersion: answerable/v1
kind: Server
metadata: {{name: crm}}
spec: {{command: {json.dumps(sys.executable)}, args: {crm}}}
"""
    ]
    for tool, kind, text in (
        ("customer_read", "read", ""),
        ("note_add", "write", ", {name: text, type: string}"),
    ):
        more.append(f"""\
apiVersion: answerable/v1
kind: Capability
metadata: {{name: crm.{tool.replace("_", "-")}}}
spec:
  server: crm
  target: {tool}
  kind: {kind}
  environment: production
  tier: 1
  sensitivity: internal
  resource: {{type: Case, argument: case_id}}
  arguments: [{{name: case_id, type: string, required: true}}{text}]
  ownership: {OWNERSHIP}
""")
    for agent in attestation:
        more.append(f"""\
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: for-{agent}}}
spec:
  useCase: support
  agent: {agent}
  purpose: Work on a case
  grants: [{{capability: crm.customer-read, resources: ["4711"]}}, {{capability: crm.note-add, resources: ["4711"]}}]
  environment: production
  callsMax: 10
  ttlSeconds: 600
""")
    more.append(f"""\
apiVersion: answerable/v1
kind: PolicySet
metadata: {{name: how-known}}
spec:
  policies: |
{POLICIES}""")
    return "---\n".join((people, *more))


async def mandate_for(home: House, agent: str) -> str:
    await home.serving()
    issue = ("mandate", "issue", f"for-{agent}", "--as", "ada", "--key", str(home.root / "ada.jwk"), "--yes")
    return (await asyncio.to_thread(home.command, *issue)).strip()


async def acted(home: House, agent: str, *shown: str, gateway: str = "") -> dict[str, Any]:
    """What the agent said of a run under `agent up`: who it was, what it read and wrote, and its sub-agent."""
    mandate = await mandate_for(home, agent)
    where = ("--gateway", gateway or f"unix:{home.data / 'gateway.sock'}", "--mandate", mandate)
    line = home.line("agent", "up", "--agent", agent, *where, *shown, "--", sys.executable, str(ACTING))
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
    told: dict[str, Any] = json.loads(done.stdout)
    return told | {"mandate": mandate}
