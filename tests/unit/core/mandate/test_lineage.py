"""A mandate and the hops below it: who is named when one of them says no, and where actions are counted."""

from __future__ import annotations

from dataclasses import replace

from answerable.core.mandate.budget import Lack, Spending
from answerable.core.mandate.delegation_lineage import DelegationLineage, hop_accounts, hops_shortfall
from answerable.testing import delegation as bench
from answerable.testing.samples import mandate

HOPS = bench.verify(bench.three()).hops
ONE = {"calls": 1}


def test_a_mandate_of_its_own_is_no_depth_and_every_handing_on_is_one_more():
    assert [DelegationLineage(mandate=mandate(), hops=HOPS[:count]).depth for count in range(4)] == [
        0,
        0,
        1,
        2,
    ]


def test_the_first_hop_that_does_not_permit_an_action_is_named_with_who_handed_on_to_whom():
    assert hops_shortfall(HOPS, bench.refund()) is None
    assert hops_shortfall((), bench.refund()) is None
    told = hops_shortfall(HOPS, bench.refund(arguments={"amount": 500}))
    assert told is not None
    assert told.text.startswith("the delegation from `researcher` to `writer` (hop 2 of 2) ")
    told = hops_shortfall(HOPS, bench.refund(arguments={"amount": 9_999}))
    assert told is not None
    assert told.text.startswith("the task of agent `orchestrator` ")


def test_an_action_is_counted_in_every_hop_with_the_limits_of_each():
    accounts = hop_accounts(HOPS)
    assert [one.limits for one in accounts] == [{"calls": 20}, {"calls": 5}, {"calls": 1}]
    assert len({one.id for one in accounts}) == 3


def test_the_account_of_a_hop_is_not_what_whoever_signed_it_calls_it():
    (root, second, _) = bench.three()
    own = bench.below(
        (root, second), "researcher", bench.hop("writer", bench.LEAST, jti="hop-orchestrator-2")
    )
    other = bench.below((root, second), "researcher", bench.hop("writer", bench.LEAST, jti="m-1"))
    found = [hop_accounts(bench.verify((root, second, one)).hops)[-1].id for one in (own, other)]
    assert found[0] != found[1]
    assert "m-1" not in found
    assert all(one.startswith("hop:") for one in found)


def test_a_hop_that_is_spelt_in_another_way_is_the_same_account():
    """A second signature over the same words gives nobody the same budget twice."""
    hop = HOPS[-1]
    text, _, signature = hop.token.rpartition(".")
    spelt = replace(hop, token=f"{text}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}")
    assert hop_accounts((*HOPS[:-1], spelt))[-1].id == hop_accounts(HOPS)[-1].id


def test_a_hop_that_is_good_for_one_action_has_one_call_in_all():
    once = replace(HOPS[1], single_use=True)
    accounts = hop_accounts((HOPS[0], once, replace(HOPS[2], single_use=True)))
    assert [one.limits["calls"] for one in accounts] == [20, 1, 1]
    spending = Spending()
    assert spending.reserve(accounts, ONE) == 1
    lack = spending.reserve(accounts, ONE)
    assert isinstance(lack, Lack)
    assert lack.text() == (
        "the delegation from `orchestrator` to `researcher` (hop 1 of 2): the budget of 1 calls is spent"
    )
