"""The contract suite on every source of bundles, and what only one of them can get wrong."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from base64 import b64encode
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from answerable.adapters.bundle_files import FileBundle
from answerable.adapters.workload_api_client import WorkloadApiBundle, WorkloadApiSvid
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid.federation import federation_source
from answerable.core.identity.svid.trust_bundle import encoded_bundle
from answerable.errors import AnswerableError, Unavailable
from answerable.testing.contracts.bundle_endpoint import BundleEndpointContract
from tests.worlds.federation import (
    Authority,
    WallClock,
    answer,
    context_of,
    jwk,
    serving,
    spiffe_endpoint,
    web_endpoint,
)

pytestmark = pytest.mark.anyio

DOMAIN = "partner.example"
AUTHORITIES = tuple(Authority(DOMAIN) for _ in range(2))
SERVER = Path(__file__).parent / "their_workload_api.py"
SECONDS_MAX = 30


class Bundles(BundleEndpointContract):
    def first(self):
        return AUTHORITIES[0].bundle()

    def second(self):
        return AUTHORITIES[1].bundle(sequence=2, kids=("jwt-2",))

    def foreign(self):
        return Authority("bank.example").bundle()


class HttpPlace:
    def __init__(self, endpoint, routes, server):
        self.endpoint, self.routes, self.server = endpoint, routes, server

    def show(self, bundle):
        self.routes["/bundle.json"] = answer(encoded_bundle(bundle))

    def spoil(self):
        self.routes["/bundle.json"] = answer(b"<html>")

    async def remove(self):
        self.routes["/bundle.json"] = answer(b"", status="503 Service Unavailable")


@pytest.mark.requirement("FED-14")
@pytest.mark.requirement("FED-02")
class TestSpiffeEndpoint(Bundles):
    @asynccontextmanager
    async def place(self, tmp_path):
        routes: dict[str, bytes] = {}
        async with serving(context_of(AUTHORITIES[0].svid(), tmp_path), routes) as server:
            place = HttpPlace(spiffe_endpoint(DOMAIN, server.url(), known=self.first()), routes, server)
            place.show(self.first())
            yield place


@pytest.mark.requirement("FED-14")
@pytest.mark.requirement("FED-03")
class TestWebEndpoint(Bundles):
    @asynccontextmanager
    async def place(self, tmp_path):
        routes: dict[str, bytes] = {}
        web = Authority()
        (tmp_path / "ca.pem").write_bytes(web.pem)
        async with serving(context_of(web.leaf("127.0.0.1"), tmp_path), routes) as server:
            endpoint = web_endpoint(DOMAIN, server.url(), ca=str(tmp_path / "ca.pem"))
            place = HttpPlace(endpoint, routes, server)
            place.show(self.first())
            yield place


class FilePlace:
    def __init__(self, path):
        self.path = path
        source = federation_source(f"{DOMAIN} file {path}")
        self.endpoint = FileBundle(source=source, look_seconds=0.02)

    def show(self, bundle):
        self.path.with_suffix(".new").write_bytes(encoded_bundle(bundle))
        self.path.with_suffix(".new").rename(self.path)

    def spoil(self):
        self.path.write_bytes(b"half a bun")

    async def remove(self):
        self.path.unlink()


@pytest.mark.requirement("FED-13")
@pytest.mark.requirement("FED-14")
class TestFileBundle(Bundles):
    @asynccontextmanager
    async def place(self, tmp_path):
        place = FilePlace(tmp_path / "bundle.json")
        place.show(self.first())
        yield place

    async def test_a_wait_ends_when_the_file_changes(self, tmp_path):
        async with self.place(tmp_path) as place:
            await place.endpoint.fetch()
            for change in (lambda: place.show(self.second()), place.path.unlink):
                with anyio.fail_after(SECONDS_MAX):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(place.endpoint.wait, 10_000)
                        await anyio.sleep(0.05)
                        change()
                with suppress(Unavailable):
                    await place.endpoint.fetch()

    async def test_a_pipe_or_a_giant_in_the_place_of_the_file_holds_nothing_up(self, tmp_path):
        async with self.place(tmp_path) as place:
            place.path.unlink()
            os.mkfifo(place.path)
            with pytest.raises(Unavailable), anyio.fail_after(SECONDS_MAX):
                await place.endpoint.fetch()
            place.path.unlink()
            with place.path.open("wb") as file:
                file.truncate(1 << 40)
            with pytest.raises(Unavailable) as told:
                await place.endpoint.fetch()
            assert told.value.code == "bundle.answer"


class ApiPlace:
    """The server of others, in a process of its own."""

    def __init__(self, folder):
        self.socket, self.file = folder / "api.sock", folder / "state.json"
        self.endpoint = WorkloadApiBundle(
            source=federation_source(f"{DOMAIN} workload_api unix://{self.socket}"), fetch_seconds_max=10
        )
        self.process = None

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVER), str(self.socket), str(self.file), stdout=asyncio.subprocess.PIPE
        )
        with anyio.fail_after(SECONDS_MAX):
            assert self.process.stdout is not None
            assert await self.process.stdout.readline() == b"serving\n"

    def write(self, state):
        self.file.with_suffix(".new").write_text(json.dumps(state))
        self.file.with_suffix(".new").rename(self.file)

    def show(self, bundle):
        # As SPIRE writes its JWK Set: `kid`, and no `use`.
        keys = [json.loads(text) | {"kid": kid} for kid, text in bundle.jwt_authorities.items()]
        x509 = [b64encode(one).decode() for one in bundle.x509_authorities]
        ours = {"x509": x509, "jwks": {"keys": keys}}
        other = Authority("bank.example")
        theirs = {
            "x509": [b64encode(other.der).decode()],
            "jwks": {"keys": [jwk(other.key.public_key()) | {"kid": "b"}]},
        }
        self.write({"bundles": {f"spiffe://{bundle.trust_domain}": ours, "spiffe://bank.example": theirs}})

    def spoil(self):
        self.write(
            {"bundles": {f"spiffe://{DOMAIN}": {"x509": [b64encode(b"0\x03abc").decode()], "jwks": {}}}}
        )

    async def remove(self):
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.socket.unlink(missing_ok=True)


@asynccontextmanager
async def api_place(tmp_path):
    place = ApiPlace(tmp_path)
    place.show(AUTHORITIES[0].bundle())
    await place.start()
    try:
        yield place
    finally:
        await place.remove()


@pytest.mark.requirement("FED-12")
@pytest.mark.requirement("FED-14")
class TestWorkloadApiBundle(Bundles):
    def place(self, tmp_path):
        return api_place(tmp_path)

    async def test_a_wait_ends_when_another_bundle_is_pushed_also_after_a_restart(self, tmp_path):
        async with self.place(tmp_path) as place:
            await place.endpoint.fetch()
            with anyio.fail_after(SECONDS_MAX):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(place.endpoint.wait, 10_000)
                    await anyio.sleep(0.3)
                    place.show(self.second())
            await place.endpoint.fetch()
            with anyio.fail_after(SECONDS_MAX):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(place.endpoint.wait, 10_000)
                    await anyio.sleep(0.3)
                    await place.remove()
                    place.show(self.first())
                    await place.start()
            assert (await place.endpoint.fetch()).x509_authorities == self.first().x509_authorities

    async def test_a_domain_that_is_not_there_was_withdrawn(self, tmp_path):
        async with self.place(tmp_path) as place:
            place.show(self.foreign())
            with pytest.raises(Unavailable) as told:
                await place.endpoint.fetch()
            assert told.value.code == "bundle.withdrawn"

    async def test_a_caller_that_is_nobody_there_is_told_so(self, tmp_path):
        async with self.place(tmp_path) as place:
            place.write({"denied": True})
            with pytest.raises(Unavailable) as told:
                await place.endpoint.fetch()
            assert "PERMISSION_DENIED" in told.value.message


def svid_state(authority, leaf, *, name="/w", key=None, bundle=None):
    def b64(octets):
        return b64encode(octets).decode()

    return {
        "svids": [
            {
                "id": f"spiffe://{authority.domain}{name}",
                "chain": [b64(one) for one in leaf.chain],
                "key": b64(key or leaf.pkcs8),
                "bundle": [b64(bundle or authority.der)],
            }
        ]
    }


def api_svid(place, wanted=None, **how):
    return WorkloadApiSvid(address=f"unix://{place.socket}", clock=WallClock(), wanted=wanted, **how)


@pytest.mark.requirement("FED-12")
async def test_our_svid_is_the_one_of_this_moment_also_after_a_restart_and_none_once_it_is_withdrawn(
    tmp_path,
):
    authority = AUTHORITIES[0]
    leaves = [authority.svid("/w") for _ in range(3)]
    name = spiffe_id(f"spiffe://{DOMAIN}/w")
    async with api_place(tmp_path) as place:
        source = api_svid(place)
        with anyio.fail_after(SECONDS_MAX):
            for leaf in leaves:
                place.write(svid_state(authority, leaf))
                found = await source.x509()
                assert (found.id, found.chain, found.key) == (name, leaf.chain, leaf.pkcs8)
                assert repr(leaf.pkcs8) not in repr(found)
                await place.remove()
                with pytest.raises(Unavailable) as told:
                    await source.x509()
                assert told.value.code == "workload_api.unreachable"
                await place.start()
            both = {"svids": [*svid_state(authority, leaves[0])["svids"], *other_svid(authority)["svids"]]}
            place.write(both)
            assert (await source.x509()).id == name
            assert str((await api_svid(place, spiffe_id(f"spiffe://{DOMAIN}/other")).x509()).id).endswith(
                "/other"
            )
            for state, wanted, code in (
                (both, "/third", "workload_api.none"),
                ({"svids": []}, "", "workload_api.none"),
                ({"denied": True}, "", "workload_api.denied"),
            ):
                place.write(state)
                asked = api_svid(place, spiffe_id(f"spiffe://{DOMAIN}{wanted}") if wanted else None)
                with pytest.raises(Unavailable) as told:
                    await asked.x509()
                assert told.value.code == code


def other_svid(authority):
    return svid_state(authority, authority.svid("/other"), name="/other")


@pytest.mark.requirement("FED-12")
async def test_a_token_of_ours_is_for_the_audience_that_was_asked_for(tmp_path):
    """What it says is for whoever it is shown to; here it is only fetched."""
    async with api_place(tmp_path) as place:
        place.write({"jwt_svids": [{"id": f"spiffe://{DOMAIN}/w"}]})
        with anyio.fail_after(SECONDS_MAX):
            assert await api_svid(place).jwt("for-us") == f"token of spiffe://{DOMAIN}/w for for-us"
            place.write({"jwt_svids": []})
            with pytest.raises(Unavailable) as told:
                await api_svid(place).jwt("for-us")
            assert told.value.code == "workload_api.none"
            place.write({"denied": True})
            with pytest.raises(Unavailable) as told:
                await api_svid(place).jwt("for-us")
            assert told.value.code == "workload_api.denied"


@pytest.mark.requirement("FED-12")
async def test_a_workload_api_that_does_not_answer_is_not_waited_for_for_ever(tmp_path):
    """A socket that takes connections, and nobody behind it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute"))
        listener.listen()
        mute = WorkloadApiSvid(
            address=f"unix://{tmp_path / 'mute'}", clock=WallClock(), fetch_seconds_max=0.2
        )
        for asked in (mute.x509(), mute.jwt("for-us")):
            with anyio.fail_after(SECONDS_MAX), pytest.raises(Unavailable) as told:
                await asked
            assert told.value.code == "workload_api.unreachable"


@pytest.mark.requirement("FED-12")
@pytest.mark.parametrize(
    "wrong",
    [
        lambda a, leaf: svid_state(a, leaf, key=a.svid("/w").pkcs8),
        lambda a, leaf: svid_state(a, leaf, key=b"no key"),
        lambda a, leaf: svid_state(a, leaf, name="/other"),
        lambda a, leaf: svid_state(a, leaf, bundle=Authority(DOMAIN).der),
        lambda a, leaf: svid_state(a, leaf, bundle=b"\x30\x80"),
    ],
)
async def test_an_svid_that_does_not_verify_is_not_taken(tmp_path, wrong):
    async with api_place(tmp_path) as place:
        place.write(wrong(AUTHORITIES[0], AUTHORITIES[0].svid("/w")))
        with anyio.fail_after(SECONDS_MAX), pytest.raises(AnswerableError) as told:
            await api_svid(place).x509()
        assert not isinstance(told.value, Unavailable)
