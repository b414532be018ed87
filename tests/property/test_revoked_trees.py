"""Laws of ending: whatever is revoked of a tree, gateway, introspection and status list say the same of every token."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.adapters.sqlite import SqliteStore, SqliteTokenRegister
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Refused
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.ports.token_register import TokenRegister
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh
from tests.probes.example_counts import examples
from tests.worlds.tree import AGENTS, DEPTH_MAX, INSTANCES, TreeWorld, tree_world

KINDS = ("own", "offline", "consented", "offline", "consented", "running", "claimed")


async def grow(world: TreeWorld, draw: Any, count: int) -> None:
    await world.root()
    for _ in range(count):
        parents = [one for one in world.nodes if len(one.chain) <= DEPTH_MAX]
        parent = draw(st.sampled_from(parents))
        kind = draw(st.sampled_from(KINDS)) if parent.can_sign else "own"
        taker, instance = draw(st.sampled_from(AGENTS)), draw(st.sampled_from(INSTANCES))
        match kind:
            case "own":
                await world.own(parent)
            case "offline":
                world.offline(parent, taker)
            case "consented":
                # Its own holder needs no consent.
                others = [one for one in AGENTS if one != parent.agent]
                await world.consented(parent, draw(st.sampled_from(others)))
            case "running":
                await world.consented(parent, taker, instance=instance)
            case "claimed":
                world.offline(parent, taker, instance=instance)


async def check(register: TokenRegister, draw: Any) -> None:
    world = await tree_world(register)
    await grow(world, draw, draw(st.integers(1, 12)))
    names = sorted(frozenset[RevocationTarget]().union(*(one.names for one in world.nodes)))
    revoked: set[RevocationTarget] = set()
    for one in world.nodes:
        assert world.at_the_gateway(one)
    for _ in range(draw(st.integers(1, 2))):
        revoked.add(draw(st.sampled_from(names)))
        for what in revoked:
            await revoke_authority(
                world.bench.recorder,
                world.bench.authority,
                world.bench.live,
                what,
                by="operator",
                looks_back=False,
            )
        for one in world.nodes:
            stands = one.names.isdisjoint(revoked)
            assert world.at_the_gateway(one) is stands, (one, revoked)
            assert world.introspected(one) is stands, (one, revoked)
            if one.issued:
                assert world.listed(one) is stands, (one, revoked)
    # Nor does anything new grow on what has ended.
    for one in [one for one in world.nodes if len(one.chain) <= DEPTH_MAX]:
        if not one.names.isdisjoint(revoked):
            with pytest.raises(Refused):
                await world.own(one)


@pytest.mark.requirement("REVOKE-13")
@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_gateway_introspection_and_status_list_agree_on_every_token_whatever_is_revoked(data):
    anyio.run(check, fresh(SqliteTokenRegister, entropy=SeededEntropy("places")), data.draw)


@pytest.mark.requirement("REVOKE-13")
@settings(max_examples=examples(20), deadline=None)
@given(data=st.data())
def test_they_agree_also_where_tokens_are_kept_in_a_file(data):
    with TemporaryDirectory() as folder:
        store = SqliteStore.open(Path(folder) / "registers.db")
        try:
            anyio.run(check, SqliteTokenRegister(store, entropy=SeededEntropy("places")), data.draw)
        finally:
            store.close()
