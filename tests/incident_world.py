"""Incidents that happened, replayed: documents in few words, and an agent that plays a list of calls."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from answerable.core.identity.keys import SigningKey
from answerable.sdk.keyfile import create_key
from tests.brokered_world import documents
from tests.mail_world import Mailbox

OWNERSHIP = {
    "owner": "ada",
    "backupOwner": "bela",
    "approverGroup": "leads",
    "auditLevel": "full",
    "reviewDate": "2099-01-01",
}
SQL = [{"name": "sql", "type": "string", "required": True}]
ALL = '@id("all")\npermit(principal, action, resource);\n'


def people() -> str:
    """Ada and Bela with keys, the use case, and the agent scout, which the kernel attests."""
    return documents().partition("---\napiVersion: answerable/v1\nkind: Server\n")[0]


def document(what: str, name: str, /, **spec: Any) -> str:
    """One of the registry; JSON is YAML."""
    one = {"apiVersion": "answerable/v1", "kind": what, "metadata": {"name": name}, "spec": spec}
    return f"---\n{json.dumps(one, indent=1)}\n"


def capability(name: str, server: str, target: str, /, **spec: Any) -> str:
    """On production and confidential, unless it says otherwise."""
    given = {"environment": "production", "tier": 1, "sensitivity": "confidential", "ownership": OWNERSHIP}
    return document("Capability", name, **(given | {"server": server, "target": target} | spec))


def on_database(name: str, tool: str, kind: str, /, *tables: Any, **spec: Any) -> str:
    """SQL on `prod` with these grants."""
    window = {} if tool == "query" else {"window": "task"}
    given = {
        "kind": kind,
        "resource": {"type": "Database", "fixed": "prod"},
        "arguments": SQL,
        "openMembers": ["parameters"],
        "lease": {"grants": {"database": "prod", "tables": list(tables)}, **window},
    }
    return capability(name, "shop-db", tool, **(given | spec))


def template(*capabilities: str, **spec: Any) -> str:
    """What Ada issues to scout."""
    given = {
        "useCase": "support",
        "agent": "scout",
        "purpose": "Answer case 1",
        "grants": [{"capability": name} for name in capabilities],
        "environment": "production",
        "callsMax": 10_000,
        "ttlSeconds": 3_600,
    }
    return document("MandateTemplate", "support", **(given | spec))


async def an_agent(desk: Mailbox, name: str = "scout") -> SigningKey:
    """An instance with a key of its own."""
    key = create_key(desk.home.root / f"{name}.jwk", seed=os.urandom(32))
    await desk.instance(key)
    await served(desk, key)
    return key


async def served(desk: Mailbox, key: SigningKey) -> None:
    """Wait until the broker is connected, so that what is on record is what the agent did and not how it waited."""
    for _ in range(300):
        found = await desk.asked(key, "tools/list")
        if found.get("result", {}).get("tools"):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(found["text"])


def was_done(said: dict[str, Any]) -> bool:
    """Whether an answer says that the tool did it."""
    return said["status"] == 200 and "error" not in said and not said["result"].get("isError", False)


def files_of(folder: Path) -> dict[Path, bytes]:
    """Everything in it, without the zeros of what is not used yet."""
    return {one: one.read_bytes().translate(None, b"\0") for one in folder.rglob("*") if one.is_file()}
