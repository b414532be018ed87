"""An agent that is not what its manifest says tries to be taken for what it is not: by saying nothing, by asking
another door, through a sub-agent, or under a manifest that another one has replaced."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from answerable.apps.workload_api.peer import PeerProcess
from answerable.apps.workload_api.product_needs import WorkloadNeeds
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.tags import Tag
from answerable.core.registry.manifests.manifest_drift import Measured
from answerable.core.registry.tools.tool_digest import tools_digest
from answerable.errors import AnswerableError, Refused
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.trust_domain.tell_watchers import Watchers
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.workloads.enrol_workload import enrol, renew
from answerable.flows.workloads.follow_manifests import compare_running
from answerable.flows.workloads.register_manifest import register_manifest
from answerable.testing.contracts.manifest_register import sample_manifest, sample_signed
from answerable.testing.recording_upstream import sample_tools
from answerable.wiring.identity import Identity
from tests.worlds.enrolment import InventedProcesses, attested_documents, enrolling, evidence_of, key_of
from tests.worlds.parts import to_govern

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.registry.manifests.manifest import Manifest
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.testing.builders import Bench

pytestmark = pytest.mark.anyio

SCOUT = AgentId("scout")
MADE = replace(sample_manifest(), tools_digest=tools_digest({"crm": sample_tools().values()}))
OTHER = f"sha256:{'f' * 64}"
WHOLE = Measured(
    values={"prompt_digest": (MADE.prompt_digest, "sidecar"), "code_digest": (MADE.code_digest, "sidecar")}
)
CRUEL = Measured(values={"prompt_digest": (OTHER, "sidecar"), "code_digest": (MADE.code_digest, "sidecar")})
HALF = Measured(values={"code_digest": (MADE.code_digest, "sidecar")})
NOTHING = Measured(values={})
CLAIMED = Measured(
    values={"prompt_digest": (MADE.prompt_digest, "claimed"), "code_digest": (MADE.code_digest, "claimed")}
)
UNDIGESTED = replace(MADE, prompt_digest="", code_digest="", tools_digest="")


async def manifest(bench: Bench, made: Manifest = MADE, *, at: int = 0) -> str:
    await register_manifest(
        bench.recorder, bench.authority, bench.asking.under_way, bench.live, sample_signed(made, at=at).token,
        by="operator",
    )  # fmt: skip
    standing = standing_manifest(bench.authority, SCOUT)
    assert standing is not None
    return standing.digest


async def world(rule: str = "refuse") -> tuple[Bench, Workloads]:
    return await enrolling(attested_documents(drift=rule))


async def enrolled(
    workloads: Workloads, measured: Measured | None, name: str = "i-1", parent: SpiffeId | None = None
) -> Instance:
    process = "" if parent is not None else f"boot:{name}:1"
    return await enrol(
        workloads,
        evidence=evidence_of(),
        key=key_of(name),
        process=process,
        measured=measured,
        parent=parent,
    )


async def code_of(asked: Awaitable[object]) -> str:
    with pytest.raises(AnswerableError) as told:
        await asked
    return told.value.code


def seen(workloads: Workloads, name: str) -> CallerIdentity:
    """What the walk is told of the instance with this key, as wiring puts it together."""

    def manifest_of(agent: AgentId) -> str:
        try:
            standing = standing_manifest(workloads.authority, agent)
        except Refused:
            return ""
        return standing.digest if standing is not None else ""

    known = KnownCallers(
        registry=workloads.authority.registry, instances=workloads.instances, manifest_of=manifest_of
    )
    return known.by_key(key_of(name).thumbprint, workloads.recorder.clock.now()).identity


def found(workloads: Workloads, instance: Instance) -> Instance:
    kept = workloads.instances.find(instance.id)
    assert kept is not None
    return kept


async def acted(bench: Bench, identity: CallerIdentity) -> None:
    action, caller = bench.request("get_case", {"case": "4711"}, mandate="m-1")
    await govern_action(*to_govern(bench.walk), action, structs.replace(caller, identity=identity))


@pytest.mark.requirement("MANIFEST-10")
@pytest.mark.parametrize("measured", [None, NOTHING, HALF, CLAIMED], ids=["none", "empty", "half", "claimed"])
async def test_who_does_not_measure_is_not_let_in(measured: Measured | None) -> None:
    bench, workloads = await world()
    await manifest(bench)
    assert await code_of(enrolled(workloads, measured)) == "manifest.unmeasured"
    assert list(workloads.instances.live()) == []
    assert bench.entries(Tag.WORKLOAD_ENROLLED) == []


@pytest.mark.requirement("MANIFEST-10")
async def test_what_differs_is_told_before_what_is_missing() -> None:
    bench, workloads = await world()
    await manifest(bench)
    differs = Measured(values={"prompt_digest": (OTHER, "sidecar")})
    assert await code_of(enrolled(workloads, differs)) == "manifest.drifted"


@pytest.mark.requirement("MANIFEST-10")
async def test_where_drift_is_marked_what_nobody_measured_is_drift() -> None:
    bench, workloads = await world("mark")
    digest = await manifest(bench)
    first = await enrolled(workloads, NOTHING, "i-1")
    assert (first.manifest, first.drift) == ("", ("prompt_digest", "code_digest"))
    half = await enrolled(workloads, HALF, "i-2")
    assert (half.manifest, half.drift) == (digest, ("prompt_digest",))
    for name in ("i-1", "i-2"):
        assert seen(workloads, name).drifted
    assert seen(workloads, "i-1").manifest == ""
    whole = await renew(workloads, first.id, measured=WHOLE)
    assert (whole.manifest, whole.drift) == (digest, ())
    assert not seen(workloads, "i-1").drifted


@pytest.mark.requirement("MANIFEST-12")
@pytest.mark.parametrize("grade", ["sidecar", "claimed", "gateway"])
async def test_of_tools_nobodys_word_counts_but_what_the_gateway_sees(grade: Grade) -> None:
    bench, workloads = await world()
    digest = await manifest(bench)
    said = Measured(values={**WHOLE.values, "tools_digest": (OTHER, grade)})
    one = await enrolled(workloads, said)
    assert (one.manifest, one.drift) == (digest, ())
    changed = {**sample_tools(), "refund": {"name": "refund", "inputSchema": {"type": "object"}}}
    bench.upstream.lists("crm", changed)
    said = Measured(values={**WHOLE.values, "tools_digest": (MADE.tools_digest, grade)})
    assert await code_of(enrolled(workloads, said, "i-2")) == "manifest.drifted"
    assert await code_of(renew(workloads, one.id, measured=said)) == "manifest.drifted"
    # It is not kept: with the tools of before it goes on.
    bench.upstream.lists("crm", sample_tools())
    assert (await renew(workloads, one.id, measured=said)).drift == ()


@pytest.mark.requirement("MANIFEST-10")
@pytest.mark.parametrize("rule", ["refuse", "mark"])
async def test_a_drift_is_not_washed_off_by_a_renewal_that_says_nothing(rule: str) -> None:
    bench, workloads = await world(rule)
    digest = await manifest(bench)
    one = await enrolled(workloads, WHOLE)

    async def renewed(measured: Measured | None) -> tuple[str, ...]:
        if rule == "refuse":
            assert await code_of(renew(workloads, one.id, measured=measured)) == "manifest.drifted"
        else:
            await renew(workloads, one.id, measured=measured)
        return found(workloads, one).drift

    assert await renewed(CRUEL) == ("prompt_digest",)
    life = found(workloads, one).expires_at
    for measured in (None, NOTHING, HALF, CLAIMED):
        assert await renewed(measured) == ("prompt_digest",)
        assert seen(workloads, "i-1").drifted
    # Half a life later as well, and where it is refused no life is added.
    bench.clock.advance(workloads.limits.instance_seconds * 0.6)
    assert await renewed(NOTHING) == ("prompt_digest",)
    assert (found(workloads, one).expires_at == life) is (rule == "refuse")
    whole = await renew(workloads, one.id, measured=WHOLE)
    assert (whole.manifest, whole.drift) == (digest, ())
    assert not seen(workloads, "i-1").drifted


@pytest.mark.requirement("MANIFEST-10")
async def test_what_matched_stays_so_while_the_manifest_is_the_same() -> None:
    bench, workloads = await world()
    digest = await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    bench.clock.advance(workloads.limits.instance_seconds * 0.6)
    renewed = await renew(workloads, one.id)
    assert (renewed.manifest, renewed.drift) == (digest, ())
    assert renewed.expires_at > one.expires_at


@pytest.mark.requirement("MANIFEST-10")
async def test_a_process_that_enrols_once_more_is_compared_once_more() -> None:
    bench, workloads = await world()
    await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    assert await code_of(enrolled(workloads, CRUEL)) == "manifest.drifted"
    assert found(workloads, one).drift == ("prompt_digest",)
    assert (await enrolled(workloads, WHOLE)).drift == ()


@pytest.mark.requirement("MANIFEST-10")
async def test_a_sub_agent_does_not_get_round_the_drift_of_its_parent() -> None:
    bench, workloads = await world()
    await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    before = await enrolled(workloads, None, "s-0", one.id)
    assert not seen(workloads, "s-0").drifted
    assert await code_of(renew(workloads, one.id, measured=CRUEL)) == "manifest.drifted"
    for number, measured in enumerate((None, NOTHING, HALF, CLAIMED)):
        assert await code_of(enrolled(workloads, measured, f"s-{number + 1}", one.id)) == "manifest.drifted"
    # One that was made before is no better than its parent either.
    assert found(workloads, before).drift == ()
    assert seen(workloads, "s-0").drifted
    await renew(workloads, one.id, measured=WHOLE)
    assert not seen(workloads, "s-0").drifted
    assert (await enrolled(workloads, NOTHING, "s-9", one.id)).drift == ()


@pytest.mark.requirement("MANIFEST-10")
async def test_a_sub_agent_starts_from_the_drift_of_its_parent_where_that_is_marked() -> None:
    bench, workloads = await world("mark")
    await manifest(bench)
    one = await enrolled(workloads, CRUEL)
    for number, measured in enumerate((None, NOTHING, HALF)):
        assert (await enrolled(workloads, measured, f"s-{number}", one.id)).drift == ("prompt_digest",)
    assert (await enrolled(workloads, WHOLE, "s-9", one.id)).drift == ()


@pytest.mark.requirement("MANIFEST-10")
async def test_a_process_that_nothing_can_measure_is_no_way_round_the_manifest() -> None:
    bench, workloads = await world()

    async def identified(life: int = 1) -> Instance:
        """As the Workload API asks: by the process, and then again for a longer life."""
        one = await enrol(workloads, evidence=evidence_of(), key=None, process=f"boot:1:{life}")
        return await renew(workloads, one.id, evidence=evidence_of())

    early = await identified()
    assert (early.manifest, early.drift) == ("", ())
    await manifest(bench)
    assert await code_of(identified()) == "manifest.unmeasured"
    assert await code_of(identified(2)) == "manifest.unmeasured"
    assert [one.id for one in workloads.instances.live()] == [early.id]
    # A manifest that says nothing of what is measured there is compared with nothing.
    digest = await manifest(bench, UNDIGESTED, at=1)
    assert (await identified(3)).manifest == digest


@pytest.mark.requirement("MANIFEST-10")
@pytest.mark.parametrize("rule", ["refuse", "mark"])
async def test_the_workload_api_lets_nobody_past_the_manifest_of_its_agent(rule: str) -> None:
    bench, workloads = await world(rule)
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
    observer.start(7)
    peer = PeerProcess(pid=7, uid=1000, gid=1000, started=1, pidfd=os.pidfd_open(os.getpid()))
    try:
        (early,) = await needs.identify(peer)
        await manifest(bench)
        if rule == "mark":
            assert await needs.identify(peer) == (early,)
            kept = workloads.instances.find(early.id)
            assert kept is not None
            assert (kept.manifest, kept.drift) == ("", ("prompt_digest", "code_digest"))
            return
        assert await code_of(needs.identify(peer)) == "manifest.unmeasured"
        observer.start(8)
        stranger = replace(peer, pid=8)
        assert await code_of(needs.identify(stranger)) == "manifest.unmeasured"
        await manifest(bench, UNDIGESTED, at=1)
        assert await needs.identify(peer) == (early,)
    finally:
        peer.close()


@pytest.mark.requirement("MANIFEST-11")
@pytest.mark.parametrize("rule", ["refuse", "mark"])
async def test_what_was_measured_against_an_earlier_manifest_is_not_whole_under_the_next(rule: str) -> None:
    bench, workloads = await world(rule)
    await bench.issue()
    old = await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    await enrolled(workloads, None, "s-1", one.id)
    for name in ("i-1", "s-1"):
        assert (seen(workloads, name).manifest, seen(workloads, name).drifted) == (old, False)
    new = await manifest(bench, replace(MADE, prompt_digest=OTHER), at=1)
    for name in ("i-1", "s-1"):
        identity = seen(workloads, name)
        assert (identity.manifest, identity.drifted) == ("", True)
        if rule == "refuse":
            assert await code_of(acted(bench, identity)) == "agent.drifted"
            assert not bench.upstream.effects
        else:
            await acted(bench, identity)
            leaf = bench.entries(Tag.INTENT)[-1]
            assert leaf.get("manifest", "") == ""
            assert isinstance(leaf["evidence"], dict)
            assert leaf["evidence"]["drifted"] is True
    if rule == "refuse":
        for measured in (None, NOTHING):
            assert await code_of(renew(workloads, one.id, measured=measured)) == "manifest.drifted"
        assert await code_of(enrolled(workloads, NOTHING, "s-2", one.id)) == "manifest.drifted"
    else:
        assert (await renew(workloads, one.id, measured=NOTHING)).drift == ("prompt_digest",)
    assert seen(workloads, "i-1").drifted
    whole = await renew(workloads, one.id, measured=CRUEL)
    assert (whole.manifest, whole.drift) == (new, ())
    assert (seen(workloads, "i-1").manifest, seen(workloads, "i-1").drifted) == (new, False)
    # Its sub-agent is held against it, too, before it goes on.
    assert seen(workloads, "s-1").drifted
    await compare_running(workloads, {})
    assert (seen(workloads, "s-1").manifest, seen(workloads, "s-1").drifted) == (new, False)


@pytest.mark.requirement("MANIFEST-11")
async def test_a_sub_agent_is_no_better_than_a_parent_that_was_not_measured_again() -> None:
    bench, workloads = await world("mark")
    await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    sub = await enrolled(workloads, None, "s-1", one.id)
    await manifest(bench, replace(MADE, tier=3), at=1)
    await renew(workloads, sub.id, measured=WHOLE)
    assert seen(workloads, "s-1").drifted
    await renew(workloads, one.id, measured=WHOLE)
    assert not seen(workloads, "s-1").drifted


@pytest.mark.requirement("MANIFEST-11")
async def test_an_instance_from_before_the_first_manifest_is_measured_before_it_goes_on() -> None:
    bench, workloads = await world()
    await bench.issue()
    one = await enrolled(workloads, WHOLE)
    assert not seen(workloads, "i-1").drifted
    digest = await manifest(bench)
    assert await code_of(acted(bench, seen(workloads, "i-1"))) == "agent.drifted"
    assert (await renew(workloads, one.id, measured=WHOLE)).manifest == digest
    await acted(bench, seen(workloads, "i-1"))
    assert bench.entries(Tag.INTENT)[-1]["manifest"] == digest


@pytest.mark.requirement("MANIFEST-11")
async def test_a_manifest_that_changes_after_the_proof_holds_for_the_message() -> None:
    bench, workloads = await world()
    await bench.issue()
    await manifest(bench)
    await enrolled(workloads, WHOLE)
    proved = seen(workloads, "i-1")
    await manifest(bench, replace(MADE, prompt_digest=OTHER), at=1)
    assert await code_of(acted(bench, proved)) == "agent.drifted"
    assert not bench.upstream.effects


@pytest.mark.requirement("MANIFEST-11")
async def test_a_manifest_that_has_fallen_is_shown_nowhere() -> None:
    bench, workloads = await world("mark")
    await bench.issue()
    await manifest(bench)
    await enrolled(workloads, WHOLE)
    documents = attested_documents(drift="mark")
    for one in documents:
        if one["kind"] == "Agent" and one["metadata"]["name"] == "scout":
            one["spec"]["ownership"] = {**one["spec"]["ownership"], "owner": "carol", "backupOwner": "bob"}
    await bench.registered(documents)
    identity = seen(workloads, "i-1")
    assert (identity.manifest, identity.drifted) == ("", True)
