"""A target behind the broker of the real server, and an agent that the kernel attests: a support database, or any."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from answerable.core.canonical import JSONValue
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.lease.name import account_of, lease_name
from answerable.core.ledger.tags import Tag
from answerable.sdk.keyfile import create_key, public_jwk
from tests.stand_ins.postgres_server import BROKER_PASSWORD, PostgresServer
from tests.worlds.mail import Mailbox
from tests.worlds.up import OWNERSHIP, SETTINGS, House, house, registry

TARGET = """\
kind = "postgres"
host = "127.0.0.1"
port = {port}
account = "answerable"
password = "file:password"
databases = ["prod"]
"""


def people() -> str:
    """Two people with keys, and an agent that is known by the program that it runs."""
    known = registry(scout=[[f"unix:uid:{os.getuid()}", f"unix:path:{os.path.realpath(sys.executable)}"]])
    for person, name in (("Ada", "ada"), ("Bela", "bela")):
        known = known.replace(
            f"{{displayName: {person}, groups: [leads]}}",
            f"{{displayName: {person}, groups: [leads], keyFile: {name}.pub.jwk}}",
        )
    return known


def documents() -> str:
    """What the agent may do in the database: read one case, answer it, and no more."""
    return f"{people()}{DOCUMENTS}"


DOCUMENTS = f"""---
apiVersion: answerable/v1
kind: Server
metadata: {{name: shop-db}}
spec: {{target: shop-db, vendor: elephants}}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: case.read}}
spec:
  server: shop-db
  target: query
  kind: read
  environment: production
  tier: 1
  sensitivity: confidential
  resource: {{type: Database, fixed: prod}}
  arguments: [{{name: sql, type: string, required: true}}]
  openMembers: [parameters]
  lease:
    grants:
      database: prod
      tables:
        - name: public.support_messages
          verbs: [select]
          columns: [id, case_id, body]
          rows: {{column: case_id, equals: case-1}}
  ownership: {OWNERSHIP}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: case.answer}}
spec:
  server: shop-db
  target: execute
  kind: write
  environment: production
  tier: 2
  sensitivity: confidential
  resource: {{type: Database, fixed: prod}}
  arguments: [{{name: sql, type: string, required: true}}]
  openMembers: [parameters]
  lease:
    window: task
    grants:
      database: prod
      tables:
        - {{name: public.support_messages, verbs: [select, insert, update]}}
  ownership: {OWNERSHIP}
---
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: support}}
spec:
  useCase: support
  agent: scout
  purpose: Answer case 1
  grants:
    - {{capability: case.read}}
    - {{capability: case.answer}}
  environment: production
  callsMax: 10000
  ttlSeconds: 3600
---
apiVersion: answerable/v1
kind: PolicySet
metadata: {{name: all}}
spec:
  policies: |
    @id("all")
    permit(principal, action, resource);
"""


ON_TARGET = """\
apiVersion: answerable/v1
kind: Server
metadata: {{name: target}}
spec: {{target: target}}
---
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: support}}
spec:
  useCase: support
  agent: scout
  purpose: Answer case 7
  grants: [{names}]
  environment: production
  callsMax: 1000
  ttlSeconds: 3600
---
apiVersion: answerable/v1
kind: PolicySet
metadata: {{name: all}}
spec:
  policies: |
    @id("all")
    permit(principal, action, resource);
"""


class Desk(Mailbox):
    """The house, and one server of its broker as the agent asks it."""

    async def agent(self) -> SigningKey:
        """Of an instance of the agent."""
        key = create_key(self.home.root / "scout.jwk", seed=os.urandom(32))
        await self.instance(key)
        return key

    async def does_call(self, key: SigningKey, tool: str, **arguments: Any) -> dict[str, Any]:
        """Once the broker is connected, which takes a moment after the start of the server."""
        for _ in range(900):
            said = await self.asked(key, "tools/call", tool, **arguments)
            if "upstream.unknown" not in said["text"] and "not connected" not in said["text"]:
                break
            await asyncio.sleep(0.1)
        return said

    async def leases(self, *which: str) -> Any:
        return await self.command("lease", "list", *which, "--json")

    async def ends_task(self) -> None:
        """Close the mandate, and wait until its leases are no more; whoever closes does not wait for targets."""
        await self.command("mandate", "close", self.mandate, "--yes")
        for _ in range(100):
            if not (open_ones := await self.leases()):
                return
        raise AssertionError(f"after the end of the task there is {open_ones}")

    async def told_of(self, name: str, state: str) -> list[dict[str, Any]]:
        """What the ledger says of a lease, once it says that it stands so."""
        for _ in range(400):
            told = [one for one in self.home.entries(Tag.LEASE) if one["lease"] == name]
            if told and told[-1]["state"] == state:
                return told
            await asyncio.sleep(0.1)
        raise AssertionError(f"the ledger never said that {name} is {state}")

    def of_action(self, action: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Intent and outcome, of a server that has stopped."""
        (intent,) = [one for one in self.home.entries(Tag.INTENT) if one["action"] == action]
        (outcome,) = [one for one in self.home.entries(Tag.OUTCOME) if one["action"] == action]
        return intent, outcome

    def action_of(self, said: dict[str, Any]) -> str:
        """The id of what was done."""
        return str(said["result"]["_meta"]["answerable/action"])

    def lease_of(self, said: dict[str, Any]) -> str:
        """The name of the lease that did it, for one action."""
        return lease_name(bytes.fromhex(self.action_of(said)))

    def account_of(self, said: dict[str, Any]) -> str:
        """As the target knows it."""
        return account_of(lease_name(bytes.fromhex(self.action_of(said))))

    def kept(self, name: str) -> str:
        """What is in a file beside the target's."""
        return (self.home.data / "broker/targets" / name).read_text()

    async def session_of(self, said: dict[str, Any]) -> dict[str, str]:
        """What the target called the session of this action, by the ledger. The lease has its name from the action, is
        told as used once and gone, and the timeline tells the same. The server has stopped afterwards."""
        action, name = self.action_of(said), self.lease_of(said)
        last = (await self.told_of(name, "ended"))[-1]
        assert (last["end"], last["uses"], last["account"]) == ("revoked", 1, self.account_of(said))
        lines = (await self.command("timeline", action, "--json"))["lines"]
        await self.home.stop(signal.SIGTERM)
        intent, outcome = self.of_action(action)
        assert intent["lease"] == name
        (ended,) = [one for one in lines if one["kind"] == "outcome"]
        told = {one for one in ended["details"] if one.startswith("session at the target: ")}
        session: dict[str, str] = outcome["session"]
        assert told == {f"session at the target: {kind} {key}" for kind, key in session.items()}
        assert [one["text"] for one in lines if one["kind"] == "lease"][-1].endswith("was revoked.")
        return session

    def shown(self, *kept: str) -> bytes:
        """All that was said and written but the files of these names, and the arguments of every process."""
        files = [one for one in self.home.data.rglob("*") if one.is_file() and one.name not in kept]
        shown = [self.home.said.encode(), *command_lines()]
        for one in files:
            # The log writes a checkpoint beside the last one and gives it that one's name.
            with contextlib.suppress(FileNotFoundError) if one.suffix == ".new" else contextlib.nullcontext():
                shown.append(one.read_bytes())
        return b"".join(shown)


