"""Somebody acts as an instance that has ended, that somebody else is, or that nobody measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.adapters.sqlite import SqliteInstanceRegister
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import agent_instance_id
from answerable.core.identity.proof.channel import Channel
from answerable.core.identity.workload.evidence import CallerIdentity, Evidence
from answerable.core.registry.documents.documents import Agent
from answerable.flows.state.known_callers import instance_stands
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.testing.registers import fresh
from tests.worlds.instance import HOUR, MANIFEST, OURS, Authority, InstanceWorld, shown
from tests.worlds.proof import agent, new_key, refused, request, unix

if TYPE_CHECKING:
    pass


@pytest.fixture
def world() -> InstanceWorld:
    return InstanceWorld()


def attested(name: str, *sets: tuple[str, ...]) -> Agent:
    return replace(agent(name), attestation=sets)


@pytest.mark.requirement("IDENT-02")
def test_the_key_of_a_live_instance_speaks_for_it(world: InstanceWorld) -> None:
    caller = world.verifier.verify(world.signed(key=world.instance_key))
    assert (caller.agent, caller.proof) == ("crm", "signature")
    assert caller.identity == CallerIdentity(
        instance=str(world.instance.id),
        source="unix",
        grade="kernel",
        manifest=MANIFEST,
        measured=MANIFEST,
        key=world.instance_key.public.thumbprint,
        # It does not say how well it was measured, so it is no better than claimed.
        manifest_grade="claimed",
    )
    below = world.verifier.verify(world.signed(key=world.sub_key))
    assert below.identity.instance == f"{world.instance.id}/sub-1"
    assert (below.identity.source, below.identity.grade) == ("parent", "sidecar")
    assert world.verifier.verify(world.signed()).identity == CallerIdentity()


@pytest.mark.requirement("IDENT-02")
def test_an_ended_instance_is_refused_at_its_next_message(world: InstanceWorld) -> None:
    world.verifier.verify(world.signed(key=world.instance_key))
    world.instances.end(world.instance.id, because="retired")
    assert refused(world.verifier, world.signed(key=world.instance_key)) == "key"
    assert refused(world.verifier, world.signed(key=world.sub_key)) == "key"
    assert refused(world.restarted(), world.signed(key=world.instance_key)) == "key"
    # And its agent goes on.
    world.verifier.verify(world.signed())


@pytest.mark.requirement("IDENT-02")
def test_an_instance_that_did_not_renew_is_refused_and_its_sub_agents_with_it(world: InstanceWorld) -> None:
    world.instances.put(replace(world.sub, expires_at=UnixMillis(world.sub.expires_at + HOUR)))
    world.later(HOUR)
    assert refused(world.verifier, world.signed(key=world.instance_key)) == "key"
    assert refused(world.verifier, world.signed(key=world.sub_key)) == "key"


@pytest.mark.requirement("IDENT-02")
def test_a_session_ends_with_the_instance_that_opened_it_and_does_not_come_back(world: InstanceWorld) -> None:
    of_instance, of_agent = world.session(key=world.instance_key), world.session()
    of_sub = world.session(key=world.sub_key)
    assert world.verifier.verify(of_instance.proved(1)).identity.instance == str(world.instance.id)
    world.instances.end(world.instance.id, because="retired")
    assert refused(world.verifier, of_instance.proved(2)) == "key"
    assert refused(world.verifier, of_instance.proved(3)) == "session"
    assert refused(world.verifier, of_sub.proved(1)) == "key"
    world.verifier.verify(of_agent.proved(1))


@pytest.mark.requirement("IDENT-02")
def test_a_session_ends_with_the_agent_of_its_instance_also_when_that_comes_back(
    world: InstanceWorld,
) -> None:
    session = world.session(key=world.instance_key)
    world.registry.swap(replace(world.crm, status="suspended"), world.pay)
    assert refused(world.verifier, session.proved(1)) == "session"
    assert refused(world.verifier, world.signed(key=world.instance_key)) == "agent"
    world.registry.swap(world.crm, world.pay)
    assert refused(world.verifier, session.proved(2)) == "session"
    world.verifier.verify(world.signed(key=world.instance_key))
    world.registry.swap(world.pay)
    assert refused(world.verifier, world.signed(key=world.instance_key)) == "agent"


@pytest.mark.requirement("IDENT-02")
def test_what_was_measured_last_holds_for_a_session_that_was_opened_before(world: InstanceWorld) -> None:
    session = world.session(key=world.instance_key)
    assert not world.verifier.verify(session.proved(1)).identity.drifted
    world.instances.put(replace(world.instance, drift=("prompt.digest",)))
    assert world.verifier.verify(session.proved(2)).identity.drifted


@pytest.mark.requirement("IDENT-02")
def test_sessions_of_an_instance_push_out_its_own_and_nobody_elses(world: InstanceWorld) -> None:
    first, others = world.session(key=world.instance_key), world.session()
    beside = world.session(key=world.sub_key)
    for _ in range(8):
        world.later(1)
        world.session(key=world.instance_key)
    assert refused(world.verifier, first.proved(1)) == "session"
    world.verifier.verify(others.proved(1))
    world.verifier.verify(beside.proved(1))


@pytest.mark.requirement("IDENT-02", "NEIGHBOUR-09")
def test_an_agent_that_opens_sessions_without_end_ends_none_of_its_instances(world: InstanceWorld) -> None:
    enrolled = [world.session(key=world.instance_key), world.session(key=world.sub_key)]
    own = [world.session()]
    for _ in range(2 * world.limits.sessions_per_agent_max):
        world.later(1)
        own.append(world.session())
    assert refused(world.verifier, own[0].proved(1)) == "session"
    world.verifier.verify(own[-1].proved(1))
    for session in enrolled:
        world.verifier.verify(session.proved(1))


@pytest.mark.requirement("IDENT-02")
def test_without_a_register_nobody_is_an_instance(world: InstanceWorld) -> None:
    verifier = CallerVerifier(
        registry=world.registry, clock=world.clock, entropy=world.entropy, limits=world.limits
    )
    assert refused(verifier, world.signed(key=world.instance_key, nonce=world.nonce(verifier.epoch))) == "key"
    leaf = world.ours.svid(str(world.instance.id))
    assert refused(verifier, request(), shown(leaf)) == "channel"


@pytest.mark.requirement("IDENT-02")
def test_a_key_that_an_instance_enrolled_is_still_the_agents_that_registered_it(world: InstanceWorld) -> None:
    other = replace(
        world.instance, id=agent_instance_id(OURS, AgentId("crm"), "2" * 32), key=world.pay_key.public
    )
    world.instances.add(other)
    caller = world.verifier.verify(world.signed(key=world.pay_key))
    assert (caller.agent, caller.identity.instance) == ("pay", "")


@pytest.mark.requirement("IDENT-02")
def test_a_key_that_nobody_enrolled_is_refused(world: InstanceWorld) -> None:
    assert refused(world.verifier, world.signed(key=new_key("stranger"))) == "key"


@pytest.mark.requirement("IDENT-04")
def test_an_svid_of_ours_proves_its_instance_for_as_long_as_that_lives(world: InstanceWorld) -> None:
    leaf = world.ours.svid(str(world.instance.id), life=2 * HOUR)
    caller = world.verifier.verify(request(), shown(leaf))
    assert (caller.agent, caller.proof, caller.identity.instance) == ("crm", "svid", str(world.instance.id))
    assert caller.binding == f"svid:{shown(leaf).certificate},connection=1"
    world.instances.end(world.instance.id, because="retired")
    assert refused(world.verifier, request(), shown(leaf, sequence=2)) == "key"
    assert (
        refused(world.verifier, request(), shown(world.ours.svid(str(world.sub.id)), connection=2)) == "key"
    )


@pytest.mark.requirement("IDENT-04")
def test_an_svid_of_an_instance_that_nobody_enrolled_proves_nothing(world: InstanceWorld) -> None:
    lost = world.ours.svid("spiffe://answerable.test/agent/crm/" + "9" * 32)
    assert refused(world.verifier, request(), shown(lost)) == "channel"
    assert (
        refused(world.verifier, request(), shown(world.ours.svid("spiffe://answerable.test/x"))) == "channel"
    )
    assert [one.name for one in world.sightings.take()] == [
        "spiffe://answerable.test/agent/crm/" + "9" * 32,
        "spiffe://answerable.test/x",
    ]


@pytest.mark.requirement("IDENT-04")
def test_another_domains_authority_cannot_speak_for_an_instance_of_ours(world: InstanceWorld) -> None:
    rogue = Authority(OURS, world.clock.now())
    assert refused(world.verifier, request(), shown(rogue.svid(str(world.instance.id)))) == "svid"
    theirs = world.theirs.svid("spiffe://corp.example/agent/crm/" + "1" * 32)
    assert refused(world.verifier, request(), shown(theirs)) == "channel"
    assert not [one for one in world.sightings.take() if one.name.startswith("spiffe://answerable.test")]


@pytest.mark.requirement("IDENT-04")
def test_a_spiffe_id_of_others_proves_the_agent_that_names_it_and_no_other(world: InstanceWorld) -> None:
    name = "spiffe://corp.example/support"
    world.registry.swap(world.crm, attested("support", (f"spiffe:id:{name}",)))
    caller = world.verifier.verify(request(), shown(world.theirs.svid(name)))
    assert (caller.agent, caller.proof) == ("support", "svid")
    assert caller.identity == CallerIdentity(instance=name, source="spiffe", grade="gateway")
    assert (
        refused(world.verifier, request(), shown(world.theirs.svid(f"{name}/x"), connection=2)) == "channel"
    )


@pytest.mark.requirement("IDENT-04")
def test_a_set_that_asks_for_more_than_the_connection_shows_does_not_match(world: InstanceWorld) -> None:
    name = "spiffe://corp.example/support"
    world.registry.swap(attested("support", (f"spiffe:id:{name}", "unix:uid:1000")))
    assert refused(world.verifier, request(), shown(world.theirs.svid(name))) == "channel"


@pytest.mark.requirement("IDENT-04")
def test_of_agents_that_name_one_spiffe_id_the_more_exact_is_meant_and_else_nobody(
    world: InstanceWorld,
) -> None:
    leaf = world.theirs.svid("spiffe://corp.example/support")
    loose = attested("loose", ("spiffe:id:spiffe://corp.example/support",))
    pinned = f"mtls:sha256:{shown(leaf).certificate}"
    exact = attested("exact", ("spiffe:id:spiffe://corp.example/support", pinned))
    world.registry.swap(loose, exact)
    assert world.verifier.verify(request(), shown(leaf)).agent == "exact"
    world.registry.swap(loose, attested("pinned", (pinned,)))
    assert refused(world.verifier, request(), shown(leaf, sequence=2)) == "channel"
    world.registry.swap(loose, attested("twin", *loose.attestation))
    assert refused(world.verifier, request(), shown(leaf, sequence=3)) == "channel"
    world.registry.swap(replace(loose, status="suspended"))
    assert refused(world.verifier, request(), shown(leaf, sequence=4)) == "agent"


@pytest.mark.requirement("IDENT-04")
def test_a_domain_that_is_dropped_is_not_believed_at_the_next_message_of_a_connection(
    world: InstanceWorld,
) -> None:
    leaf = world.ours.svid(str(world.instance.id))
    for sequence in (1, 2):
        world.verifier.verify(request(), shown(leaf, sequence=sequence))
    world.trust.found[OURS] = Authority(OURS, world.clock.now()).bundle()
    assert refused(world.verifier, request(), shown(leaf, sequence=3)) == "svid"
    del world.trust.found[OURS]
    assert refused(world.verifier, request(), shown(leaf, sequence=4)) == "svid"
    world.trust.found[OURS] = world.ours.bundle()
    world.verifier.verify(request(), shown(leaf, sequence=5))


@pytest.mark.requirement("IDENT-04")
def test_an_svid_that_expires_on_an_open_connection_is_refused_there(world: InstanceWorld) -> None:
    leaf = world.ours.svid(str(world.instance.id), life=60_000)
    world.verifier.verify(request(), shown(leaf))
    world.later(61_000)
    assert refused(world.verifier, request(), shown(leaf, sequence=2)) == "svid"


@pytest.mark.requirement("IDENT-04")
def test_a_message_of_an_svids_connection_counts_once(world: InstanceWorld) -> None:
    leaf = world.ours.svid(str(world.instance.id))
    world.verifier.verify(request(), shown(leaf))
    assert refused(world.verifier, request(), shown(leaf)) == "replay"


@pytest.mark.requirement("IDENT-04")
def test_a_certificate_by_its_digest_alone_proves_an_agent_as_before(world: InstanceWorld) -> None:
    leaf = world.theirs.svid("spiffe://corp.example/old")
    world.registry.swap(agent("pinned", certificates=(shown(leaf).certificate,)))
    caller = world.verifier.verify(request(), shown(leaf))
    assert (caller.agent, caller.proof) == ("pinned", "mtls")
    assert caller.identity == CallerIdentity(source="mtls", grade="gateway")
    world.registry.swap(attested("listed", (f"mtls:sha256:{shown(leaf).certificate}",)))
    assert world.verifier.verify(request(), shown(leaf, sequence=2)).agent == "listed"


@pytest.mark.requirement("IDENT-04")
@pytest.mark.parametrize("leaf", [b"", b"\x30\x03\x02\x01\x01", b"x" * 2000])
def test_a_certificate_that_is_none_proves_nothing(world: InstanceWorld, leaf: bytes) -> None:
    assert refused(world.verifier, request(), shown(leaf)) == "svid"


@pytest.mark.requirement("IDENT-09")
def test_who_proves_nothing_is_not_noted(world: InstanceWorld) -> None:
    for connection, leaf in enumerate(
        (b"x", Authority(OURS, world.clock.now()).svid("spiffe://answerable.test/y"))
    ):
        assert refused(world.verifier, request(), shown(leaf, connection=connection)) == "svid"
    assert refused(world.verifier, world.signed(key=new_key("stranger"))) == "key"
    assert world.sightings.take() == ()


@pytest.mark.requirement("IDENT-09")
def test_who_is_at_the_other_end_of_a_connection_and_not_registered_is_noted(world: InstanceWorld) -> None:
    assert refused(world.verifier, request(), unix(4711)) == "channel"
    plain = Channel(connection=2, sequence=1, certificate="e" * 64)
    assert refused(world.verifier, request(), plain) == "channel"
    assert refused(world.verifier, request(), unix(4711, connection=3)) == "channel"
    assert {one.name: one.count for one in world.sightings.take()} == {
        "unix:uid:4711": 2,
        "mtls:sha256:" + "e" * 64: 1,
    }


@pytest.mark.requirement("IDENT-01")
def test_an_instance_of_an_agent_that_is_out_of_force_is_refused(world: InstanceWorld) -> None:
    session = world.session(key=world.instance_key)
    leaf = world.ours.svid(str(world.instance.id))
    world.registry.swap(world.pay)
    assert refused(world.verifier, world.signed(key=world.instance_key)) == "agent"
    assert refused(world.verifier, session.proved(1)) == "session"
    assert refused(world.verifier, request(), shown(leaf)) == "agent"


@pytest.mark.requirement("IDENT-02")
def test_instances_are_looked_up_anew_when_the_state_is_lost(world: InstanceWorld) -> None:
    world.instances = fresh(SqliteInstanceRegister)
    verifier = world.restarted()
    assert refused(verifier, world.signed(key=world.instance_key, nonce=world.nonce(verifier.epoch))) == "key"
    assert refused(verifier, request(), shown(world.ours.svid(str(world.instance.id)))) == "channel"


@pytest.mark.requirement("IDENT-02")
def test_an_instance_that_others_attested_ends_like_any_other(world: InstanceWorld) -> None:
    other = replace(
        world.instance,
        id=agent_instance_id(OURS, AgentId("crm"), "3" * 32),
        key=None,
        evidence=Evidence(source="spiffe", grade="gateway", selectors=("spiffe:id:spiffe://corp.example/x",)),
    )
    identity = CallerIdentity(instance=str(other.id), source="spiffe", grade="gateway")
    world.instances.add(other)
    assert instance_stands(world.instances, world.trust, identity, world.clock.now())
    world.instances.end(other.id, because="retired")
    assert not instance_stands(world.instances, world.trust, identity, world.clock.now())
    unknown = structs.replace(identity, source="unix")
    assert not instance_stands(fresh(SqliteInstanceRegister), world.trust, unknown, world.clock.now())
