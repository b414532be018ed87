"""A manifest says which program its agent is: the kernel is asked, and nobody's word takes its answer back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from answerable.apps.workload_api.peer import PeerProcess
from answerable.apps.workload_api.product_needs import WorkloadNeeds
from answerable.core.ledger.tags import Tag
from answerable.core.registry.manifests.manifest import form_of, manifest_digest, manifest_of
from answerable.core.registry.manifests.manifest_drift import Measured
from answerable.errors import Malformed
from answerable.flows.trust_domain.tell_watchers import Watchers
from answerable.flows.workloads.enrol_workload import enrol, renew
from answerable.flows.workloads.follow_manifests import compare_running
from answerable.sdk.enrolment import MadeOf
from answerable.testing.contracts.manifest_register import sample_manifest
from answerable.wiring.identity import Identity
from tests.attack.test_drift_laundering import MADE, acted, code_of, found, manifest, seen
from tests.worlds.enrolment import (
    PATH,
    UID,
    InventedProcesses,
    attested_documents,
    enrolling,
    evidence_of,
    fresh_key,
    key_of,
    served,
)

if TYPE_CHECKING:
    from answerable.core.identity.workload.evidence import Evidence
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.registry.manifests.manifest import Manifest
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.testing.builders import Bench

pytestmark = pytest.mark.anyio

SLEEP = Path(shutil.which("sleep") or "").resolve()
OURS, OTHERS = "a" * 64, "b" * 64
COMPILED = replace(
    MADE, prompt_digest="", code_digest="", tools_digest="", executable_digest=f"sha256:{OURS}"
)


def running(digest: str) -> Evidence:
    return evidence_of(PATH, UID, "unix:gid:1000", f"unix:sha256:{digest}")


def said(digest: str) -> Measured:
    return Measured(values={"executable_digest": (f"sha256:{digest}", "sidecar")})


def by_kernel(digest: str) -> Measured:
    return Measured(values={"executable_digest": (f"sha256:{digest}", "kernel")})


async def world(
    made: Manifest = COMPILED, rule: str = "refuse", **more: tuple[str, ...]
) -> tuple[Bench, Workloads]:
    bench, workloads = await enrolling(attested_documents(drift=rule), **more)
    await bench.issue()
    await manifest(bench, made)
    return bench, workloads


def child_of_ours() -> subprocess.Popen[bytes]:
    return subprocess.Popen([SLEEP, "600"])


async def enrolled(workloads: Workloads, digest: str, told: Measured | None, **more: object) -> Instance:
    return await enrol(
        workloads,
        evidence=running(digest),
        key=key_of("i-1"),
        process="boot:1:1",
        measured=told,
        agent_up=bool(more.get("agent_up")),
    )


@pytest.mark.requirement("MANIFEST-17")
async def test_the_kernels_word_about_the_program_is_a_match_of_grade_kernel() -> None:
    bench, workloads = await world(sidecars=("agent-up",))
    one = await enrolled(workloads, OURS, None)
    assert one.manifest_fields == (("executable_digest", "kernel"),)
    await acted(bench, seen(workloads, "i-1"))
    (intent,) = bench.entries(Tag.INTENT)
    assert intent["manifest_fields"] == {"executable_digest": "kernel"}
    # The model is still nobody's but the owner's word.
    assert intent["manifest_grade"] == "claimed"
    alone = replace(COMPILED, model_name="", model_version="", framework_name="", framework_version="")
    await manifest(bench, alone, at=1)
    await compare_running(workloads, {})
    assert seen(workloads, "i-1").manifest_grade == "kernel"


@pytest.mark.requirement("MANIFEST-17")
@pytest.mark.parametrize(
    "told", [None, said(OURS), by_kernel(OURS)], ids=["silent", "measured", "as the kernel"]
)
async def test_another_program_is_drift_whatever_it_says_of_itself(told: Measured | None) -> None:
    bench, workloads = await world(sidecars=("agent-up",))
    assert await code_of(enrolled(workloads, OTHERS, told)) == "manifest.drifted"
    assert bench.entries(Tag.WORKLOAD_ENROLLED) == []


@pytest.mark.requirement("MANIFEST-17")
async def test_a_program_that_the_kernel_cannot_name_is_not_let_in_by_its_own_word() -> None:
    _, workloads = await world(sidecars=("agent-up",))
    asked = enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="b:1:1", measured=said(OURS))
    assert await code_of(asked) == "manifest.unmeasured"


@pytest.mark.requirement("MANIFEST-17")
async def test_no_sidecar_takes_back_what_the_kernel_said_of_the_agent_that_it_started() -> None:
    """The sidecar reads the file that it is told to start; what runs then is what the kernel says."""
    bench, workloads = await world(rule="mark", sidecars=("agent-up",))
    one = await enrolled(workloads, OTHERS, said(OURS), agent_up=True)
    # It is not the sidecar's own program that counts, and until the kernel was asked the sidecar's word does.
    assert (one.manifest_fields, one.drift) == ((("executable_digest", "sidecar"),), ())
    shown = {"evidence": running(OTHERS), "agent_up": True}
    again = await renew(workloads, one.id, program=by_kernel(OTHERS), measured=said(OURS), **shown)
    assert (again.drift, again.manifest_fields) == (("executable_digest",), ())
    for told in (said(OURS), Measured(values={"executable_digest": (f"sha256:{OURS}", "claimed")}), None):
        assert (await renew(workloads, one.id, measured=told, **shown)).drift == ("executable_digest",)
    assert seen(workloads, "i-1").drifted
    # A manifest that comes later is held against the kernel's word as well.
    await manifest(bench, replace(COMPILED, tier=3), at=1)
    await compare_running(workloads, {})
    assert found(workloads, one).drift == ("executable_digest",)
    whole = await renew(workloads, one.id, program=by_kernel(OURS), **shown)
    assert (whole.drift, whole.manifest_fields) == ((), (("executable_digest", "kernel"),))


@pytest.mark.requirement("MANIFEST-17")
async def test_who_is_no_sidecar_cannot_name_another_process_for_itself() -> None:
    _, workloads = await world(sidecars=("agent-up",))
    asked = enrol(
        workloads,
        evidence=running(OTHERS),
        key=key_of("i-1"),
        process="boot:1:1",
        program=by_kernel(OURS),
    )
    assert await code_of(asked) == "manifest.drifted"


@pytest.mark.requirement("MANIFEST-17")
async def test_a_process_that_becomes_another_program_has_drifted_when_it_asks_again() -> None:
    _, workloads = await world(rule="mark", sidecars=("agent-up",))
    one = await enrolled(workloads, OURS, None)
    assert not one.drift
    assert (await enrolled(workloads, OTHERS, said(OURS))).drift == ("executable_digest",)
    assert (await enrolled(workloads, OURS, None)).drift == ()


@pytest.mark.requirement("MANIFEST-17")
async def test_a_process_of_the_workload_api_is_held_against_its_program() -> None:
    _, workloads = await world(sidecars=())
    observer = workloads.observer
    assert isinstance(observer, InventedProcesses)
    # The parts that this door does not touch are missing.
    parts: dict[str, Any] = dict.fromkeys(
        ("instances", "manifests", "observer", "sightings", "uses", "federation", "people")
    )
    identity = Identity(
        desk=workloads.trust,
        elsewhere=Watchers(),
        issuer=workloads.issuer,
        attestor=workloads.attestor,
        **parts,
    )
    needs = WorkloadNeeds(identity, workloads)
    for pid, digest in ((7, OURS), (8, OTHERS)):
        observer.facts[pid] = replace(observer.start(pid), sha256=digest)
    good = PeerProcess(pid=7, uid=1000, gid=1000, started=1, pidfd=os.pidfd_open(os.getpid()))
    bad = PeerProcess(pid=8, uid=1000, gid=1000, started=1, pidfd=os.pidfd_open(os.getpid()))
    try:
        (name,) = await needs.identify(good)
        kept = workloads.instances.find(name.id)
        assert kept is not None
        assert kept.manifest_fields == (("executable_digest", "kernel"),)
        assert await code_of(needs.identify(bad)) == "manifest.drifted"
        # The same process, now with another program.
        observer.facts[7] = replace(observer.facts[7], sha256=OTHERS)
        assert await code_of(needs.identify(good)) == "manifest.drifted"
    finally:
        os.close(good.pidfd)
        os.close(bad.pidfd)


@pytest.mark.requirement("MANIFEST-17")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's")
async def test_a_process_that_is_no_child_of_who_asks_is_nobodys_agent(tmp_path: Path) -> None:
    async with served(tmp_path, acting=False, drift="mark") as world:
        key = fresh_key()
        with child_of_ours() as child:
            async with world.client(uds=True) as client:
                for process, code in ((1, "attestation.process"), (os.getpid(), "attestation.process")):
                    asked = client.enrol(
                        await client.challenge(),
                        key=key,
                        attestation={"type": "unix"},
                        made_of=MadeOf(measured={}, claimed={}, process=process),
                    )
                    assert await code_of(asked) == code
                made = await client.enrol(
                    await client.challenge(),
                    key=key,
                    attestation={"type": "unix"},
                    made_of=MadeOf(measured={}, claimed={}, process=child.pid),
                )
            child.kill()
        (one,) = world.workloads.instances.live()
        assert one.id == made.instance
        expected = f"sha256:{sha256(SLEEP.read_bytes()).hexdigest()}"
        assert one.measured == (("executable_digest", expected, "kernel"),)
        for wrong in (-1, 2**22 + 1, "1", 1.5, True):
            status, answer = await world.post("renew", {"process": wrong})
            assert status in (400, 401), answer


@pytest.mark.requirement("MANIFEST-02", "MANIFEST-17")
def test_a_manifest_from_before_programs_were_named_keeps_its_digest_and_its_form() -> None:
    old = sample_manifest()
    form = form_of(old)
    assert "executable_digest" not in form
    new = replace(old, executable_digest=f"sha256:{OURS}")
    assert manifest_digest(new) != manifest_digest(old)
    assert manifest_of(json.loads(json.dumps(form_of(new)))) == new
    for spoilt in ({**form, "executable_digest": ""}, {**form, "executable_digest": "sha256:a"}):
        with pytest.raises(Malformed):
            manifest_of(spoilt)
