"""A running server with every door that finishes something, and the people, agents and providers that come to them."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import yaml

from answerable.apps.workflow_door.services import PREFIX as WORKFLOWS
from answerable.core.approval.chat_click import APPROVE
from answerable.core.approval.token import ANSWER, bound_claims
from answerable.core.base64url import from_base64url_32
from answerable.core.canonical import FrozenJSON, parse
from answerable.core.identity.keys.keys import PublicKey, SigningKey
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.sdk.gateway_address import open_client
from answerable.testing.samples import OWNERSHIP, document, signing_key
from answerable.testing.soft_passkey import SoftPasskey
from tests.stand_ins.ports import free_port
from tests.system.test_incident_openclaw import Browser
from tests.worlds.channel import SlackStandIn, slack_stand_in
from tests.worlds.click import SECRET, TEAM, buttons_in, member, user_of
from tests.worlds.duty import duty_document
from tests.worlds.gateway import registry
from tests.worlds.oidc_providers import CLIENT, Provider, provider
from tests.worlds.up import House, house, until
from tests.worlds.workflow_tasks import give_task, noted

NOTES = '"approvers|changes:1") @break_glass("approvers")'
SETTINGS = """\
[gateway]
port = {gateway}
approval_wait_seconds = 1
[tokens]
issuer = "http://127.0.0.1:{gateway}"
[walk]
pin_tools_at_first_sight = true
signatures = ["chat", "chat", "chat", "any"]
workflows = ["allowed", "allowed", "allowed", "refused"]
batch_tier_max = 2
[ledger]
seal_seconds = 1
[identity]
person_issuers = ["{issuer} {client} 600"]
[console]
port = {console}
origin = "http://localhost:{console}"
fresh_seconds = 3600
attempts_per_minute_max = 10000
oidc_secret = "file:{root}/oidc"
[channels]
slack_token = "file:{root}/slack"
slack_signing_secret = "file:{root}/signing"
slack_url = "{slack}/api"
routes = ["approvers slack"]
messages_max = 100
"""


@dataclass(frozen=True)
class Token:
    """What somebody got of one door: the text that it goes by, and the challenge that a device is to sign, where there
    is one; else a device signs the hash of the text. cookies: that came with it."""

    text: str
    challenge: bytes = b""
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def signed(self) -> bytes:
        return self.challenge or sha256(self.text.encode()).digest()


@dataclass
class Doors:
    """bob approves and reviews, carol approves, alice gives tasks; each signed-in person is one browser. glass: an
    approval whose glass carol broke. group: two approvals that are alike, with what was seen of each."""

    home: House
    console: str
    gateway: str
    slack: SlackStandIn
    issuer: Provider
    people: dict[str, Browser] = field(default_factory=dict)
    waiting: str = ""
    glass: str = ""
    group: dict[str, str] = field(default_factory=dict)
    count: int = 0

    # -- what a test asks of the server

    async def control(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        transport = httpx2.AsyncHTTPTransport(uds=str(self.home.data / "control.sock"))
        async with httpx2.AsyncClient(transport=transport, verify=False, base_url="http://localhost") as http:
            return await http.request(method, path, json=body)

    async def post(self, url: str, body: Any = None, **more: Any) -> httpx2.Response:
        async with httpx2.AsyncClient(verify=False, timeout=60, trust_env=False) as http:
            return await http.post(url, json=body, **more)

    async def workflow(self, path: str, body: Any) -> httpx2.Response:
        client, base = open_client(f"unix:{self.home.data / 'gateway.sock'}")
        async with client:
            return await client.post(f"{base}{WORKFLOWS}approvals/{self.waiting}/{path}", json=body)

    async def approval(self, name: str = "") -> dict[str, Any]:
        found: dict[str, Any] = (await self.control("GET", f"/v1/approvals/{name or self.waiting}")).json()
        return found

    async def asked(self) -> str:
        """A fresh question that waits."""
        self.count += 1
        before = {one["id"] for one in (await self.control("GET", "/v1/approvals")).json()["items"]}
        await noted(self.home, f"called {self.count:03}")
        [new] = [
            one["id"]
            for one in (await self.control("GET", "/v1/approvals")).json()["items"]
            if one["id"] not in before
        ]
        return str(new)

    async def ready(self) -> None:
        """Everybody is signed in, and everything that could be answered waits."""
        for person in ("bob", "carol"):
            browser = self.people[person]
            if (await browser.ask("GET", "/passkeys")).status_code != 200:
                await self.sign_in(browser)
        if not self.waiting or (await self.approval())["state"] != "pending":
            first = not self.waiting
            self.waiting = await self.asked()
            if first:
                # Later ones may stand out among those that are alike, and have no buttons.
                await until(lambda: self.told(self.waiting), "the message")
        if {(await self.approval(one))["state"] for one in self.group} != {"pending"}:
            every = [await self.asked() for _ in range(5)]
            self.group = {one: rendering_of(await self.approval(one)) for one in every[:2]}
        if not self.glass or (await self.approval(self.glass))["review"]["state"] != "owed":
            self.glass = await self.asked()
            await self.breaks_glass()

    async def sign_in(self, browser: Browser) -> None:
        begun = (await browser.script("/sign-in/begin", {})).json()
        answer = await browser.script("/sign-in/finish", {**assertion_of(begun, browser.device), "next": "/"})
        assert answer.status_code == 200, answer.text
        await browser.ask("GET", "/passkeys")

    async def breaks_glass(self) -> None:
        carol = self.people["carol"]
        said = {"verdict": "break_glass", "comment": "the customer is on the line and waits for it"}
        path = f"/approvals/{self.glass}"
        seen = {**said, "rendering": rendering_of(await self.approval(self.glass))}
        opened = (await carol.script(f"{path}/open", seen)).json()
        made = carol.device.assertion(challenge_in(opened)).members()
        answer = await carol.script(f"{path}/answer", {**said, "nonce": opened["nonce"], "assertion": made})
        assert answer.status_code == 200, answer.text

    async def audience(self) -> str:
        return str((await self.control("GET", "/v1/ledger")).json()["origin"])

    async def answer_token(self, nonce: str, *, by: str, key: SigningKey) -> str:
        """A signed yes to what waits."""
        found = await self.approval()
        octets = from_base64url_32(nonce)
        assert octets is not None
        claims = bound_claims(
            self.waiting,
            action=FrozenJSON.from_canonical(found["object"].encode()).hex,
            rendering=rendering_of(found),
            nonce=octets,
            by=PrincipalId(by),
            verdict="approve",
            comment="",
            audience=await self.audience(),
            at=now(),
        )
        return ANSWER.sign(claims, key)

    def told(self, approval: str = "") -> dict[str, Any] | None:
        """The last message with buttons that bob got, or the one about this approval."""
        mine = [one for one in self.slack.posted if one["channel"] == user_of("bob") and buttons_in(one)]
        return next((one for one in reversed(mine) if approval in json.dumps(one)), None)

    def clicked(self, value: str) -> dict[str, Any]:
        """That bob pressed what this stands behind, as the chat says it."""
        action = {"type": "button", "action_id": APPROVE, "value": value}
        channel = {"id": f"D{user_of('bob')}"}
        return {
            "type": "block_actions",
            "user": {"id": user_of("bob"), "team_id": TEAM},
            "container": {"type": "message", "message_ts": "17.1", "channel_id": channel["id"]},
            "team": {"id": TEAM},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": channel,
            "message": {"type": "message", "ts": "17.1", "blocks": []},
            "state": {"values": {}},
            "actions": [action],
        }

    def signed(self, body: bytes) -> dict[str, str]:
        """As the chat signs it."""
        at = now() // 1000
        mac = hmac.new(SECRET, f"v0:{at}:".encode() + body, sha256).hexdigest()
        return {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": str(at),
            "x-slack-signature": f"v0={mac}",
        }


def now() -> UnixMillis:
    return UnixMillis(time.time_ns() // 1_000_000)


def rendering_of(approval: dict[str, Any]) -> str:
    return FrozenJSON.from_canonical(approval["card"].encode()).hex


def challenge_in(opened: dict[str, Any]) -> bytes:
    found = from_base64url_32(opened["options"]["challenge"])
    assert found is not None
    return found


def assertion_of(begun: dict[str, Any], device: SoftPasskey) -> dict[str, Any]:
    return {"ceremony": begun["ceremony"], "assertion": device.assertion(challenge_in(begun)).members()}


def jwk_of(key: PublicKey) -> Any:
    return parse(key.jwk.encode())


def documents(root: Path, issuer: str) -> str:
    """Notes wait for one approver, or for the workflow; every approver has an account in the chat."""
    spec = {
        "purpose": "Look the change up",
        "ai": False,
        "groups": ["changes"],
        "capabilities": ["crm.note"],
        "tierMax": 2,
        "keys": [jwk_of(signing_key("check").public)],
        "attestation": [[f"unix:uid:{os.getuid()}"]],
        "ownership": {**OWNERSHIP, "owner": "erin", "backupOwner": "frank"},
    }
    people = [
        document("Principal", name, {
            "groups": groups,
            "keys": [jwk_of(signing_key(name).public)],
            "slack": {"team": TEAM, "user": user_of(name)},
        })
        for name, groups in (("bob", ["approvers"]), ("carol", ["approvers"]), ("dora", ["approvers"]),
                             ("erin", []), ("frank", []))
    ]  # fmt: skip
    people.append(document("Principal", "gina", {"oidc": {"issuer": issuer, "subject": "gina"}}))
    found: list[Any] = [
        one
        for one in registry(root, ["crm"])
        if (one["kind"], one["metadata"]["name"]) != ("Principal", "bob")
    ]
    for one in found:
        if (one["kind"], one["metadata"]["name"]) == ("Capability", "crm.note"):
            one["spec"].update(tier=2, sensitivity="internal", unhinted="accepted")
        if one["kind"] == "PolicySet":
            one["spec"]["policies"] = one["spec"]["policies"].replace('"approvers:1")', NOTES)
        if (one["kind"], one["metadata"]["name"]) == ("Agent", "rover"):
            one["spec"].update(attestation=[["join_token:agent:rover"]])
    found += [*people, document("Workflow", "change-check", spec), duty_document(deputies=["approvers"])]
    return yaml.safe_dump_all(found, sort_keys=False)


@asynccontextmanager
async def doors(root: Path) -> AsyncIterator[Doors]:
    """All of them, served by one process."""
    with slack_stand_in() as slack, provider("gina", secret="ours", seed="ours") as issuer:
        for name, secret in (("oidc", issuer.secret), ("slack", slack.token), ("signing", SECRET.decode())):
            file = root / name
            file.write_text(secret)
            file.chmod(0o600)
        slack.people = {user_of(one): member(one) for one in ("bob", "carol", "dora")}
        gateway, console = free_port(), free_port()
        settings = SETTINGS.format(
            gateway=gateway,
            console=console,
            root=root,
            slack=slack.server.url,
            issuer=issuer.url,
            client=CLIENT,
        )
        async with house(root, settings) as home:
            await home.start()
            await asyncio.to_thread(home.apply, documents(root, issuer.url))
            await home.serving()
            await give_task(home)
            origin = f"http://localhost:{console}"
            made = Doors(home, origin, f"http://127.0.0.1:{gateway}", slack, issuer)
            for person in ("bob", "carol"):
                made.people[person] = Browser(origin, SoftPasskey(seed=person, origin=origin))
                await made.people[person].enrol(await invited(made, person))
            yield made


async def invited(at: Doors, person: str) -> str:
    answer = await at.control("POST", f"/v1/people/{person}/invite", {})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])
