"""A support database behind the broker of the real server, and an agent that the kernel attests."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from answerable.core.identity.keys import SigningKey
from answerable.sdk.keyfile import create_key, public_jwk
from tests.mail_world import Mailbox
from tests.postgres_server import BROKER_PASSWORD, PostgresServer
from tests.up_world import OWNERSHIP, SETTINGS, House, house, registry

TARGET = """\
kind = "postgres"
host = "127.0.0.1"
port = {port}
account = "answerable"
password = "file:password"
databases = ["prod"]
"""


def documents() -> str:
    """Two people with keys, an agent, and what it may do in the database: read one case, answer it, and no more."""
    known = registry(scout=[[f"unix:path:{os.path.realpath(sys.executable)}"]])
    for person, name in (("Ada", "ada"), ("Bela", "bela")):
        known = known.replace(
            f"{{displayName: {person}, groups: [leads]}}",
            f"{{displayName: {person}, groups: [leads], keyFile: {name}.pub.jwk}}",
        )
    return f"{known}{DOCUMENTS}"


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


class SupportDesk(Mailbox):
    """The house, with a broker and a database."""

    async def query(self, key: SigningKey, sql: str, *parameters: Any) -> dict[str, Any]:
        return await self.calls(key, "query", sql, *parameters)

    async def calls(self, key: SigningKey, tool: str, sql: str, *parameters: Any) -> dict[str, Any]:
        """Once the broker is connected, which takes a moment after the start of the server."""
        more = {"parameters": [*parameters]} if parameters else {}
        for _ in range(300):
            said = await self.asked(key, "tools/call", tool, sql=sql, **more)  # type: ignore[arg-type]
            if "upstream.unknown" not in said["text"] and "not connected" not in said["text"]:
                break
            await asyncio.sleep(0.1)
        return said

    async def leases(self, *which: str) -> Any:
        return await self.command("lease", "list", *which, "--json")


@asynccontextmanager
async def support_desk(
    root: Path,
    server: PostgresServer,
    *,
    target: str = TARGET,
    before: Callable[[House], None] = lambda _: None,
) -> AsyncIterator[SupportDesk]:
    """target: its file. before: what is done to the house before anything of it runs."""
    async with house(root, SETTINGS) as home:
        targets = home.data / "broker/targets"
        targets.mkdir(mode=0o700, parents=True)
        (targets / "shop-db.toml").write_text(target.format(port=server.port))
        (targets / "password").write_text(BROKER_PASSWORD)
        await asyncio.to_thread(before, home)
        for person in ("ada", "bela"):
            key = create_key(root / f"{person}.jwk", seed=os.urandom(32))
            (root / f"{person}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        await asyncio.to_thread(home.apply, documents())
        issue = ("mandate", "issue", "support", "--as", "ada", "--key", str(root / "ada.jwk"), "--yes")
        mandate = (await asyncio.to_thread(home.command, *issue)).strip()
        yield SupportDesk(home, mandate, "shop-db")
