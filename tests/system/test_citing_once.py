"""A token stands in a log once, however often it is used, restarted around and pushed out of memory."""

from __future__ import annotations

from collections import Counter

import pytest

from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.note import VerifierKey
from answerable.flows.entries import cite_statement, keep_citations
from answerable.flows.state.worlds import Plans
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.token import narrow, succeeded, token_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CITED-01")]


def cited(world):
    return Counter((one["kind"], one["name"]) for one in world.entries(Tag.CITED))


async def used(world, chain, times=2):
    for _ in range(times):
        assert succeeded(await world.call("researcher", chain=chain))


async def chained(world):
    root = await world.root()
    return root, world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))


async def test_each_statement_is_written_once_over_restarts_and_past_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(cite_statement, "CITED_MAX", 5)
    async with token_world(tmp_path) as world:
        await world.mandate()
        port = int(world.url.rpartition(":")[2])
        chains = [await chained(world) for _ in range(3)]
        for chain in (*chains, *chains):
            await used(world, chain)
        assert len(world.walk.recorder.cited) <= 5
        first = cited(world)
        assert set(first.values()) == {1}
        assert len([one for one in first if one[0] == "hop"]) == 6
    async with token_world(tmp_path, port=port) as world:
        for chain in chains:
            await used(world, chain)
        assert cited(world) == first
        # As after a crash: what the register had not kept yet is read from the log.
        world.walk.recorder.citations.keep(world.walk.recorder.ledger.origin, {}, 0)
        with world.product.registers.write() as connection:
            connection.execute("DELETE FROM citations")
    async with token_world(tmp_path, port=port) as world:
        for chain in chains:
            await used(world, chain)
        assert cited(world) == first
        key = VerifierKey.parse(world.product.log_key)
        world.product.seal()
    report = verify_ledger(tmp_path / "house" / "ledger", key=key)
    assert (report.errors, report.findings) == (0, ())


@pytest.mark.parametrize("how", ["another leaf", "another statement", "no entry"])
async def test_what_the_register_says_is_held_against_the_log(tmp_path, how):
    async with token_world(tmp_path) as world:
        await world.mandate()
        chain = await chained(world)
        await used(world, chain)
        origin, register = world.walk.recorder.ledger.origin, world.walk.recorder.citations
        await keep_citations.keep_citations(world.walk.recorder)
        assert not world.walk.recorder.cited_unkept
        hops = [one for one in world.entries(Tag.CITED) if one["kind"] == "hop"]
        name, other = ("hop", hops[1]["name"]), hops[0]
        place = register.find(origin, name)
        wrong = {
            "another leaf": Reference(entry=place.entry, leaf="00" * 32),
            "another statement": register.find(origin, ("hop", other["name"])),
            "no entry": Reference(entry=10_000, leaf=place.leaf),
        }[how]
        register.keep(origin, {name: wrong}, world.walk.recorder.ledger.size)
        world.walk.recorder.cited.clear()
        # What plans keep of intents refers to the statements, too.
        world.walk.verification.plans = Plans()
        await used(world, chain)
        # Written once more: whoever reads the log finds what the intent rests on.
        assert cited(world)[name] == 2
        assert {count for one, count in cited(world).items() if one != name} == {1}
        again = [one["index"] for one in world.entries(Tag.CITED) if one.get("name") == name[1]]
        assert world.entries(Tag.INTENT)[-1]["hops"][1]["entry"] == again[-1]
