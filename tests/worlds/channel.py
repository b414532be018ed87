"""A bench whose approvers are told, a channel that does as a test says, and stand-ins of what channels talk to."""

from __future__ import annotations

import asyncio
import json
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from aiosmtpd.smtp import SMTP, AuthResult

from answerable.adapters.smtp import SmtpChannel, SmtpServer
from answerable.adapters.sqlite import SqliteDeliveryRegister
from answerable.core.approval.approval import Approval
from answerable.core.approval.message import Message
from answerable.core.approval.notice import Notice
from answerable.core.approval.route import Route
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.mandate import MandateId
from answerable.flows.approval.notify_people import notify_people
from answerable.flows.state.reach_desk import NotificationState, ReachLimits
from answerable.flows.state.walk_limits import WalkLimits
from answerable.ports.message_channel import Sent
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from tests.worlds.federation import Authority
from tests.worlds.token_server import Said, Seen, Server, serving

EVERYBODY = (Route(group="*", channel="email"),)
TAKEN = Sent(state="taken", handle="h")


@dataclass
class LoudChannel:
    """Implements ports.message_channel.MessageChannel: keeps what it is given and answers as a test says."""

    answers: list[Sent | Exception] = field(default_factory=list)
    always: Sent = TAKEN
    updates: bool = True
    told: list[tuple[str, Message]] = field(default_factory=list)
    handles: list[str] = field(default_factory=list)
    wait: Callable[[], Any] | None = None

    async def send(self, message: Message, address: str, *, handle: str, now: int) -> Sent:
        if self.wait is not None:
            await self.wait()
        answer = self.answers.pop(0) if self.answers else self.always
        if isinstance(answer, Exception):
            raise answer
        if answer.state == "taken":
            self.told.append((address, message))
            self.handles.append(handle)
        return replace(answer, handle=f"{address}/{message.id}") if answer.state == "taken" else answer

    def kinds(self) -> list[tuple[str, str]]:
        """Who was told, and of what kind it was."""
        return [(address, message.kind) for address, message in self.told]


@dataclass
class Reach:
    """The bench with its desk. channel: the one named `email`."""

    bench: Bench
    desk: NotificationState
    channel: LoudChannel

    async def tell(self, channel: str = "email") -> int:
        """Until nothing is due."""
        count = 0
        while told := await notify_people(
            self.bench.recorder.ledger,
            self.bench.authority,
            self.bench.asking,
            self.bench.live.link,
            self.bench.walk.entropy,
            channel,
        ):
            count += told
        return count

    def restarted(self) -> Reach:
        """Another process on the same registers, which never heard of anything."""
        desk = replace_desk(self.desk)
        self.bench.asking.reach = self.bench.asking.channel = desk
        return Reach(self.bench, desk, self.channel)


def replace_desk(desk: NotificationState) -> NotificationState:
    return NotificationState(
        register=desk.register,
        channels=desk.channels,
        addresses=desk.addresses,
        routes=desk.routes,
        name_answerers=desk.name_answerers,
        limits=desk.limits,
    )


async def reach_bench(
    *,
    routes: tuple[Route, ...] = EVERYBODY,
    limits: ReachLimits | None = None,
    channels: dict[str, Any] | None = None,
    register: Any = None,
    documents: Any = None,
    names: tuple[str, ...] = ("email",),
    limits_of_walk: WalkLimits | None = None,
    **bench: Any,
) -> Reach:
    """bob and carol are approvers, alice gives the task, dan is in another group."""
    channel = LoudChannel()
    every = channels or {"email": channel}
    desk = NotificationState(
        register=register or fresh(SqliteDeliveryRegister),
        channels=every,
        addresses={name: lambda person: (f"{person}@example.com",) for name in every},
        routes=routes,
        name_answerers=frozenset(names),
        limits=limits or ReachLimits(),
    )
    made = Bench(channel=desk, limits=limits_of_walk, **bench)
    made.walk.asking.reach = desk
    await made.registered(documents)
    await made.issue()
    return Reach(made, desk, every["email"] if isinstance(every.get("email"), LoudChannel) else channel)


async def asked(reach: Reach, amount: int = 6_000) -> Approval:
    """An action that waits."""
    answer = await reach.bench.refund(amount)
    assert answer.approval is not None
    return answer.approval


def notice(number: int = 1, *, group: str = "approvers") -> Notice:
    return Notice(
        group=group,
        agent=AgentId("scout"),
        mandate=MandateId("m-1"),
        capability="crm.refund",
        action_id=f"action-{number}",
        intent=number,
        at=0,
    )


