"""S-15: an agent that deletes mail is told to stop, ignores it and goes on trying; and the panic button.

Real parts: the server, an MCP server that deletes what it is told to, an agent that the kernel attests, its sub-agent.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from answerable.core.identity.keys import SigningKey
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unverified
from answerable.sdk.enrolment import EnrolmentClient
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key, public_jwk
from answerable.sdk.proof_auth import SignatureAuth
from tests.demo_run import ROOT
from tests.enrolment_world import fresh_key
from tests.up_world import OWNERSHIP, House, house, registry, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="agents are attested by Linux's kernel"),
]
MAIL = ROOT / "tests/system/mail_upstream.py"
UNIX = {"type": "unix"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "scout", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
PURGES = 3


def documents(place: Path) -> str:
    """A mailbox, two people with keys, and an agent that is known by the program that it runs."""
    known = registry(scout=[[f"unix:path:{os.path.realpath(sys.executable)}"]])
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

    @property
    def gateway(self) -> str:
        return f"unix:{self.home.data / 'gateway.sock'}"

    @property
    def book(self) -> list[str]:
        book = self.home.root / "book"
        return book.read_text().splitlines() if book.exists() else []

    async def command(self, *arguments: str, code: int = 0) -> Any:
        said = await asyncio.to_thread(self.home.command, *arguments, code=code)
        return json.loads(said) if "--json" in arguments and not code else said

    async def lift(self, hold: str) -> None:
        for person, code in (("bela", 4), ("ada", 0)):
            key = str(self.home.root / f"{person}.jwk")
            line = ("hold", "lift", hold, "--as", person, "--key", key, "--reason", "looked at it", "--yes")
            await self.command(*line, code=code)

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

    async def asked(self, key: SigningKey, method: str, name: str = "", **arguments: str) -> dict[str, Any]:
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
            answer: httpx2.Response = await client.post(f"{base}/mcp/mail", json=message, headers=fields)
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
        issue = ("mandate", "issue", "tidy", "--as", "ada", "--key", str(root / "ada.jwk"), "--yes")
        mandate = (await asyncio.to_thread(home.command, *issue)).strip()
        yield Mailbox(home, mandate)


@pytest.mark.requirement("STOP-08", "STOP-03", "STOP-04")
async def test_an_agent_that_deletes_mail_and_ignores_replies_is_stopped_whole(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as box:
        scout, sub = fresh_key(), fresh_key()
        instance = await box.instance(scout)
        child = await box.instance(sub, parent=scout)
        await box.deletes(scout, "first")
        waiting = (await box.asked(scout, "tools/call", "mail_empty", which="trash"))["text"]
        [approval] = await box.command("approval", "list", "--json")
        assert approval["id"] in waiting
        numbers, stop_at_last = itertools.count(), asyncio.Event()
        seen: list[bool] = []

        async def deleting() -> None:
            """Twenty a second, whatever comes of it."""
            key = itertools.cycle((scout, sub))
            while not stop_at_last.is_set():
                seen.append(await box.does(next(key), "tools/call", "mail_delete", which=str(next(numbers))))
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            for number in range(PURGES):
                tasks.create_task(box.asked(scout, "tools/call", "mail_purge", which=str(number)))
            tasks.create_task(deleting())
            await until(
                lambda: (
                    sum(line.startswith("began mail_purge") for line in box.book) == PURGES
                    and seen.count(True) > 20
                ),
                "an agent at work",
            )
            told = await box.command("stop", "scout", "--reason", "it deletes mail", "--json")
            done = _deleted(box)
            # It goes on trying: with what it has, and with whatever it may think of.
            count = len(seen)
            await until(lambda: len(seen) > count + 20, "an agent that goes on trying")
            assert not any(seen[count + 2 :])
            await _every_other_way(box, scout)
            stop_at_last.set()
        assert _deleted(box) == done
        await _check_report(box, told, approval["id"], {instance, child})
        hold = told["hold"]["id"]
        (tmp_path / "go").touch()
        await box.lift(hold)
        # Whoever was ended comes back by attesting anew, and what was denied stays denied.
        with pytest.raises((Refused, Unverified)):
            async with box.enrolling() as client:
                await client.renew(SignatureAuth(scout))
        again = fresh_key()
        await box.instance(again)
        await box.deletes(again, "again")
        assert (await box.command("approval", "show", approval["id"], "--json"))["state"] == "denied"
        await box.home.stop(signal.SIGTERM)
        _check_ledger(box, hold)


def _deleted(box: Mailbox) -> list[str]:
    return [line for line in box.book if line.startswith("began mail_delete")]


async def _every_other_way(box: Mailbox, scout: SigningKey) -> None:
    another = fresh_key()
    for parent in (None, scout):
        with pytest.raises((Refused, Unverified)):
            await box.instance(another, parent=parent)
    for key in (scout, another):
        assert not await box.does(key, "tools/call", "mail_purge", which="more")
        assert not await box.does(key, "resources/read", "mail://box")
        assert not await box.does(key, "prompts/get", "tidy")
        for listed in ("tools/list", "resources/list", "prompts/list"):
            said = await box.asked(key, listed)
            assert "mail_delete" not in said["text"]
    assert not [line for line in box.book if line.startswith(("began resource", "began prompt"))]


async def _check_report(box: Mailbox, told: dict[str, Any], approval: str, instances: set[str]) -> None:
    report = told["report"]
    assert report["complete"]
    assert report["started_after_count"] == 0
    assert report["stopped"]["approvals"] == [approval]
    assert set(report["stopped"]["instances"]) == instances
    assert report["stopped"]["mandates"] == [box.mandate]
    purges = [one for one in report["in_flight"] if one["capability"] == "mail.purge"]
    assert [one["status"] for one in purges] == ["indeterminate"] * PURGES
    assert all(one["entry"] < report["entry"] < one["outcome"] for one in report["in_flight"])
    assert report["stopped"]["cut"] >= PURGES
    assert report["last_effect"]["capability"] == "mail.delete"
    assert report["last_effect"]["entry"] < report["entry"]
    assert report["done_count"]["not_reversible"] >= len(_deleted(box))
    # The mailbox was told to cancel and did not say that it has: nobody claims that it is over.
    live = {one["name"] for one in report["live"] if one["kind"] == "action"}
    assert {one["action"] for one in purges} <= live
    report = await _written_report(box, told["hold"]["id"])
    assert report["recorded"] > report["entry"]


async def _written_report(box: Mailbox, hold: str) -> dict[str, Any]:
    """Nobody who pressed has to stay for it."""
    for _ in range(100):
        report: dict[str, Any] = (await box.command("hold", "show", hold, "--json"))["report"]
        if report["recorded"] is not None:
            return report
    raise AssertionError("the report was not written down")


def _check_ledger(box: Mailbox, hold: str) -> None:
    [placed] = box.home.entries(Tag.HOLD_PLACED)
    [report] = box.home.entries(Tag.CONTAINMENT_REPORT)
    assert placed["hold"] == report["hold"] == hold
    assert placed["in_flight_count"] >= PURGES
    assert (report["after"], report["ended"]["indeterminate"]) == (0, report["in_flight_count"])
    ends = box.home.entries(Tag.WORKLOAD_ENDED)
    assert {one["because"] for one in ends if one["at"] >= placed["since"]} >= {"held"}


@pytest.mark.requirement("STOP-06", "STOP-07")
async def test_panic_holds_a_running_server_and_one_that_was_down_before_it_answers_anybody(
    tmp_path: Path,
) -> None:
    async with mailbox(tmp_path) as box:
        scout = fresh_key()
        await box.instance(scout)
        await box.deletes(scout, "first")
        first = (await box.command("panic", "--reason", "stop it all", "--json"))["hold"]
        assert (first["kind"], first["source"], first["reason"]) == ("everything", "panic", "stop it all")
        assert not await box.does(scout, "tools/call", "mail_delete", which="second")
        (box.home.data / "panic").unlink()
        await box.home.stop(signal.SIGKILL)
        await box.home.start()
        with pytest.raises((Refused, Unverified)):
            await box.instance(fresh_key())
        await box.lift(first["id"])
        await box.home.stop(signal.SIGKILL)
        assert (await box.command("panic", "--json"))["hold"] is None
        await box.home.start()
        again = fresh_key()
        with pytest.raises((Refused, Unverified)):
            await box.instance(again)
        [second] = await box.command("hold", "list", "--json")
        await box.lift(second["id"])
        # The file is still there, and its press was one.
        await box.home.stop(signal.SIGTERM)
        await box.home.start()
        await box.instance(again)
        await box.deletes(again, "third")
        assert [line.rpartition(" ")[2] for line in _deleted(box)] == ["first", "third"]
