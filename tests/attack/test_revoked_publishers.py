"""Somebody whose key or person was revoked, and who has a hand in policy sets all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.errors import Refused
from answerable.testing.samples import signing_key
from tests.worlds.publication import guarded, in_force, propose, publish, roll_back

if TYPE_CHECKING:
    from answerable.testing.builders import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PUB-04")]

WHO = [
    lambda name: RevocationTarget("owner", name),
    lambda name: RevocationTarget("key", signing_key(name).public.thumbprint),
]


def revoke(bench: Bench, what: RevocationTarget) -> None:
    assert bench.authority.revocations.add(Revocation(what=what, at=bench.clock.now(), by="operator"))


@pytest.mark.parametrize("of", WHO, ids=("person", "key"))
async def test_who_was_revoked_neither_proposes_nor_publishes_nor_goes_back(of):
    bench = await guarded()
    await publish(bench, await propose(bench))
    before = in_force(bench)
    revoke(bench, of("bob"))
    with pytest.raises(Refused, match="revoked"):
        await roll_back(bench)
    with pytest.raises(Refused, match="revoked"):
        await propose(bench, "", by="bob")
    assert in_force(bench) == before


@pytest.mark.parametrize("of", WHO, ids=("person", "key"))
@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_a_proposal_is_not_published_by_who_was_revoked_nor_once_its_author_was(of, who: str):
    bench = await guarded()
    before, proposal = in_force(bench), await propose(bench)
    revoke(bench, of(who))
    with pytest.raises(Refused, match="revoked") as refused:
        await publish(bench, proposal)
    assert refused.value.code.startswith("revoked.")
    assert in_force(bench) == before
