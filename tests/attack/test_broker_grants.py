"""Attacks on brokering as the product has it: a broker that asks for more than it was listed for, or is not listed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from answerable.adapters.linux_process.observer import LinuxProcessObserver
from answerable.apps.workload_api import ConnectionLimits, Doors
from answerable.apps.workload_api.error_details import DetailedStatus, WireCodec
from answerable.apps.workload_api.messages import schema
from answerable.apps.workload_api.product_needs import WorkloadNeeds
from answerable.core.identity.workload.broker_grant import broker_grants
from answerable.core.ledger.tags import Tag
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.trust_domain.tell_watchers import Watchers
from answerable.flows.trust_domain.workloads import Workloads
from answerable.testing.builders import Bench
from answerable.verify.leaf_rules import read_leaf
from answerable.verify.leaf_shapes import SvidLeaf
from tests.worlds.enrolment import DOMAIN, attested_documents, enrolling
from tests.worlds.parts import to_apply
from tests.worlds.workload_api import BROKER_HEADER, answer_of, asked, opened, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.requirement("WAPI-13"),
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word is Linux's"),
]

X509 = "/spiffe.broker.API/SubscribeToX509SVID"
JWT = "/spiffe.broker.API/FetchJWTSVID"
METHODS = [path for path in schema().methods if path.startswith("/spiffe.broker.API")]
UID = f"unix:uid:{os.getuid()}"
# This process is rover; scout is whatever runs a copy of `sleep` that is called `scout`.
OURS = f"unix:path:{os.path.realpath('/proc/self/exe')}"


def documents(place: Path, *, broker: bool = True) -> list[dict[str, Any]]:
    found = attested_documents({"scout": [[f"unix:path:{place / 'scout'}", UID]], "rover": [[OURS, UID]]})
    for one in found:
        if one["kind"] == "Agent" and one["metadata"]["name"] == "rover":
            one["spec"]["broker"] = broker
    return found


@contextlib.contextmanager
def started(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this program, which is a copy of `sleep`."""
    if not program.exists():
        shutil.copy(os.path.realpath(shutil.which("sleep") or "sleep"), program)
    with subprocess.Popen([program, "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def brokering(
    place: Path, *grants: str, broker: bool = True
) -> AsyncIterator[tuple[Channel, Bench, Workloads]]:
    """The product's own door, which this process asks for others under these settings."""
    bench, workloads = await enrolling(documents(place, broker=broker))
    workloads.observer = LinuxProcessObserver()
    parts = SimpleNamespace(desk=workloads.trust, seen=DiscoveredAssets(), changes=Watchers())
    needs = WorkloadNeeds(cast("Any", parts), workloads, brokers=broker_grants(grants, own=DOMAIN))
    limits = ConnectionLimits(recheck_seconds=0.05)
    async with (
        serving(needs, place / "api", doors=Doors(broker=True), limits=limits),
        Channel(path=str(place / "api"), codec=WireCodec(), status_details_codec=DetailedStatus()) as client,
    ):
        yield client, bench, workloads


def about(path: str, pid: int) -> Any:
    made = schema().methods[path].takes()
    made.reference.reference.Pack(schema().message("spiffe.broker.WorkloadPIDReference")(pid=pid))
    if path == JWT:
        made.audience.append("billing")
    return made


async def refusal(client: Channel, path: str, pid: int) -> tuple[Status, str]:
    with pytest.raises(GRPCError) as caught:
        await asked(client, path, about(path, pid), metadata=BROKER_HEADER)
    return caught.value.status, caught.value.message or ""


DENIED = (Status.PERMISSION_DENIED, "no identity issued: workload_api.no_broker")


@pytest.mark.parametrize("workload", ["agent:scout", "spiffe://example.test/agent/scout", "its path"])
@pytest.mark.parametrize("broker", ["agent:rover", "spiffe://example.test/agent/rover", UID])
async def test_what_a_listed_broker_fetches_names_it_in_the_ledger(tmp_path, broker: str, workload: str):
    reach = f"unix:path:{tmp_path / 'scout'}" if workload == "its path" else workload
    async with brokering(tmp_path, f"{broker} {reach}") as (client, bench, _):
        with started(tmp_path / "scout") as process:
            answer = await asked(client, X509, about(X509, process.pid), metadata=BROKER_HEADER)
            token = await asked(client, JWT, about(JWT, process.pid), metadata=BROKER_HEADER)
    name = answer.svids[0].spiffe_id
    assert name.startswith("spiffe://example.test/agent/scout/")
    assert [one.spiffe_id for one in token.svids] == [name]
    issued = bench.entries(Tag.SVID_ISSUED)
    assert [(one["instance"], one["kind"]) for one in issued] == [(name, "x509"), (name, "jwt")]
    (through,) = {one["broker"] for one in issued}
    (own,) = [one for one in bench.entries(Tag.WORKLOAD_ENROLLED) if one["agent"] == "rover"]
    assert through == own["instance"]
    leaves = [read_leaf(one.leaf) for one in bench.recorder.ledger.replay() if one.tag == Tag.SVID_ISSUED]
    assert [leaf.broker for leaf in leaves if isinstance(leaf, SvidLeaf)] == [through] * 2


@pytest.mark.parametrize(
    "grants",
    [(), ("agent:scout agent:rover",), ("unix:uid:4711 agent:scout",)],
    ids=["nobody", "another", "user"],
)
async def test_a_registered_broker_that_the_settings_do_not_list_fetches_nothing(tmp_path, grants):
    async with brokering(tmp_path, *grants) as (client, bench, _):
        with started(tmp_path / "scout") as process:
            for path in METHODS:
                answers = {
                    await refusal(client, path, pid) for pid in (process.pid, os.getpid(), 1, 2**22 + 1)
                }
                assert answers == {DENIED}, path
        assert bench.entries(Tag.SVID_ISSUED) == []
        assert bench.entries(Tag.WORKLOAD_ENROLLED) == []


async def test_a_listed_process_whose_agent_is_not_registered_as_a_broker_fetches_nothing(tmp_path):
    async with brokering(tmp_path, "agent:rover agent:scout", broker=False) as (client, bench, _):
        with started(tmp_path / "scout") as process:
            assert {await refusal(client, path, process.pid) for path in METHODS} == {DENIED}
        assert bench.entries(Tag.SVID_ISSUED) == []


async def test_a_broker_gets_nothing_for_processes_beside_those_it_is_listed_for(tmp_path):
    """Its own, one of no agent, and one of an agent that is another's to broker for."""
    async with brokering(
        tmp_path, f"agent:rover unix:path:{tmp_path / 'else'}", "agent:scout agent:scout"
    ) as (
        client,
        bench,
        _,
    ):
        with started(tmp_path / "scout") as scout, started(tmp_path / "nobody") as nobody:
            for path in METHODS:
                answers = {await refusal(client, path, pid) for pid in (scout.pid, nobody.pid, os.getpid())}
                assert answers == {DENIED}, path
        assert bench.entries(Tag.SVID_ISSUED) == []
        assert bench.entries(Tag.WORKLOAD_ENROLLED) == []


async def test_a_broker_loses_what_it_streams_when_it_is_ended_or_registered_as_one_no_longer(tmp_path):
    async with brokering(tmp_path, "agent:rover agent:scout") as (client, bench, workloads):
        with started(tmp_path / "scout") as process:
            async with opened(client, X509, BROKER_HEADER) as stream:
                await stream.send_message(about(X509, process.pid), end=True)
                assert (await answer_of(stream)).svids
                await apply_registry(*to_apply(bench.walk), documents(tmp_path, broker=False), by="operator")
                assert await stream.recv_message() is None
                with pytest.raises(GRPCError) as caught:
                    await stream.recv_trailing_metadata()
                assert (caught.value.status, caught.value.message) == DENIED
            await apply_registry(*to_apply(bench.walk), documents(tmp_path), by="operator")
            (through,) = {one["broker"] for one in bench.entries(Tag.SVID_ISSUED)}
            (own,) = [one for one in workloads.instances.live() if str(one.id) == through]
            await end_instance(workloads, own.id, because="operator.ended", by="uid:0")
            status, message = await refusal(client, JWT, process.pid)
            assert (status, message) == (Status.PERMISSION_DENIED, "no identity issued: instance.ended")
        assert len(bench.entries(Tag.SVID_ISSUED)) == 1
        assert json.dumps(bench.entries(Tag.WORKLOAD_ENDED)).count(through) == 1
