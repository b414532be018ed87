"""A mailbox behind the real server, an agent that the kernel attests, and what it may do and try."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from answerable.api.hold_answers import Hold
from answerable.apps.cli.holds import hold_in
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.errors import Refused, Unverified
from answerable.sdk.enrolment import EnrolmentClient
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key, load_key, public_jwk
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.signing import signed_lift
from answerable.wiring.settings import load_settings
from tests.probes.demo_run import ROOT
from tests.worlds.call_meta import META
from tests.worlds.up import OWNERSHIP, House, house, registry

MAIL = ROOT / "tests/system/mail_upstream.py"
UNIX = {"type": "unix"}


def documents(place: Path) -> str:
    """A mailbox, two people with keys, and an agent that is known by the program that it runs."""
    known = registry(scout=[[f"unix:uid:{os.getuid()}", f"unix:path:{os.path.realpath(sys.executable)}"]])
    for person, name in (("Ada", "ada"), ("Bela", "bela")):
        known = known.replace(
            f"{{displayName: {person}, groups: [leads]}}",
            f"{{displayName: {person}, groups: [leads], keyFile: {name}.pub.jwk}}",
        )
    mail = json.dumps([str(MAIL), str(place / "book")])
    return f"""{known}---
apiVersion: answerable/v1
kind: Server
metadata: {{name: mail}}
spec: {{command: {json.dumps(sys.executable)}, args: {mail}}}
{"".join(_tool(name) for name in ("delete", "purge", "empty"))}---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: mail.box}}
spec:
  server: mail
  method: resources/read
  target: "mail://box"
  kind: read
  environment: production
  tier: 1
  sensitivity: internal
  resource: {{type: Box, fixed: box}}
  ownership: {OWNERSHIP}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: mail.tidy}}
spec:
  server: mail
  method: prompts/get
  target: tidy
  kind: read
  environment: production
  tier: 1
  sensitivity: internal
  resource: {{type: Box, fixed: box}}
  ownership: {OWNERSHIP}
---
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: tidy}}
spec:
  useCase: support
  agent: scout
  purpose: Tidy the inbox
  grants:
{"".join(f"    - {{capability: mail.{name}}}{chr(10)}" for name in ("delete", "purge", "empty", "box", "tidy"))}\
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

    @id("empty-needs-one")
    @reason("somebody must agree to that")
    @approve("leads:1")
    forbid(principal, action == Action::"mail.empty", resource);
"""


def _tool(name: str) -> str:
    return f"""---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: mail.{name}}}
spec:
  server: mail
  target: mail_{name}
  kind: delete
  environment: production
  tier: 1
  sensitivity: internal
  resource: {{type: Mail, argument: which}}
  arguments: [{{name: which, type: string, required: true}}]
  ownership: {OWNERSHIP}
"""


@dataclass
class Mailbox:
    """The house, the mandate of its agent, and the book that the mailbox keeps."""

    home: House
    mandate: str
    server: str = "mail"

    @property
    def gateway(self) -> str:
        return f"unix:{self.home.data / 'gateway.sock'}"

    @property
    def book(self) -> list[str]:
        book = self.home.root / "book"
        return book.read_text().splitlines() if book.exists() else []

    @property
    def deleted(self) -> list[str]:
        """What the mailbox was told to delete, as it wrote it down."""
        return [line for line in self.book if line.startswith("began mail_delete")]

    async def command(self, *arguments: str, code: int = 0) -> Any:
        said = await asyncio.to_thread(self.home.command, *arguments, code=code)
        return json.loads(said) if "--json" in arguments and not code else said

    async def told(self, path: str) -> Any:
        """By the control API, as the command line asks it."""
        return await self._control("GET", path)

    async def lift(self, hold: str, *people: str) -> None:
        """By two people, or those who are named, each with a key of theirs."""
        shown = await self.told(f"/v1/holds/{hold}")
        for person in people or ("bela", "ada"):
            token = signed_lift(
                hold_in(msgspec.convert(shown, Hold)),
                by=PrincipalId(person),
                reason="looked at it",
                audience=shown["audience"],
                at=UnixMillis(time.time_ns() // 1_000_000),
                key=load_key(self.home.root / f"{person}.jwk"),
            )
            after = await self._control("POST", f"/v1/holds/{hold}/lift", {"token": token})
        assert after["lifted_at"]

    async def _control(self, method: str, path: str, body: Any = None) -> Any:
        transport = httpx2.AsyncHTTPTransport(uds=str(load_settings(self.home.data).control.socket))
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://answerable", timeout=60
        ) as client:
            answer = await client.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @asynccontextmanager
    async def enrolling(self) -> AsyncIterator[EnrolmentClient]:
        http, base = open_client(self.gateway)
        async with http:
            yield EnrolmentClient(http, base)

    async def instance(self, key: SigningKey, parent: SigningKey | None = None) -> str:
        """Attested by the kernel as scout; or a sub-agent of the one with the key of `parent`."""
        async with self.enrolling() as client:
            challenge = await client.challenge()
            if parent is None:
                return str((await client.enrol(challenge, key=key, attestation=UNIX)).instance)
            found = await client.enrol_sub_agent(challenge, parent=SignatureAuth(parent), key=key)
            return str(found.instance)

    async def is_let_in(self, key: SigningKey, parent: SigningKey | None = None) -> bool:
        try:
            await self.instance(key, parent)
        except (Refused, Unverified):
            return False
        return True

    async def asked(
        self, key: SigningKey, method: str, name: str = "", /, **arguments: Any
    ) -> dict[str, Any]:
        """One message of an agent over a connection of its own, which is as if it had none before."""
        params: dict[str, Any] = {"_meta": META}
        if method == "resources/read":
            params["uri"] = name
        elif name:
            params |= {"name": name, "arguments": arguments}
        fields = {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
            **({"mcp-name": name} if name else {}),
        }
        client, base = open_client(self.gateway, SignatureAuth(key, mandate=self.mandate))
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with client:
            answer: httpx2.Response = await client.post(
                f"{base}/mcp/{self.server}", json=message, headers=fields
            )
        found = _message(answer)
        return {"status": answer.status_code, "text": answer.text, **found}

    async def does(self, key: SigningKey, method: str, name: str = "", **arguments: str) -> bool:
        """Whether it was done."""
        said = await self.asked(key, method, name, **arguments)
        return said["status"] == 200 and "error" not in said and not said["result"].get("isError", False)

    async def deletes(self, key: SigningKey, which: str) -> None:
        """Once the mailbox is connected, which takes a moment after the start of the server."""
        for _ in range(200):
            said = await self.asked(key, "tools/call", "mail_delete", which=which)
            if "upstream.unknown" not in said["text"]:
                break
            await asyncio.sleep(0.1)
        assert '"gone"' in said["text"], said["text"]


def _message(answer: httpx2.Response) -> dict[str, Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    try:
        found = json.loads(lines[-1] if lines else answer.text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


@asynccontextmanager
async def mailbox(root: Path) -> AsyncIterator[Mailbox]:
    async with house(root) as home:
        for person in ("ada", "bela"):
            key = create_key(root / f"{person}.jwk", seed=os.urandom(32))
            (root / f"{person}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        await asyncio.to_thread(home.apply, documents(root))
        await home.serving()
        issue = ("mandate", "issue", "tidy", "--as", "ada", "--key", str(root / "ada.jwk"), "--yes")
        mandate = (await asyncio.to_thread(home.command, *issue)).strip()
        yield Mailbox(home, mandate)
