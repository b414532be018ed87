"""Receivers of events as the standards describe them, and a desk that announces what a bench's ledger says."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.sqlite import SqliteEventRegister, SqliteStore
from answerable.core.identity.keys.event_key import EventKey
from answerable.core.incident.event_stream import EventStream
from answerable.flows.events.event_desk import EventLimits, EventState
from answerable.sdk.proof_auth import SignatureAuth
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from answerable.wiring.walk import Walk
from tests.worlds.token_server import Said, Seen, Server, serving

ISSUER = "https://gateway.example"
SECRET = b"0123456789abcdef0123456789abcdef"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"


@cache
def event_key() -> EventKey:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return EventKey(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def desk_on(bench: Bench, **changes: Any) -> EventState:
    """Over memory and real sockets: agents `scout` and `rover` may receive, and there is a webhook `ops`."""
    given: dict[str, Any] = {
        "recorder": bench.walk.recorder,
        "authority": bench.walk.authority,
        "register": fresh(SqliteEventRegister),
        "post": HttpEventPost(answer_seconds_max=5.0),
        "issuer": lambda: ISSUER,
        "receivers": {"scout": frozenset(), "rover": frozenset()},
        "webhooks": {"ops": SECRET},
        "key": event_key(),
        "limits": EventLimits(answer_seconds_max=5.0, retry_seconds_max=60, poll_seconds_max=5.0),
    }
    return EventState(**(given | changes))


def no_streams(walk: Walk, store: SqliteStore) -> EventState:
    """With nobody to tell."""
    post = HttpEventPost(answer_seconds_max=5.0)
    return EventState(
        recorder=walk.recorder,
        authority=walk.authority,
        register=SqliteEventRegister(store),
        post=post,
        issuer=str,
    )


def stream(name: str = "s-1", **changes: Any) -> EventStream:
    return EventStream(**({"id": name, "receiver": "scout", "method": "poll"} | changes))


def waiting(desk: EventState, name: str = "s-1") -> list[dict[str, Any]]:
    """What waits in a stream, as it was put there."""
    return [json.loads(one.body) for one in desk.register.waiting(name, count_max=1_000)]


def part(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def checked_set(token: str, jwks: list[Mapping[str, Any]], *, issuer: str, audience: str) -> dict[str, Any]:
    """The claims of a token that an independent receiver believes: RFC 8417, SSF 1.0 section 4, and CAEP's
    interoperability profile, checked with nothing of ours."""
    header, payload, signature = token.split(".")
    said = json.loads(part(header))
    assert said["typ"] == "secevent+jwt"
    assert said["alg"] == "RS256"
    (jwk,) = [one for one in jwks if one["kid"] == said["kid"]]
    n, e = (int.from_bytes(part(jwk[name]), "big") for name in ("n", "e"))
    assert n.bit_length() >= 2_048
    rsa.RSAPublicNumbers(e, n).public_key().verify(
        part(signature), f"{header}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    claims: dict[str, Any] = json.loads(part(payload))
    assert claims["iss"] == issuer
    assert claims["aud"] == audience
    assert isinstance(claims["iat"], int)
    assert claims["jti"]
    assert not claims.keys() & {"sub", "exp"}
    assert claims["sub_id"]["format"]
    (kind,) = claims["events"]
    if kind.startswith(CAEP):
        assert claims["events"][kind]["reason_admin"]["en"]
        assert claims["txn"]
    return claims


@dataclass
class Receiver:
    """A receiver that is pushed to (RFC 8935): strict about what it gets, and as unwilling as a test says."""

    server: Server
    jwks: Callable[[], list[Mapping[str, Any]]]
    issuer: str = ISSUER
    audience: str = "scout"
    answers: list[Said] = field(default_factory=list)
    tokens: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url + "/events"

    @property
    def kinds(self) -> list[str]:
        return [next(iter(one["events"])) for one in self.tokens]

    def __call__(self, seen: Seen) -> Said:
        assert seen.headers["content-type"] == "application/secevent+jwt"
        assert "application/json" in seen.headers["accept"]
        claims = checked_set(
            seen.body.decode("ascii"), self.jwks(), issuer=self.issuer, audience=self.audience
        )
        if self.answers:
            said = self.answers.pop(0)
            if said.status // 100 != 2:
                return said
        self.tokens.append(claims)
        self.headers.append(seen.headers)
        return Said(status=202)


@contextmanager
def receiving(jwks: Callable[[], list[Mapping[str, Any]]], **changes: Any) -> Iterator[Receiver]:
    with serving() as server:
        receiver = Receiver(server, jwks, **changes)
        server.answers["/events"] = receiver
        yield receiver


@dataclass
class Hook:
    """A webhook that keeps what it was sent, and answers as a test says."""

    server: Server
    answers: list[Said] = field(default_factory=list)
    taken: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url + "/hook"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(one.body) for one in self.taken]

    def __call__(self, seen: Seen) -> Said:
        said = self.answers.pop(0) if self.answers else Said(status=204)
        if said.status // 100 == 2:
            self.taken.append(seen)
        return said


@contextmanager
def hooked() -> Iterator[Hook]:
    with serving() as server:
        hook = Hook(server)
        server.answers["/hook"] = hook
        yield hook


@dataclass
class EventClient:
    """A receiver that manages its streams and polls, over the real door. by: how it proves who it is."""

    world: Any
    agent: str
    by: str = "signature"

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        auth = SignatureAuth(signing_key(self.agent)) if self.by == "signature" else None
        if self.by == "assertion":
            headers.setdefault("authorization", f"Bearer {self.world.assertion(self.agent)}")
        content = b"" if body is None else json.dumps(body).encode()
        async with httpx2.AsyncClient(trust_env=False, auth=auth, timeout=60) as http:
            return await http.request(
                method, self.world.url + path, content=content,
                headers={"content-type": "application/json", **headers},
            )  # fmt: skip

    async def made(self, **sent: Any) -> dict[str, Any]:
        answer = await self.ask("POST", "/ssf/streams", sent)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def poll(self, stream: str, **sent: Any) -> dict[str, Any]:
        answer = await self.ask("POST", f"/ssf/poll/{stream}", sent)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def events(self, stream: str, **sent: Any) -> dict[str, dict[str, Any]]:
        """What a poll gives, by id, each checked as a receiver does."""
        jwks = (await self.ask("GET", "/ssf/jwks")).json()["keys"]
        sets = (await self.poll(stream, **sent))["sets"]
        found = {
            jti: checked_set(token, jwks, issuer=self.world.url, audience=self.agent)
            for jti, token in sets.items()
        }
        assert all(claims["jti"] == jti for jti, claims in found.items())
        return found


def announcing(*receivers: str, more: str = "") -> str:
    """Settings."""
    return f"[announcing]\nreceivers = {json.dumps(receivers)}\n{more}"
