"""Unit tests for core/mandate/token_life.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.mandate.acting_seconds import ACTING_SECONDS_MAX
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.token_life import ActingLimits, check_age, own_use, tier_of
from answerable.core.registry.parsing.active import snapshot_of
from answerable.errors import Malformed, Refused
from answerable.testing.samples import registry_documents
from tests.unit.core.mandate.test_lineage import HOPS


def capabilities(**tiers):
    [one, *_] = snapshot_of(registry_documents()).capabilities.values()
    return {
        name.replace("_", "."): replace(one, name=name.replace("_", "."), tier=tier)
        for name, tier in tiers.items()
    }


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (("crm.read",), 0),
        (("crm.read", "crm.note"), 2),
        (("crm.*",), 2),
        (("*",), None),
        (("crm.drop",), 3),
        (("crm.read", "crm.drop"), 3),
        (("files.*",), 3),
        (("crm.read", "files.*"), 3),
        (("User.Read",), 3),
    ],
)
def test_the_highest_tier_counts_and_what_is_not_known_is_the_highest(scopes, expected):
    known = capabilities(crm_read=0, crm_note=2)
    if expected is None:
        with pytest.raises(Malformed):
            Authority(scopes=scopes)
        return
    assert tier_of(Authority(scopes=scopes), known, tier=lambda one: one.tier) == expected


@pytest.mark.parametrize("tier", range(4))
def test_no_limit_is_past_the_maximum_of_its_tier(tier):
    seconds = [*ACTING_SECONDS_MAX]
    for wrong in (seconds[tier] + 1, 0, -1):
        with pytest.raises(Malformed, match="settings may only lower these") as told:
            ActingLimits(seconds=tuple(wrong if n == tier else one for n, one in enumerate(seconds)))
        assert told.value.code == "token.limits"


def test_a_tier_that_is_not_known_is_the_highest():
    assert ActingLimits().of_tier(4) == ActingLimits().of_tier(-1) == ACTING_SECONDS_MAX[3]


def test_age_counts_from_when_the_last_hop_is_first_good():
    leaf = HOPS[-1]
    check_age((), tier=3, limits=ActingLimits(), now=leaf.not_before)
    for tier, seconds in enumerate(ACTING_SECONDS_MAX):
        check_age(HOPS, tier=tier, limits=ActingLimits(), now=leaf.not_before + seconds * 1000 - 1)
        with pytest.raises(Refused, match=f"may be used for {seconds} s on tier {tier}") as told:
            check_age(HOPS, tier=tier, limits=ActingLimits(), now=leaf.not_before + seconds * 1000)
        assert told.value.code == "delegation.too_old"


def test_the_one_use_of_a_token_is_counted_in_an_account_of_its_own():
    assert own_use(HOPS, tier=2) == own_use((), tier=3) == ()
    [account] = own_use(HOPS, tier=3)
    assert (account.id, account.limits) == (f"use-hop:{HOPS[-1].hash}", {"calls": 1})