class SupportDesk(Desk):
    """With a database behind it."""

    async def query(self, key: SigningKey, sql: str, *parameters: Any) -> dict[str, Any]:
        return await self.calls(key, "query", sql, *parameters)

    async def calls(self, key: SigningKey, tool: str, sql: str, *parameters: Any) -> dict[str, Any]:
        more = {"parameters": [*parameters]} if parameters else {}
        return await self.does_call(key, tool, sql=sql, **more)


async def eventually(found: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Wait, not for ever, for something at a target to become true."""
    for _ in range(600):
        if value := await found():
            return value
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def command_lines() -> dict[bytes, int]:
    """The words of every process on this machine, and its number."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found[place.read_bytes()] = int(place.parent.name)
    return found


@asynccontextmanager
async def brokered_house(
    root: Path,
    registry_documents: str,
    files: Mapping[str, str | bytes],
    *,
    more: str = "",
    before: Callable[[House], None] = lambda _: None,
) -> AsyncIterator[tuple[House, str]]:
    """A house whose broker has these files beside its targets, and the mandate that Ada gave by template `support`."""
    async with house(root, SETTINGS + more) as home:
        targets = home.data / "broker/targets"
        targets.mkdir(mode=0o700, parents=True)
        for name, content in files.items():
            # Written whole and for its owner alone, as a secret is to be.
            (targets / name).touch(mode=0o600)
            (targets / name).write_bytes(content.encode() if isinstance(content, str) else content)
        await asyncio.to_thread(before, home)
        for person in ("ada", "bela"):
            key = create_key(root / f"{person}.jwk", seed=os.urandom(32))
            (root / f"{person}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        await asyncio.to_thread(home.apply, registry_documents)
        issue = ("mandate", "issue", "support", "--as", "ada", "--key", str(root / "ada.jwk"), "--yes")
        yield home, (await asyncio.to_thread(home.command, *issue)).strip()


@asynccontextmanager
async def support_desk(
    root: Path,
    server: PostgresServer,
    *,
    target: str = TARGET,
    port: int = 0,
    known: str = "",
    more: str = "",
    before: Callable[[House], None] = lambda _: None,
) -> AsyncIterator[SupportDesk]:
    """port: by which the broker reaches the server, where not directly. known: documents in place of those of the desk.
    more: settings. target: its file. before: what is done to the house before anything of it runs."""
    files = {"shop-db.toml": target.format(port=port or server.port), "password": BROKER_PASSWORD}
    async with brokered_house(root, known or documents(), files, more=more, before=before) as found:
        yield SupportDesk(*found, "shop-db")


def capability(
    name: str, tool: str, kind: str, *, texts: Sequence[str], window: str = "action", **grants: JSONValue
) -> dict[str, Any]:
    """What the agent may do with a tool of the server `target`. texts: arguments that it needs."""
    spec = {
        "server": "target",
        "target": tool,
        "kind": kind,
        "environment": "production",
        "tier": 1,
        "sensitivity": "confidential",
        "resource": {"type": "Case", "fixed": "7"},
        "arguments": [{"name": one, "type": "string", "required": True} for one in texts],
        "lease": {"window": window, "grants": grants},
        "ownership": yaml.safe_load(OWNERSHIP),
    }
    return {"apiVersion": "answerable/v1", "kind": "Capability", "metadata": {"name": name}, "spec": spec}


@asynccontextmanager
async def desk_on(
    root: Path,
    *,
    target: str,
    secrets: Mapping[str, str | bytes],
    capabilities: Sequence[Mapping[str, Any]],
    before: Callable[[House], None] = lambda _: None,
) -> AsyncIterator[Desk]:
    """An agent that may do these things at one target. target: its file. secrets: files beside it. before: what is done
    to the house before anything of it runs."""
    names = ", ".join(f"{{capability: {one['metadata']['name']}}}" for one in capabilities)
    parts = [people(), ON_TARGET.format(names=names), *(yaml.safe_dump(one) for one in capabilities)]
    files = {"target.toml": target, **secrets}
    async with brokered_house(root, "\n---\n".join(parts), files, before=before) as found:
        yield Desk(*found, "target")
