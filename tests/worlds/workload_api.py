"""A trust domain made of real parts for the Workload API: an authority, its keys, federated domains, who is who."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpclib.client
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from grpclib.const import Cardinality

from answerable.apps.workload_api import (
    ConnectionLimits,
    Doors,
    Identity,
    IssuedWit,
    PeerProcess,
    WorkloadFront,
)
from answerable.apps.workload_api.messages import schema
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain, spiffe_id, trust_domain
from answerable.core.identity.svid.jwt_svid import JwtSvid, jwt_svid, verified_jwt_svid
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.svid.wit_svid import wit_svid
from answerable.core.identity.svid.x509_svid import (
    X509Svid,
    authority_certificate,
    leaf_certificate,
    verified_x509_svid,
)
from answerable.core.identity.workload.instance import ShownManifest

DOMAIN = trust_domain("ours.example")
OTHER = trust_domain("theirs.example")
HEADER = {"workload.spiffe.io": "true"}
BROKER_HEADER = {"broker.spiffe.io": "true"}
LOOPS = ("asyncio", "uvloop")
WAIT_SECONDS_MAX = 30

MEASURED = ShownManifest("a" * 64, "sidecar", drifted=False)


class Authority:
    """A self-signed authority, and two keys for tokens."""

    def __init__(self, domain: TrustDomain) -> None:
        self.domain = domain
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.jwt_key = ec.generate_private_key(ec.SECP256R1())
        self.wit_key = ec.generate_private_key(ec.SECP256R1())
        self.kid = secrets.token_hex(8)
        self.wit_kid = secrets.token_hex(8)
        self.der = authority_certificate(
            domain=domain,
            key=self.key,
            serial=x509.random_serial_number(),
            not_before=millis(-60),
            not_after=millis(86_400),
        )

    @property
    def bundle(self) -> TrustBundle:
        return TrustBundle(
            trust_domain=self.domain,
            x509_authorities=(self.der,),
            jwt_authorities={self.kid: jwk_text(self.jwt_key.public_key())},
            wit_authorities={self.wit_kid: jwk_text(self.wit_key.public_key())},
        )

    def x509_svid(self, name: SpiffeId, public_key: ec.EllipticCurvePublicKey, seconds: float) -> X509Svid:
        leaf = leaf_certificate(
            id=name,
            public_key=public_key,
            issuer=x509.load_der_x509_certificate(self.der),
            serial=x509.random_serial_number(),
            not_before=millis(-30),
            not_after=millis(seconds),
            sign=self.key,
        )
        return verified_x509_svid([leaf], bundle_of=lambda _: self.bundle, now=millis())


def millis(seconds: float = 0) -> UnixMillis:
    """So many seconds from now."""
    return UnixMillis(time.time_ns() // 1_000_000 + int(seconds * 1000))


def named(path: str, hint: str = "") -> Identity:
    """An identity of our trust domain."""
    return Identity(id=spiffe_id(f"spiffe://{DOMAIN}{path}"), hint=hint)


def by_pid(peer: PeerProcess) -> tuple[Identity, ...]:
    """Everybody is somebody, after its pid."""
    return (named(f"/agent/tester/{peer.pid}"),)


@dataclass
class World:
    """Implements `WorkloadServices`. who: says who a process is; tests replace it and call `tell`."""

    authority: Authority = field(default_factory=lambda: Authority(DOMAIN))
    others: dict[TrustDomain, TrustBundle] = field(default_factory=lambda: {OTHER: Authority(OTHER).bundle})
    who: Callable[[PeerProcess], tuple[Identity, ...]] = by_pid
    brokers: Callable[[PeerProcess, PeerProcess | None], bool] = lambda _broker, _workload: False
    x509_seconds: float = 3600
    jwt_seconds: int = 300
    is_ready: bool = True
    asked: list[PeerProcess] = field(default_factory=list)
    issued: list[tuple[str, SpiffeId | None]] = field(default_factory=list)
    watching: list[Callable[[], None]] = field(default_factory=list)
    old: list[Authority] = field(default_factory=list)

    @property
    def domain(self) -> TrustDomain:
        return self.authority.domain

    async def identify(self, peer: PeerProcess) -> tuple[Identity, ...]:
        self.asked.append(peer)
        await asyncio.sleep(0)
        return self.who(peer)

    async def may_broker(self, broker: PeerProcess) -> bool:
        return self.brokers(broker, None)

    async def identify_for(
        self, broker: PeerProcess, workload: PeerProcess
    ) -> tuple[SpiffeId, tuple[Identity, ...]] | None:
        if not self.brokers(broker, workload):
            return None
        return named("/agent/broker").id, await self.identify(workload)

    async def x509_svid(
        self, identity: SpiffeId, public_key: ec.EllipticCurvePublicKey, *, broker: SpiffeId | None = None
    ) -> X509Svid:
        self.issued.append((str(identity), broker))
        return self.authority.x509_svid(identity, public_key, self.x509_seconds)

    async def jwt_svid(
        self, identity: SpiffeId, audience: tuple[str, ...], *, broker: SpiffeId | None = None
    ) -> str:
        self.issued.append((str(identity), broker))
        return jwt_svid(
            id=identity,
            audience=audience,
            issued_at=millis(),
            expires_at=millis(self.jwt_seconds),
            kid=self.authority.kid,
            sign=self.authority.jwt_key,
            # As the product says it of an instance that was measured: every reader here meets the claim.
            manifest=MEASURED,
        )

    async def wit_svid(self, identity: SpiffeId, public_key: ec.EllipticCurvePublicKey) -> IssuedWit:
        end = millis(self.jwt_seconds)
        token = wit_svid(
            id=identity,
            jwk=jwk_text(public_key),
            issued_at=millis(),
            expires_at=end,
            kid=self.authority.wit_kid,
            sign=self.authority.wit_key,
            manifest=MEASURED,
        )
        return IssuedWit(token=token, expires_at=end)

    async def judge_jwt_svid(self, token: str, *, audience: str) -> JwtSvid:
        return verified_jwt_svid(token, audience=audience, bundle_of=self.bundles().get, now=millis())

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        every = [one.bundle for one in (*self.old, self.authority)]
        own = TrustBundle(
            trust_domain=self.domain,
            x509_authorities=tuple(der for one in every for der in one.x509_authorities),
            jwt_authorities={kid: key for one in every for kid, key in one.jwt_authorities.items()},
            wit_authorities={kid: key for one in every for kid, key in one.wit_authorities.items()},
        )
        return ({self.domain: own} if self.is_ready else {}) | self.others

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.watching.append(changed)
        return lambda: self.watching.remove(changed)

    def now(self) -> UnixMillis:
        return millis()

    def entropy(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def tell(self) -> None:
        """Something has changed."""
        for changed in tuple(self.watching):
            changed()

    def rotate(self) -> None:
        """A new authority signs; the old one stays in the bundle."""
        self.old.append(self.authority)
        self.authority = Authority(self.domain)
        self.tell()


def bound(path: Path, mode: int = 0o666) -> socket.socket:
    """A Unix socket that is bound and not yet listening."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(listener.fileno(), mode)
    listener.bind(str(path))
    os.chmod(path, mode)
    return listener


