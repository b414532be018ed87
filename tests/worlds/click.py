"""A bench whose approvers have buttons in Slack: the stand-in sends them, and signs what is clicked as Slack does."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import httpx2

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.slack import SlackChannel, SlackClicks
from answerable.apps.chat_door.application import chat_app
from answerable.apps.chat_door.services import PREFIX, ChatServices
from answerable.core.approval.approval import Approval, ApprovalId
from answerable.core.approval.chat_click import APPROVE, DENY, DENY_BECAUSE
from answerable.core.approval.route import Route
from answerable.core.canonical import JSONValue, parse
from answerable.flows.counters.door_desk import DoorDesk
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.click_desk import ChatAnswerState
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.samples import document, signing_key
from tests.worlds.channel import Reach, SlackStandIn, reach_bench, slack_stand_in
from tests.worlds.parts import to_apply, to_refuse
from tests.worlds.token_server import Said

SECRET = b"8f742231b10e8888abcd99baac85a501"
TEAM = "T0123ABCD"
PATH = PREFIX + "slack"
CLICKS = WalkLimits(signatures=("chat", "chat", "chat", "any"))
HINTS: dict[str, JSONValue] = {
    "readOnlyHint": False,
    "destructiveHint": False,
    "idempotentHint": False,
    "openWorldHint": True,
}
TO_PEOPLE = (Route(group="*", channel="slack"),)


def user_of(person: str) -> str:
    return f"U0{person.upper()}"


def member(person: str, **changes: Any) -> Said:
    """What Slack says of a full member of the workspace."""
    user = {
        "id": user_of(person),
        "team_id": TEAM,
        "name": person,
        "deleted": False,
        "is_bot": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_app_user": False,
        **changes,
    }
    return Said(body={"ok": True, "user": {name: one for name, one in user.items() if one is not None}})


def person_document(person: str, groups: tuple[str, ...] = ("approvers",), **spec: Any) -> JSONValue:
    """A person with an account in the chat, and a key."""
    given: dict[str, JSONValue] = {
        "groups": [*groups],
        "keys": [parse(signing_key(person).public.jwk.encode())],
        "slack": {"team": TEAM, "user": user_of(person)},
        **spec,
    }
    return document("Principal", person, {name: one for name, one in given.items() if one is not None})


def click_documents(
    *, tier: int = 2, sensitivity: str = "internal", policies: str = POLICIES, people: Any = ()
) -> list[JSONValue]:
    """The bench's, with refunds of another tier, and bob and carol with accounts in the chat."""
    given = {"bob": person_document("bob"), "carol": person_document("carol"), **dict(people)}
    found: list[JSONValue] = []
    for one in bench_documents(policies):
        assert isinstance(one, dict)
        name = one["metadata"]["name"]
        if one["kind"] == "Principal" and name in given:
            continue
        if one["kind"] == "Capability" and name == "crm.refund":
            spec: Any = one["spec"]
            spec.update(tier=tier, sensitivity=sensitivity)
        found.append(one)
    return [*found, *given.values()]


