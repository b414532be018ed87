"""Incidents that happened, replayed: documents in few words, and an agent that plays a list of calls."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answerable.core.identity.keys.keys import SigningKey
from answerable.sdk.keyfile import create_key, public_jwk
from tests.stand_ins.authorization_server import OPAQUE, AuthorizationServer
from tests.stand_ins.resource_server import ResourceServer
from tests.worlds.brokered import Desk, documents
from tests.worlds.mail import Mailbox
from tests.worlds.up import SETTINGS, House, house

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
    """What Ada issues to scout, unless it says otherwise. name: of the template."""
    name = spec.pop("name", "support")
    given = {
        "useCase": "support",
        "agent": "scout",
        "purpose": "Answer case 1",
        "grants": [{"capability": name} for name in capabilities],
        "environment": "production",
        "callsMax": 10_000,
        "ttlSeconds": 3_600,
    }
    return document("MandateTemplate", name, **(given | spec))


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


async def answered(desk: Mailbox, verb: str, approval: str, *, code: int = 0) -> None:
    """Bela approves or denies. code: what the command exits with."""
    key = str(desk.home.root / "bela.jwk")
    name = (await desk.told(f"/v1/approvals/{approval}"))["name_to_type"] if verb == "approve" else ""
    typed = ("--typed", name) if name else ()
    await asyncio.to_thread(
        desk.home.command,
        "approval",
        verb,
        approval,
        "--as",
        "bela",
        "--key",
        key,
        "--yes",
        *typed,
        code=code,
    )


async def pending(desk: Mailbox) -> list[Any]:
    """Approvals that wait for people."""
    return list((await desk.told("/v1/approvals?state=pending"))["items"])


def was_done(said: dict[str, Any]) -> bool:
    """Whether an answer says that the tool did it."""
    return said["status"] == 200 and "error" not in said and not said["result"].get("isError", False)


def files_of(folder: Path) -> dict[Path, bytes]:
    """Everything in it, without the zeros of what is not used yet."""
    return {one: one.read_bytes().translate(None, b"\0") for one in folder.rglob("*") if one.is_file()}


@dataclass
class Incident:
    """home: the server. mandate: of scout."""

    home: House
    mandate: str

    def desk(self, server: str) -> Desk:
        """One of the servers, as an agent asks it."""
        return Desk(self.home, self.mandate, server)


@asynccontextmanager
async def incident(root: Path, targets: Mapping[str, str], known: str) -> AsyncIterator[Incident]:
    """The house with these files among the targets of its broker, and a mandate of Ada's."""
    async with house(root, SETTINGS) as home:
        folder = home.data / "broker/targets"
        folder.mkdir(mode=0o700, parents=True)
        for name, text in targets.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        for person in ("ada", "bela"):
            key = create_key(root / f"{person}.jwk", seed=os.urandom(32))
            (root / f"{person}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        await asyncio.to_thread(home.apply, known)
        yield Incident(home, await issued(home))


async def issued(home: House, name: str = "support") -> str:
    """A mandate of Ada's, by its template."""
    issue = ("mandate", "issue", name, "--as", "ada", "--key", str(home.root / "ada.jwk"), "--yes")
    return (await asyncio.to_thread(home.command, *issue)).strip()


def on_api(name: str, server: str, tool: str, kind: str, /, *requests: Any, **spec: Any) -> str:
    """Requests to an API, each let through by one of these rules. scopes: of the token."""
    scopes = spec.pop("scopes", ["read:case"])
    given = {
        "kind": kind,
        "resource": {"type": "Path", "argument": "path"},
        "arguments": [{"name": "path", "type": "string", "required": True}],
        "openMembers": ["method", "query", "headers"],
        "lease": {"grants": {"scopes": scopes, "resource": [OPAQUE], "requests": list(requests)}},
    }
    return capability(name, server, tool, **(given | spec))


def asking_api(api: ResourceServer, login: AuthorizationServer, **more: Any) -> str:
    """The target file of an API that asks its authorization server about every token."""
    given = {
        "kind": "http",
        "base_url": api.url,
        "auth": "client_credentials",
        "token_url": login.token_url,
        "revocation_url": login.revocation_url,
        "introspection_url": login.introspection_url,
        "is_introspected": True,
        "client_id": "broker",
        "secret": "file:client-secret",
        **more,
    }
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items())