@contextlib.asynccontextmanager
async def serving(
    world: World,
    path: Path,
    *,
    doors: Doors | None = None,
    limits: ConnectionLimits | None = None,
    proc: Path = Path("/proc"),
) -> AsyncIterator[WorkloadFront]:
    """The door in this loop."""
    front = WorkloadFront(world, doors=doors, limits=limits, proc=proc)
    listener = bound(path)
    await front.start(listener)
    try:
        yield front
    finally:
        await front.close()
        listener.close()


def in_loop(scenario: Callable[[], Awaitable[None]], loop: str = "asyncio") -> None:
    """Run to the end in a fresh loop of that kind, within a limit."""

    async def limited() -> None:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await scenario()

    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(limited())


def opened(
    channel: grpclib.client.Channel, path: str, metadata: Mapping[str, str] | None = None
) -> grpclib.client.Stream[Any, Any]:
    """An RPC, as grpclib's client has it."""
    method = schema().methods[path]
    kind = Cardinality.UNARY_STREAM if method.streams else Cardinality.UNARY_UNARY
    said = HEADER if metadata is None else metadata
    return channel.request(
        path, kind, method.takes, method.gives, metadata=dict(said), timeout=WAIT_SECONDS_MAX
    )


async def answer_of(stream: grpclib.client.Stream[Any, Any]) -> Any:
    """The next message of a stream, which there must be."""
    message = await stream.recv_message()
    assert message is not None
    return message


async def asked(
    channel: grpclib.client.Channel,
    path: str,
    request: Any = None,
    *,
    metadata: Mapping[str, str] | None = None,
) -> Any:
    """The first answer. Raises GRPCError."""
    async with opened(channel, path, metadata) as stream:
        await stream.send_message(
            request if request is not None else schema().methods[path].takes(), end=True
        )
        answer = await stream.recv_message()
        if answer is None:
            await stream.recv_trailing_metadata()
        if schema().methods[path].streams:
            await stream.cancel()
        return answer


async def until(found: Callable[[], object]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not found():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
