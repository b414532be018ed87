"""One signature brings back policy sets that were in force."""

from __future__ import annotations

import msgspec
import pytest

from answerable.core.ledger.tags import Tag
from answerable.core.registry.policy_sets.policy_record import KEPT_MAX, KeptSets, PolicyRecord
from answerable.core.registry.policy_sets.publication import Terms
from answerable.errors import Refused
from answerable.flows.policy.publish_policy import rollback_policy
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.registry.keep_policies import kept_sets
from answerable.testing.builders import POLICIES, Bench
from tests.worlds.parts import to_apply
from tests.worlds.publication import (
    guarded,
    house,
    in_force,
    opened,
    propose,
    publish,
    refused_code,
    roll_back,
    sign,
)

pytestmark = [pytest.mark.anyio]


@pytest.mark.requirement("PUB-05")
async def test_one_signature_brings_the_set_before_back_at_once():
    bench = await guarded()
    good = in_force(bench)
    await publish(bench, await propose(bench))
    with pytest.raises(Refused):
        await bench.act()
    await roll_back(bench)
    assert in_force(bench) == good
    assert (await bench.act()).outcome is not None
    change, told = opened(bench, Tag.POLICY_CHANGE)
    assert (change["how"], told["by"]) == ("rollback", "bob")


@pytest.mark.requirement("PUB-05")
async def test_any_earlier_set_comes_back_by_either_of_its_digests_or_their_beginning():
    bench = await guarded()
    first, named = in_force(bench), bench.walk.policies.decision_point.policy_set
    await publish(bench, await propose(bench))
    await publish(bench, await propose(bench, POLICIES + "// third\n"))
    assert [kept.digest for _, kept in kept_sets(bench.walk.policies)][1] == first
    for name in (first, first[:8], named, named[:12]):
        await roll_back(bench, name)
        assert in_force(bench) == first
        await roll_back(bench)


@pytest.mark.requirement("PUB-05")
async def test_only_what_was_in_force_comes_back_and_only_by_who_may():
    bench = await guarded()
    proposal = await propose(bench)
    assert await refused_code(_rolled(bench, "")) == "publication.unknown"
    assert await refused_code(_rolled(bench, proposal.after)) == "publication.unknown"
    await publish(bench, proposal)
    assert await refused_code(_rolled(bench, "abc")) == "publication.ambiguous"
    assert await refused_code(roll_back(bench, by="dan")) == "publication.group"
    other = Terms(step="rollback", before=in_force(bench), after="0" * 64)
    token = sign(bench, other, by="bob")
    assert await refused_code(rollback_policy(*to_apply(bench.walk), "", token)) == "publication.other"


async def _rolled(bench: Bench, name: str) -> None:
    await roll_back(bench, name)


@pytest.mark.requirement("PUB-05")
async def test_sets_that_were_in_force_are_kept_up_to_a_bound():
    bench = await Bench().registered()
    for number in range(KEPT_MAX + 3):
        await apply_registry(*to_apply(bench.walk), [house(f"{POLICIES}// {number}\n")], by="operator")
    assert len(kept_sets(bench.walk.policies)) == KEPT_MAX


@pytest.mark.requirement("PUB-05")
async def test_the_beginning_of_two_digests_names_neither():
    bench = await guarded()
    records = bench.walk.policies.records
    assert records is not None
    for end in ("0", "1"):
        digest = "a" * 63 + end
        kept = KeptSets(digest=digest, policy_set=digest, documents={})
        records.put(PolicyRecord(kind="kept", id=digest, at=1, body=msgspec.json.encode(kept)))
    assert await refused_code(roll_back(bench, "a" * 20)) == "publication.ambiguous"
