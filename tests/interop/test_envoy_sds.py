"""A real Envoy that gets certificates and bundles from us: mTLS in both roles, foreign peers, rotation."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from grpclib.client import Channel
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError

from answerable.apps.workload_api import WorkloadFront, sds
from tests.worlds.envoy import IDENTITY, envoy, running
from tests.worlds.federation import Authority
from tests.worlds.workload_api import (
    DOMAIN,
    HEADER,
    OTHER,
    WAIT_SECONDS_MAX,
    World,
    bound,
    in_loop,
)

# TLS 1.3 tells a client that it was refused when it reads: the alert comes as it is.
REFUSALS = (httpx2.HTTPError, ssl.SSLError)
SERVICE = sds.SERVICE


class SecretFront(WorkloadFront):
    """The door with secret discovery beside the Workload API."""

    def methods(self, connection):
        assert connection.peer is not None
        return {
            **super().methods(connection),
            **sds.secret_methods(
                connection, self._needs, connection.peer, recheck_seconds=self.limits.recheck_seconds
            ),
        }


@contextlib.asynccontextmanager
async def door(world, path):
    front, listener = SecretFront(world), bound(path)
    await front.start(listener)
    try:
        yield
    finally:
        await front.close()
        listener.close()


async def eventually(ask, holds, folder):
    """Ask until the answer is right, within a limit."""
    said: object = None
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                try:
                    said = await ask()
                    if holds(said):
                        return said
                except (OSError, httpx2.HTTPError) as error:
                    said = error
                await asyncio.sleep(0.1)
    except TimeoutError:
        log = (folder / "envoy.log").read_text(errors="replace")[-4000:]
        raise AssertionError(f"never came true; last: {said!r}\n{log}") from None


@pytest.mark.requirement("FED-15")
def test_envoy_speaks_mtls_with_svids_and_bundles_from_us(tmp_path):
    program = envoy()
    foreign = Authority(OTHER)
    world = World(who=lambda _: (IDENTITY,), others={OTHER: foreign.bundle()})

    async def scenario():
        async with (
            door(world, tmp_path / "door.sock"),
            running(program, tmp_path, tmp_path / "door.sock") as proxy,
        ):
            through = await eventually(proxy.through, lambda got: got.status_code == 200, tmp_path)
            assert through.headers["x-saw"] == str(IDENTITY.id)

            partner = foreign.svid("/partner")
            got = await proxy.from_peer(partner, tmp_path, world)
            assert (got.status_code, got.headers["x-saw"]) == (200, f"spiffe://{OTHER}/partner")
            with pytest.raises(REFUSALS):
                await proxy.from_peer(Authority(OTHER).svid("/partner"), tmp_path, world)
            # The foreign authority certifies a name of ours: Envoy picks the bundle by the name, too.
            with pytest.raises(REFUSALS):
                await proxy.from_peer(foreign.leaf(str(IDENTITY.id)), tmp_path, world)

            before = await asyncio.to_thread(proxy.presented)
            world.rotate()
            issuer = x509.load_der_x509_certificate(world.authority.der).subject

            def renewed(der):
                leaf = x509.load_der_x509_certificate(der)
                return der != before and _signed_by(leaf, world.authority) and leaf.issuer == issuer

            await eventually(lambda: asyncio.to_thread(proxy.presented), renewed, tmp_path)
            again = await eventually(proxy.through, lambda got: got.status_code == 200, tmp_path)
            assert again.headers["x-saw"] == str(IDENTITY.id)

            # Withdrawn: from now on the foreign peer is a stranger.
            world.others.clear()
            world.tell()

            async def is_refused():
                try:
                    await proxy.from_peer(partner, tmp_path, world)
                except REFUSALS:
                    return True
                return False

            await eventually(is_refused, bool, tmp_path)

    in_loop(scenario)


def _signed_by(leaf, authority):
    key = authority.key.public_key()
    try:
        key.verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(leaf.signature_hash_algorithm))
    except Exception:
        return False
    return True


@contextlib.asynccontextmanager
async def opened(path, method="StreamSecrets", header=HEADER):
    message = sds._message
    kind = Cardinality.STREAM_STREAM if method == "StreamSecrets" else Cardinality.UNARY_UNARY
    channel = Channel(path=str(path))
    try:
        async with channel.request(
            SERVICE + method,
            kind,
            message("DiscoveryRequest"),
            message("DiscoveryResponse"),
            metadata=dict(header),
            timeout=WAIT_SECONDS_MAX,
        ) as stream:
            yield stream
    finally:
        channel.close()


async def ending(stream):
    """Its status. Raises GRPCError."""
    await stream.recv_message()
    await stream.recv_trailing_metadata()


def request(*names, **more):
    return sds._message("DiscoveryRequest")(resource_names=names, **more)


def secrets_of(answer):
    found = {}
    for resource in answer.resources:
        assert resource.type_url == answer.type_url == sds.SECRET_TYPE
        one = sds._message("Secret").FromString(resource.value)
        found[one.name] = one
    return found


@pytest.mark.requirement("FED-15")
def test_a_stream_follows_what_is_asked_for_and_pushes_changes_only(tmp_path):
    world = World(who=lambda _: (IDENTITY,))

    async def scenario():
        async with door(world, tmp_path / "door.sock"), opened(tmp_path / "door.sock") as stream:
            await stream.send_message(request("ROOTCA", "stranger"))
            first = await stream.recv_message()
            assert set(secrets_of(first)) == {"ROOTCA"}
            # An acknowledgement and a refusal bring nothing new; another list of names does.
            ack = {"version_info": first.version_info, "response_nonce": first.nonce}
            await stream.send_message(request("ROOTCA", "stranger", **ack))
            refusal = sds._message("Status")(code=3, message="no")
            await stream.send_message(request("ROOTCA", "stranger", error_detail=refusal, **ack))
            await stream.send_message(request("default", f"spiffe://{OTHER}", str(IDENTITY.id)))
            second = secrets_of(await stream.recv_message())
            assert set(second) == {"default", f"spiffe://{OTHER}", str(IDENTITY.id)}
            assert second["default"].tls_certificate.private_key.inline_bytes.startswith(b"-----BEGIN PRIV")
            assert second["default"].validation_context.trusted_ca.inline_bytes == b""
            world.tell()
            world.rotate()
            third = secrets_of(await stream.recv_message())
            assert third["default"] != second["default"]
            await stream.end()
            assert await stream.recv_message() is None

    in_loop(scenario)


@pytest.mark.requirement("FED-15")
def test_secrets_are_given_to_whom_they_belong_and_with_the_header_only(tmp_path):
    world = World(who=lambda _: (IDENTITY,))

    async def told(*names, status, header=HEADER, method="FetchSecrets", **more):
        async with opened(tmp_path / "door.sock", method, header) as stream:
            await stream.send_message(request(*names, **more), end=True)
            with pytest.raises(GRPCError) as error:
                await ending(stream)
            assert error.value.status is status

    async def scenario():
        async with door(world, tmp_path / "door.sock"):
            async with opened(tmp_path / "door.sock", "FetchSecrets") as stream:
                await stream.send_message(request(), end=True)
                every = secrets_of(await stream.recv_message())
            assert set(every) == {
                str(IDENTITY.id),
                f"spiffe://{DOMAIN}",
                f"spiffe://{OTHER}",
                "ROOTCA",
                "ALL",
            }
            await told("default", status=Status.INVALID_ARGUMENT, header={})
            await told("default", status=Status.INVALID_ARGUMENT, type_url="another")
            await told(*(str(n) for n in range(257)), status=Status.INVALID_ARGUMENT)
            await told(f"spiffe://{DOMAIN}/somebody/else", status=Status.NOT_FOUND)
            world.who = lambda _: ()
            await told("default", status=Status.PERMISSION_DENIED)
            await told("ALL", status=Status.PERMISSION_DENIED, method="StreamSecrets")
            world.who, world.is_ready = (lambda _: (IDENTITY,)), False
            await told("ALL", status=Status.UNAVAILABLE)

    in_loop(scenario)
