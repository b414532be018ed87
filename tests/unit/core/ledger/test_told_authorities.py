"""What entries of the ledger tell of the generations of a trust domain is enough to make them again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.canonical import parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.authority import STATES, Authority
from answerable.core.ledger.records_workload import authority_changed
from answerable.core.ledger.told_authorities import ToldAuthorities, is_whole
from tests.worlds.trust import DOMAIN, TrustWorld

pytestmark = pytest.mark.requirement("READBACK-07")


def told(told: ToldAuthorities, authority: Authority, *, public: bool = True) -> None:
    leaf = parse(
        authority_changed(
            DOMAIN,
            authority.id,
            at=authority.since,
            state=authority.state,
            sequence=7,
            public=authority if public else None,
        ).leaf
    )
    assert isinstance(leaf, dict)
    told.note(leaf)


def test_an_authority_is_as_it_was_after_each_entry_that_tells_of_it() -> None:
    (made,) = TrustWorld().desk().authorities()
    assert is_whole(made)
    prepared = replace(made, state=STATES[0], prepared_at=UnixMillis(1000), since=UnixMillis(1000))
    found = ToldAuthorities()
    for at, state in enumerate(STATES, start=1):
        now = replace(prepared, state=state, since=UnixMillis(1000 * at))
        told(found, now, public=state == STATES[0])
        assert found.authorities == {made.id: now}
    assert found.sequence == 7


def test_an_entry_that_comes_late_takes_no_state_back() -> None:
    (made,) = TrustWorld().desk().authorities()
    found = ToldAuthorities()
    told(found, replace(made, state=STATES[-1]))
    told(found, replace(made, state=STATES[0]))
    assert found.authorities[made.id].state == STATES[-1]


def test_keys_that_no_entry_says_are_not_made_up() -> None:
    (made,) = TrustWorld().desk().authorities()
    found = ToldAuthorities()
    told(found, made, public=False)
    assert found.authorities == {}
    assert found.sequence == 7
