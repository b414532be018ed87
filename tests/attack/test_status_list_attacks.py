"""A verifier that reads nothing but the status list is shown tokens that have ended here, whichever way they ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.core.mandate.issued_token import IssuedToken
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.errors import AnswerableError
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.revoke_authority import (
    record_revocations,
    revoke_authority,
    take_away_from_agents,
)
from answerable.flows.workloads.register_manifest import register_manifest
from answerable.testing.contracts.manifest_register import sample_manifest, sample_signed
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from tests.worlds.parts import to_apply
from tests.worlds.tree import OWNERS, VENDORS, TreeWorld, documents, tree_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("REVOKE-14")]


async def grown() -> TreeWorld:
    """Scout's token; below it one that rover got for a consent; below that one of third's, signed by rover."""
    world = await tree_world(fresh(SqliteTokenRegister, entropy=SeededEntropy("places")))
    root = await world.root()
    below = await world.consented(root, "rover")
    await world.own(world.offline(below, "third"))
    return world


def listed(world: TreeWorld) -> list[bool]:
    return [world.listed(one) for one in world.nodes if one.issued]


def in_force(world: TreeWorld, what: RevocationTarget) -> None:
    """By a process that ended right after."""
    world.bench.authority.revocations.add(Revocation(what=what, at=world.bench.clock.now(), by="operator"))


async def test_what_was_revoked_by_a_process_that_ended_right_after_is_in_the_list_once_it_is_recorded():
    world = await grown()
    in_force(world, RevocationTarget("owner", "carol"))
    assert listed(world) == [True, True, True]
    assert (
        await record_revocations(
            world.bench.recorder, world.bench.authority, world.bench.live, overdue_only=False
        )
        == 1
    )
    assert listed(world) == [True, False, False]


@pytest.mark.parametrize("how", ["owner", "vendor"])
async def test_an_agent_that_comes_under_a_revoked_name_by_the_registry_is_in_the_list_with_all_below(how):
    world = await grown()
    walk = world.bench.walk
    name = {"owner": "dan", "vendor": "late-maker"}[how]
    await revoke_authority(
        walk.recorder, walk.authority, walk.live, RevocationTarget(how, name), by="operator"
    )
    assert listed(world) == [True, True, True]
    owners, vendors = dict(OWNERS), dict(VENDORS)
    if how == "owner":
        owners["third"] = name
    else:
        vendors["third"] = (name,)
    await apply_registry(*to_apply(walk), documents(owners, vendors), by="operator")
    for one in world.nodes:
        assert world.introspected(one) is (one.agent != "third")
        assert world.at_the_gateway(one) is (one.agent != "third")
    assert listed(world) == [True, True, False]


@pytest.mark.requirement("REVOKE-03")
async def test_an_agent_that_comes_under_a_revoked_key_by_its_manifest_is_refused_and_in_the_list():
    world = await grown()
    walk = world.bench.walk
    await revoke_authority(
        walk.recorder,
        walk.authority,
        walk.live,
        RevocationTarget("key", signing_key("carol").public.thumbprint),
        by="operator",
    )
    for one in world.nodes:
        assert world.at_the_gateway(one)
    # Whoever has got hold of the key of an owner says with it what the agent in the middle is made of.
    signed = sample_signed(sample_manifest("rover"), owner="carol")
    await register_manifest(
        walk.recorder, walk.authority, walk.asking.under_way, walk.live, signed.token, by="operator"
    )
    *_, below = world.nodes
    assert (below.agent, len(below.chain)) == ("third", 4)
    assert not world.at_the_gateway(below)
    assert [world.introspected(one) for one in world.nodes] == [True, False, False, False]
    assert listed(world) == [True, False, False]


async def test_of_an_applied_registry_whose_process_ended_the_next_start_says_it_in_the_list():
    world = await grown()
    in_force(world, RevocationTarget("vendor", "framework-maker"))
    await take_away_from_agents(world.bench.authority, world.bench.live)
    assert listed(world) == [True, True, False]


class SlowRegister(SqliteTokenRegister):
    """Somebody else comes first, at the very moment before a token is kept."""

    meanwhile: Callable[[], None] | None = None
    asked: tuple[IssuedToken, ...] = ()

    def add(self, tokens: Iterable[IssuedToken]) -> None:
        self.asked = tuple(tokens)
        if self.meanwhile is not None:
            self.meanwhile()
        super().add(self.asked)


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("agent", "rover", "revoked.agent"),
        ("owner", "carol", "revoked.owner"),
        ("vendor", "rover-maker", "revoked.vendor"),
        ("mandate", "m-1", "token.parent"),
    ],
)
async def test_a_token_that_is_issued_while_what_it_derives_from_is_revoked_is_not_given_and_has_ended(
    kind, name, code
):
    register = fresh(SlowRegister, entropy=SeededEntropy("places"))
    world = await tree_world(register)
    root = await world.root()
    revoked = RevocationTarget(kind, name)

    def revoke() -> None:
        register.meanwhile = None
        in_force(world, revoked)
        # Whoever revokes ends what it finds, and this token is not there yet.
        register.end([revoked])

    register.meanwhile = revoke
    with pytest.raises(AnswerableError) as refused:
        await world.consented(root, "rover")
    assert refused.value.code == code
    [token] = register.asked
    assert register.has_ended(token.jti)


async def test_a_closed_mandate_is_in_the_list_with_everything_under_it():
    world = await grown()
    await close_mandate(world.bench.recorder, world.bench.authority, world.bench.live, "m-1", by="operator")
    assert listed(world) == [False, False, False]
    assert not any(world.introspected(one) for one in world.nodes)