class MailBox:
    """A mail server of others (aiosmtpd) on loopback. answers: what it says to each RCPT and DATA, instead of taking
    it. signed_in: names that signed in."""

    def __init__(self, *, user: str = "", password: str = "") -> None:
        self.mails: list[bytes] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.rcpt: list[str] = []
        self.data: list[str] = []
        self.signed_in: list[str] = []
        self.in_tls: list[bool] = []
        self.user, self.password = user, password

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.data:
            return self.data.pop(0)
        self.mails.append(envelope.content)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.in_tls.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, auth_data):
        good = (auth_data.login, auth_data.password) == (self.user.encode(), self.password.encode())
        if good:
            self.signed_in.append(self.user)
        return AuthResult(success=good, handled=False)


@asynccontextmanager
async def mail_server(
    box: MailBox, context: ssl.SSLContext | None, *, implicit: bool = False, offers_tls: bool = True
) -> AsyncIterator[int]:
    """The port of a running server. implicit: TLS from the first byte."""
    more: dict[str, Any] = {}
    if box.user:
        # It says what it thinks of signing in without TLS; that is what one of the tests is about.
        warnings.filterwarnings("ignore", "Requiring AUTH", UserWarning)
        more |= {
            "authenticator": box.authenticate,
            "auth_required": True,
            "auth_require_tls": offers_tls and not implicit,
        }
    if context is not None and not implicit and offers_tls:
        more |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(box, hostname="mail.example", loop=loop, **more),
        "127.0.0.1",
        0,
        ssl=context if implicit else None,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def trusted(authority: Authority) -> ssl.SSLContext:
    """What believes this authority alone."""
    return ssl.create_default_context(cadata=authority.pem.decode())


def smtp_channel(port: int, context: ssl.SSLContext | None, **changes: Any) -> SmtpChannel:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "starttls" if context is not None else "none",
        "sender": "answerable@example.com",
        "context": context or ssl.create_default_context(),
        "answer_seconds_max": 20.0,
    }
    return SmtpChannel(SmtpServer(**(given | changes)))


@dataclass
class SlackStandIn:
    """Slack's methods, strict about what they are sent. people: what `users.info` says of each; before: of a test,
    which runs before that is said. whispered: what one person alone was told."""

    server: Server
    token: str = "xoxb-stand-in"
    answers: list[Said] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    people: dict[str, Said] = field(default_factory=dict)
    whispered: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def __call__(self, seen: Seen) -> Said:
        assert seen.headers["authorization"] == f"Bearer {self.token}"
        if seen.path.endswith("users.info"):
            # This one takes no JSON.
            assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
            self.before()
            self.asked.append(seen.form["user"])
            return self.people.get(seen.form["user"], Said(body={"ok": False, "error": "user_not_found"}))
        assert seen.headers["content-type"] == "application/json; charset=utf-8"
        if self.answers:
            return self.answers.pop(0)
        body = json.loads(seen.body)
        for block in body["blocks"]:
            if block["type"] == "actions":
                _check_buttons(block)
                continue
            texts = [block["text"]] if block["type"] == "section" else block["elements"]
            assert all(0 < len(one["text"]) <= 3_000 for one in texts)
        assert len(body["text"]) <= 4_000
        if seen.path.endswith("chat.postEphemeral"):
            assert body["user"]
            assert body["channel"]
            self.whispered.append(body)
            return Said(body={"ok": True, "message_ts": "17.0"})
        if seen.path.endswith("chat.update"):
            self.updated.append(body)
            return Said(body={"ok": True, "channel": body["channel"], "ts": body["ts"]})
        self.posted.append(body)
        return Said(body={"ok": True, "channel": f"D{body['channel']}", "ts": f"17.{len(self.posted)}"})


def _check_buttons(block: dict[str, Any]) -> None:
    """Block Kit's bounds of what can be used in a message."""
    assert 0 < len(block["elements"]) <= 25
    ids = [one["action_id"] for one in block["elements"]]
    assert len(set(ids)) == len(ids)
    for one in block["elements"]:
        if one["type"] == "button":
            assert len(one["text"]["text"]) <= 75
            assert len(one["value"]) <= 2_000
        else:
            assert one["type"] == "static_select"
            assert 0 < len(one["options"]) <= 100
            assert all(
                len(each["text"]["text"]) <= 75 and len(each["value"]) <= 75 for each in one["options"]
            )


@contextmanager
def slack_stand_in() -> Iterator[SlackStandIn]:
    with serving() as server:
        deputy_validity = SlackStandIn(server)
        for method in ("chat.postMessage", "chat.update", "chat.postEphemeral", "users.info"):
            server.answers[f"/api/{method}"] = deputy_validity
        yield deputy_validity
        assert not server.faults


async def never() -> None:
    """Waits until it is cancelled."""
    await anyio.sleep_forever()
