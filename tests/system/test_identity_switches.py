"""What the settings of the trust domain switch on, as `answerable up` serves it.

Bundle endpoints of both profiles between two servers, and beside the Workload API WIT-SVIDs, the Broker API and secret
discovery.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from answerable.apps.workload_api import sds
from answerable.apps.workload_api.messages import schema
from answerable.core.ledger.tags import Tag
from tests.interop.workload_clients import PYTHON_CLIENT
from tests.stand_ins.ports import free_port
from tests.worlds.federation import Authority
from tests.worlds.up import (
    SETTINGS,
    WAIT_SECONDS_MAX,
    Attached,
    House,
    attached,
    house,
    openssl_believes,
    registry,
    until,
)
from tests.worlds.workload_api import BROKER_HEADER, HEADER, asked

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's"),
]
OURS, THEIRS = "ours.example", "theirs.example"
UID = f"unix:uid:{os.geteuid()}"
PROGRAM = f"unix:path:{os.path.realpath('/proc/self/exe')}"
HELPER = registry(helper=[[UID]])
API = "/SpiffeWorkloadAPI"
BROKERED = "/spiffe.broker.API/SubscribeToX509SVID"


@contextlib.asynccontextmanager
async def federated(place: Path) -> AsyncIterator[tuple[House, House]]:
    """Ours presents its own SVID, theirs a certificate of the web; each knows the other by one line of its settings."""
    for name in ("ours", "theirs"):
        (place / name).mkdir()
    web, at, there = Authority(), free_port(), free_port()
    (place / "ca.pem").write_bytes(web.pem)
    for name, content in zip(("web.pem", "web.key"), web.leaf("127.0.0.1").pem(), strict=True):
        (place / name).write_bytes(content)
        (place / name).chmod(0o600)
    believed = f"{THEIRS} https_web https://127.0.0.1:{there}/bundle.json {place / 'ca.pem'}"
    settings = f'{SETTINGS}trust_domain = "{OURS}"\nbundle_port = {at}\nfederation = ["{believed}"]\n'
    async with house(place / "ours", settings) as ours:
        await ours.start()
        (place / "ours.json").write_text(await asyncio.to_thread(ours.command, "trust", "bundle"))
        line = (
            f"{OURS} https_spiffe https://127.0.0.1:{at}/bundle.json spiffe://{OURS}/answerable/gateway "
            f"{place / 'ours.json'}"
        )
        settings = (
            f'{SETTINGS}trust_domain = "{THEIRS}"\nbundle_port = {there}\nfederation = ["{line}"]\n'
            f'bundle_certificate = "file:{place / "web.pem"}"\nbundle_key = "file:{place / "web.key"}"\n'
        )
        async with house(place / "theirs", settings) as theirs:
            await theirs.start()
            for home in (ours, theirs):
                await asyncio.to_thread(home.apply, HELPER)
            yield ours, theirs


async def until_foreign(reader: Attached, domain: str, *, without: str = "", count: int = 1) -> list[str]:
    """The authorities of a foreign domain as a workload of others holds them, once they are as wanted."""

    def found() -> list[str]:
        held: list[str] = reader.svid["foreign"].get(domain, []) if reader.serials else []
        return held if len(held) == count and without not in held else []

    authorities: list[str] = await until(found, f"{count} authorities of {domain}")
    return authorities


async def judged(home: House, token: str) -> str:
    """The subject of a JWT-SVID, as the Workload API of this house judges it."""
    async with Channel(path=str(home.api)) as client:
        path = f"{API}/ValidateJWTSVID"
        return str(
            (
                await asked(client, path, schema().methods[path].takes(audience="billing", svid=token))
            ).spiffe_id
        )


@pytest.mark.requirement("FED-16")
async def test_two_servers_believe_each_other_by_bundle_endpoints_of_both_profiles_until_the_line_is_out(
    tmp_path,
):
    async with (
        federated(tmp_path) as (ours, theirs),
        attached(ours.api, "here", *PYTHON_CLIENT) as here,
        attached(theirs.api, "there", *PYTHON_CLIENT) as there,
    ):
        of_theirs, of_ours = await until_foreign(here, THEIRS), await until_foreign(there, OURS)
        assert (of_theirs, of_ours) == (there.svid["roots"], here.svid["roots"])
        # Each is believed by the other's own authorities and by no others.
        for shower, known, own in ((there, of_theirs, of_ours), (here, of_ours, of_theirs)):
            assert await asyncio.to_thread(openssl_believes, shower.svid["leaf"], known)
            assert not await asyncio.to_thread(openssl_believes, shower.svid["leaf"], own)
        token = (await there.asked("token billing"))["text"]
        assert await judged(ours, token) == there.svid["id"]
        # To believe is not to be believed: without its line, we are strangers to them at their next start.
        await theirs.stop(signal.SIGTERM)
        settings = theirs.data / "answerable.toml"
        kept = [one for one in settings.read_text().splitlines() if not one.startswith("federation")]
        settings.write_text("\n".join(kept))
        await theirs.start()
        await until(lambda: OURS not in there.svid["foreign"], "the end of belief")
        foreign = (await here.asked("token billing"))["text"]
        with pytest.raises(GRPCError) as told:
            await judged(theirs, foreign)
        assert told.value.status is Status.INVALID_ARGUMENT
        assert await judged(ours, (await there.asked("token billing"))["text"]) == there.svid["id"]


@pytest.mark.slow
@pytest.mark.requirement("FED-16")
async def test_a_rotation_and_a_mass_revocation_reach_the_other_domain_by_the_endpoint(tmp_path):
    async with (
        federated(tmp_path) as (ours, theirs),
        attached(ours.api, "here", *PYTHON_CLIENT) as here,
        attached(theirs.api, "there", *PYTHON_CLIENT) as there,
    ):
        (first,) = await until_foreign(there, OURS)
        (old,) = ours.authorities()
        withdrawn = (await here.next_svid(0))["leaf"]
        # Announced, fetched, in force: the endpoint's own SVID is of the new authority from here on.
        await asyncio.to_thread(ours.command, "trust", "rotate", "--yes")
        await until_foreign(there, OURS, count=2)
        await asyncio.to_thread(ours.command, "trust", "rotate", "--now", "--yes")
        count = len(here.serials)
        await asyncio.to_thread(ours.command, "trust", "remove", old, "--yes")
        await here.next_svid(count, authorities=1)
        known = await until_foreign(there, OURS, without=first)
        assert await asyncio.to_thread(openssl_believes, here.svid["leaf"], known)
        assert not await asyncio.to_thread(openssl_believes, withdrawn, known)


@contextlib.contextmanager
def sleeping() -> Iterator[int]:
    """A workload that asks for nothing itself."""
    with subprocess.Popen(["sleep", str(WAIT_SECONDS_MAX)]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


async def secrets(client: Channel, *names: str) -> set[str]:
    """Names of what Envoy would be given."""
    takes, gives = sds._message("DiscoveryRequest"), sds._message("DiscoveryResponse")
    kind = Cardinality.UNARY_UNARY
    path = f"{sds.SERVICE}FetchSecrets"
    async with client.request(path, kind, takes, gives, metadata=HEADER, timeout=WAIT_SECONDS_MAX) as stream:
        await stream.send_message(takes(resource_names=names), end=True)
        answer = await stream.recv_message()
        if answer is None:
            await stream.recv_trailing_metadata()
            raise AssertionError("no answer and no reason")
        return {sds._message("Secret").FromString(one.value).name for one in answer.resources}


def about(pid: int) -> Any:
    made = schema().methods[BROKERED].takes()
    made.reference.reference.Pack(schema().message("spiffe.broker.WorkloadPIDReference")(pid=pid))
    return made


@pytest.mark.requirement("WAPI-14")
async def test_without_their_switches_wit_svids_brokering_and_secret_discovery_are_not_there(tmp_path):
    async with house(tmp_path) as home:
        await home.start()
        await asyncio.to_thread(home.apply, HELPER)
        async with Channel(path=str(home.api)) as client:
            for call in (
                asked(client, f"{API}/FetchWITSVID"),
                asked(client, f"{API}/FetchWITBundles"),
                asked(client, BROKERED, about(os.getpid()), metadata=BROKER_HEADER),
                secrets(client, "default"),
            ):
                with pytest.raises(GRPCError) as told:
                    await call
                assert told.value.status is Status.UNIMPLEMENTED
            assert (await asked(client, f"{API}/FetchX509SVID")).svids


@pytest.mark.requirement("WAPI-14")
async def test_with_their_switches_they_are_served_and_recorded(tmp_path):
    """This process is `relay`, the only broker; a `sleep` is `helper`, the only workload it may fetch for."""
    documents = registry(helper=[[UID]], relay=[[UID, PROGRAM]])
    spec = "metadata: {name: relay}\nspec:\n"
    documents = documents.replace(spec, f"{spec}  broker: true\n")
    switches = 'wit = true\nbroker = true\nsds = true\nbrokers = ["agent:relay agent:helper"]\n'
    async with house(tmp_path, SETTINGS + switches) as home:
        await home.start()
        await asyncio.to_thread(home.apply, documents)
        with sleeping() as pid:
            async with Channel(path=str(home.api)) as client:
                (svid,) = (await asked(client, f"{API}/FetchWITSVID")).svids
                keys = (await asked(client, f"{API}/FetchWITBundles")).bundles["spiffe://answerable.local"]
                (fetched,) = (await asked(client, BROKERED, about(pid), metadata=BROKER_HEADER)).svids
                with pytest.raises(GRPCError) as told:
                    await asked(client, BROKERED, about(os.getpid()), metadata=BROKER_HEADER)
                assert told.value.status is Status.PERMISSION_DENIED
                assert await secrets(client, "default", "ALL") == {"default", "ALL"}
        assert svid.spiffe_id.startswith("spiffe://answerable.local/agent/relay/")
        assert fetched.spiffe_id.startswith("spiffe://answerable.local/agent/helper/")
        read = jwt.decode(svid.wit_svid, KeySet.import_key_set(_for_signatures(keys)), algorithms=["ES256"])
        assert (read.header["typ"], read.claims["sub"]) == ("wit+jwt", svid.spiffe_id)
        bound, held = read.claims["cnf"]["jwk"], json.loads(svid.wit_svid_key)
        assert ECKey.import_key(bound).thumbprint() == ECKey.import_key(held).thumbprint()
        await home.stop(signal.SIGTERM)
        issued = [(one["kind"], one["instance"], one.get("broker")) for one in home.entries(Tag.SVID_ISSUED)]
        assert ("wit", svid.spiffe_id, None) in issued
        assert ("x509", fetched.spiffe_id, svid.spiffe_id) in issued
        assert ("x509", svid.spiffe_id, None) in issued


@pytest.mark.requirement("WAPI-09")
async def test_where_others_could_answer_in_its_place_the_workload_api_stays_shut_and_the_gateway_serves(
    tmp_path,
):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    async with house(tmp_path, f'{SETTINGS}socket = "{folder / "workload.sock"}"\n') as home:
        await home.start()
        await asyncio.to_thread(home.apply, HELPER)
        assert "the Workload API is not started" in home.said
        with pytest.raises(OSError):
            async with Channel(path=str(folder / "workload.sock")) as client:
                await asked(client, f"{API}/FetchX509SVID")
        await asyncio.to_thread(home.command, "agent", "up", "--agent", "helper", "--", "true")


def _for_signatures(keys: str) -> Any:
    """A bundle's keys have uses of SPIFFE, which other libraries do not know."""
    found = json.loads(keys)
    return {"keys": [{name: value for name, value in one.items() if name != "use"} for one in found["keys"]]}