@dataclass
class Clicks:
    """The bench, the chat, and the door. client: asks the door over HTTP."""

    reach: Reach
    slack: SlackStandIn
    desk: ChatAnswerState
    app: Any
    sent: list[bytes] = field(default_factory=list)
    base: str = "http://localhost"
    transport: Callable[[], httpx2.AsyncBaseTransport] | None = None

    @property
    def bench(self) -> Bench:
        return self.reach.bench

    def now(self, approval: Approval) -> Approval:
        found = self.bench.authority.approvals.find(ApprovalId(approval.id))
        assert found is not None
        return found

    async def asked(self, amount: int = 6_000) -> Approval:
        """A refund that waits, of which people were told."""
        answer = await self.bench.refund(amount)
        assert answer.approval is not None
        await self.reach.tell("slack")
        return answer.approval

    def told(self, person: str = "bob") -> dict[str, Any]:
        """The last message that this person was sent."""
        return next(one for one in reversed(self.slack.posted) if one["channel"] == user_of(person))

    def buttons(self, person: str = "bob") -> dict[str, str]:
        """By action id, what stands behind it; empty where there are none."""
        return buttons_in(self.told(person))

    def payload(
        self,
        person: str = "bob",
        verdict: str = "approve",
        *,
        value: str = "",
        because: str = "",
        **changes: Any,
    ) -> dict[str, Any]:
        """As Slack says it. value: what stands behind the button, where it is not that of the person's message."""
        value = value or self.buttons(person)[APPROVE]
        action: dict[str, Any] = {
            "type": "button",
            "action_id": APPROVE if verdict == "approve" else DENY,
            "block_id": "answerable",
            "text": {"type": "plain_text", "text": "x", "emoji": False},
            "value": value,
            "action_ts": "1.1",
        }
        if because:
            action = {
                "type": "static_select",
                "action_id": DENY_BECAUSE,
                "block_id": "answerable",
                "selected_option": {
                    "text": {"type": "plain_text", "text": "x"},
                    "value": f"{value}.{because}",
                },
                "action_ts": "1.1",
            }
        made = {
            "type": "block_actions",
            "user": {"id": user_of(person), "username": person, "name": person, "team_id": TEAM},
            "api_app_id": "A0APP",
            "token": "verification-token",
            "container": {
                "type": "message",
                "message_ts": "17.1",
                "channel_id": f"D{user_of(person)}",
                "is_ephemeral": False,
            },
            "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
            "team": {"id": TEAM, "domain": "example"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": f"D{user_of(person)}", "name": "directmessage"},
            "message": {"type": "message", "ts": "17.1", "bot_id": "B0BOT", "blocks": []},
            "state": {"values": {}},
            "response_url": "https://hooks.slack.example/actions/T0123ABCD/1/secret-right",
            "actions": [action],
        }
        return {**made, **changes}

    def headers(
        self, body: bytes, *, secret: bytes = SECRET, at: int | None = None, **changes: str | None
    ) -> dict[str, str]:
        """As Slack signs it, by the clock of the bench. at: Unix seconds."""
        at = self.bench.clock.now() // 1000 if at is None else at
        return self.signed(body, secret=secret, at=at, **changes)

    def signed(
        self, body: bytes, *, secret: bytes = SECRET, at: int, **changes: str | None
    ) -> dict[str, str]:
        """As Slack signs it."""
        mac = hmac.new(secret, f"v0:{at}:".encode() + body, sha256).hexdigest()
        given = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": str(at),
            "x-slack-signature": f"v0={mac}",
            **{name.replace("_", "-"): one for name, one in changes.items()},
        }
        return {name: one for name, one in given.items() if one is not None}

    async def post(
        self, body: bytes, headers: dict[str, str], path: str = PATH, method: str = "POST"
    ) -> httpx2.Response:
        transport = self.transport() if self.transport else httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(transport=transport, base_url=self.base, timeout=120) as http:
            return await http.request(method, path, content=body, headers=headers)

    async def press(self, person: str = "bob", verdict: str = "approve", **changes: Any) -> httpx2.Response:
        """A person clicks, and Slack says so."""
        signed = {name: changes.pop(name) for name in ("secret", "at") if name in changes}
        body = form_of(self.payload(person, verdict, **changes))
        self.sent.append(body)
        return await self.post(body, self.headers(body, **signed))

    def answers(self) -> int:
        """How many answers the ledger has, to real questions and to tests."""
        from answerable.core.ledger.tags import Tag

        return len(self.bench.entries(Tag.APPROVAL_ANSWER)) + len(
            [one for one in self.bench.entries(Tag.CANARY_TOLD) if "verdict" in one]
        )

    def whispers(self) -> list[str]:
        return [one["text"] for one in self.slack.whispered]

    async def register(self, *documents: JSONValue) -> None:
        """Change the registry."""
        await apply_registry(*to_apply(self.bench.walk), [*documents], by="operator")


def form_of(payload: JSONValue | dict[str, Any]) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def buttons_in(message: dict[str, Any]) -> dict[str, str]:
    found = [block for block in message["blocks"] if block["type"] == "actions"]
    return {one["action_id"]: one.get("value", "") for block in found for one in block["elements"]}


def text_of(message: dict[str, Any]) -> str:
    """All that is drawn of a message."""
    return "\n".join(block["text"]["text"] for block in message["blocks"] if block["type"] == "section")


@asynccontextmanager
async def clicking(
    *,
    limits: WalkLimits = CLICKS,
    documents: list[JSONValue] | None = None,
    routes: tuple[Route, ...] = TO_PEOPLE,
    answer_seconds_max: float = 30.0,
    **parts: Any,
) -> AsyncIterator[Clicks]:
    """bob and carol have accounts in the chat, and a refund of 6,000 waits for one of them once it is asked."""
    with slack_stand_in() as slack:
        post = HttpEventPost(answer_seconds_max=answer_seconds_max)
        url = slack.server.url + "/api"
        reach = await reach_bench(
            channels={"slack": SlackChannel(post, token=slack.token, url=url)},
            routes=routes,
            names=("slack",),
            limits_of_walk=limits,
            documents=documents or click_documents(),
            **parts,
        )
        reach.desk.addresses = {"slack": lambda person: (user_of(person),)}
        # Its server says of the sample that it may destroy, which makes every refund critical.
        reach.bench.upstream.hints = {**reach.bench.upstream.hints, "refund": HINTS}
        desk = ChatAnswerState(chat=SlackClicks(post, token=slack.token, url=url))
        reach.bench.asking.clicks = desk
        slack.people = {user_of(one): member(one) for one in ("bob", "carol", "dan")}
        walk = reach.bench.walk
        refused = DoorDesk(**to_refuse(walk), known=KnownCallers(registry=walk.authority.registry)).at("chat")
        app = chat_app(ChatServices(walk=walk, desk=desk, secret=SECRET, refused=refused))
        yield Clicks(reach, slack, desk, app)
