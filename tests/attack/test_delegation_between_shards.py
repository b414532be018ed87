"""What was handed on reaches the process that owns its mandate, whole, and is counted there alone."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.state.delegations import Delegations
from answerable.flows.walk.forward_action import forward_action
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.testing.delegation import ISSUER, trusted
from tests.worlds.delegation_lineage import asked, believing, chain_of, mandated
from tests.worlds.link import BASE, door, link_of, shard
from tests.worlds.parts import to_govern, to_list

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LINE-03")]

A = f"{BASE}/a"


async def two_shards(directory, *, calls_max=20):
    """a, which owns the mandate; b, which knows it and the way to a; and a chain from scout to rover."""
    a = await shard("a").registered()
    mandate = await mandated(a, calls_max=calls_max)
    b = shard("b", a)
    b.walk.live.link = link_of(directory, "b")
    believing(a, b)
    return a, b, chain_of(a, mandate)


async def test_what_was_handed_on_is_governed_by_the_owner_of_the_mandate_at_its_root(tmp_path):
    a, b, chain = await two_shards(tmp_path / "links", calls_max=2)
    async with door(tmp_path / "links", "a", a):
        for bench in (b, a):
            answer = await forward_action(*to_govern(bench.walk), *asked(bench, chain))
            assert answer.outcome is not None
            assert answer.outcome.status == "succeeded"
        with pytest.raises(Refused) as told:
            await forward_action(*to_govern(b.walk), *asked(b, chain))
    assert (told.value.code, told.value.log) == ("mandate.budget_spent", A)
    intents = a.entries(Tag.INTENT)
    assert [one["agent"] for one in intents] == ["rover", "rover"]
    assert intents[0]["hops"] == intents[1]["hops"]
    assert not b.entries(Tag.INTENT, Tag.REFUSAL)
    assert (len(a.upstream.effects), len(b.upstream.effects)) == (2, 0)


async def test_a_chain_of_somebody_else_is_refused_and_recorded_where_it_arrived(tmp_path):
    a, b, chain = await two_shards(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        for parts, code in (
            ({"agent": "scout"}, "delegation.holder_binding_failed"),
            ({"key": "scout"}, "delegation.holder_binding_failed"),
            ({"chain": (chain[1],)}, "delegation.signature_invalid"),
            ({"chain": ("nonsense",)}, "delegation.malformed"),
        ):
            with pytest.raises(Refused) as told:
                await forward_action(*to_govern(b.walk), *asked(b, **{"chain": chain, **parts}))
            assert told.value.code == code
    assert [one["code"] for one in b.entries(Tag.REFUSAL)][-1] == "delegation.malformed"
    assert not a.entries(Tag.INTENT, Tag.REFUSAL)


async def test_the_owner_asks_everything_again_and_believes_no_chain_of_another_service(tmp_path):
    a, b, chain = await two_shards(tmp_path / "links")
    a.walk.verification.delegations = Delegations(audience=lambda: ISSUER)
    async with door(tmp_path / "links", "a", a):
        with pytest.raises(Refused) as told:
            await forward_action(*to_govern(b.walk), *asked(b, chain))
        assert (told.value.code, told.value.log) == ("delegation.signature_invalid", A)
        a.walk.verification.delegations = Delegations(keys_of=trusted, audience=lambda: ISSUER)
        with pytest.raises(Refused) as told:
            await forward_action(*to_govern(b.walk), *asked(b, chain, mandate="m-9"))
    assert told.value.code == "delegation.mission_altered"
    assert not a.upstream.effects


async def test_what_was_handed_on_and_could_be_used_elsewhere_is_listed_here_too(tmp_path):
    a, b, chain = await two_shards(tmp_path / "links")
    found = []
    for bench in (a, b):
        _, caller = asked(bench, chain)
        found.append(list_capabilities(*to_list(bench.walk), caller, "", "crm", delegation="~".join(chain)))
    assert found[0] == found[1] == {("tools/call", "get_case")}
