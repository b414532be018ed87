"""The state machine of authorities, step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.authority import (
    AUTHORITIES_MAX,
    AuthoritySet,
    TrustLimits,
    first_set,
    key_names,
    signing_authority,
    step_due,
    with_active,
    with_beginning,
    with_prepared,
    without,
    without_expired,
)
from answerable.errors import Broken, Malformed, Refused, Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts import authority_register as samples

LIMITS = TrustLimits()
DAY = LIMITS.ca_seconds * 1000
EMPTY = first_set(START)


def authority(number=1, state="prepared", *, begins=START):
    sample = samples.authority(number, state)
    return replace(
        sample,
        not_before=UnixMillis(begins),
        not_after=UnixMillis(begins + DAY),
        prepared_at=UnixMillis(begins),
        since=UnixMillis(begins),
    )


def of(*authorities):
    return AuthoritySet(authorities=authorities, sequence=5, revision=5)


def at(share):
    return UnixMillis(START + round(DAY * share))


ACTIVE = authority(1, "active")
NEXT = authority(2, "prepared", begins=at(1 / 2))


@pytest.mark.parametrize(
    ("current", "now", "step"),
    [
        (EMPTY, START, "replace"),
        (of(authority(1)), START, "activate"),
        (of(authority(1, begins=START + 1)), START, "replace"),
        (of(ACTIVE), at(0), None),
        (of(ACTIVE), at(0.4999), None),
        (of(ACTIVE), at(0.5), "prepare"),
        (of(ACTIVE, NEXT), at(0.8), None),
        (of(ACTIVE, NEXT), at(5 / 6), "activate"),
        (of(ACTIVE, authority(2, begins=at(0.82))), at(5 / 6), None),
        (of(ACTIVE, authority(2, begins=at(0.82))), at(0.82) + LIMITS.announce_millis, "activate"),
        (of(ACTIVE, authority(2, begins=at(0.995))), at(1), "activate"),
        (of(ACTIVE), at(1), "replace"),
        (of(ACTIVE, authority(2, begins=at(2))), at(1), "replace"),
        (of(authority(3, "old", begins=at(-1)), ACTIVE), at(0), "drop"),
        (of(authority(3, "removed", begins=at(-1)), ACTIVE), at(0), "drop"),
        (of(authority(3, begins=at(-1)), ACTIVE), at(0), "drop"),
        (of(ACTIVE), at(-1), None),
        (of(ACTIVE, NEXT), at(-1), None),
    ],
)
def test_time_asks_for_one_step_after_another(current, now, step):
    assert step_due(current, UnixMillis(now), LIMITS) == step


def test_a_new_one_waits_in_the_bundle_until_it_is_activated_and_the_old_one_stays_in_it():
    waiting = with_prepared(of(ACTIVE), NEXT)
    assert waiting.prepared == NEXT
    assert waiting.active == ACTIVE
    assert (waiting.sequence, waiting.revision) == (at(1 / 2) // 1000, 6)
    changed = with_active(waiting, NEXT.id, at(0.9))
    assert [a.state for a in changed.published] == ["old", "active"]
    assert all(a.since == at(0.9) for a in changed.authorities)
    assert (changed.sequence, changed.revision) == (waiting.sequence, 7), "the bundle is the same"
    assert not changed.authorities[0].may_sign
    assert changed.active is not None
    assert changed.active.may_sign


def test_a_removed_one_is_remembered_out_of_the_bundle_until_it_would_have_run_out():
    gone = without(of(ACTIVE, NEXT), ACTIVE.id, at(0.6))
    assert gone.active is None
    assert gone.published == (NEXT,)
    assert gone.sequence > 5
    later = without_expired(gone, UnixMillis(ACTIVE.not_after))
    assert later.authorities == (NEXT,)
    assert later.sequence == gone.sequence, "it was not in the bundle any more"


def test_an_active_one_that_has_run_out_is_kept_until_another_takes_its_place():
    assert without_expired(of(ACTIVE), at(2)).active == ACTIVE


def test_the_sequence_is_at_least_the_seconds_of_the_clock_and_grows_when_that_is_set_back():
    assert first_set(START).sequence == START // 1000
    ahead = replace(of(ACTIVE), sequence=START)
    assert with_prepared(ahead, NEXT).sequence == START + 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: with_active(of(ACTIVE), ACTIVE.id, START), "authority.not_prepared"),
        (lambda: with_active(of(ACTIVE), "none", START), "authority.not_prepared"),
        (lambda: without(of(ACTIVE), "none", START), "authority.unknown"),
        (lambda: without(of(authority(1, "removed")), ACTIVE.id, START), "authority.unknown"),
        (
            lambda: with_prepared(of(*map(authority, range(AUTHORITIES_MAX))), authority(99)),
            "authority.too_many",
        ),
    ],
)
def test_what_cannot_be_is_refused(change, code):
    with pytest.raises(Refused) as told:
        change()
    assert told.value.code == code


@pytest.mark.parametrize("new", [ACTIVE, authority(1)])
def test_only_what_is_new_and_prepared_is_added(new):
    with pytest.raises(Broken):
        with_prepared(of(ACTIVE), new)


@pytest.mark.parametrize(
    ("current", "now", "code"),
    [
        (EMPTY, START, "authority.none"),
        (of(ACTIVE), START - 1, "authority.not_yet_valid"),
        (of(ACTIVE), at(1), "authority.expired"),
    ],
)
def test_nothing_signs_before_or_after_its_time(current, now, code):
    with pytest.raises(Unavailable) as told:
        signing_authority(current, UnixMillis(now))
    assert told.value.code == code


def test_what_is_active_and_valid_signs():
    assert signing_authority(of(ACTIVE, NEXT), at(0.6)) == ACTIVE


def test_removed_ones_make_room_for_a_new_one_the_first_removed_first():
    removed = [authority(number, "removed") for number in range(10, 10 + AUTHORITIES_MAX - 1)]
    full = with_prepared(of(*removed, ACTIVE), NEXT)
    assert full.authorities == (*removed[1:], ACTIVE, NEXT)
    assert full.sequence > 5


def test_one_that_is_not_valid_yet_is_not_activated():
    with pytest.raises(Unavailable) as told:
        with_active(of(ACTIVE, NEXT), NEXT.id, at(0.4))
    assert told.value.code == "authority.not_yet_valid"
    assert "clock" in told.value.message


@pytest.mark.parametrize(
    "broken",
    [
        lambda: of(ACTIVE, ACTIVE),
        lambda: of(ACTIVE, authority(2, "active")),
        lambda: of(*map(authority, range(AUTHORITIES_MAX + 1))),
        lambda: replace(of(), sequence=-1),
        lambda: replace(of(), revision=-1),
    ],
)
def test_a_set_that_cannot_be_is_not_made(broken):
    with pytest.raises(Malformed) as told:
        broken()
    assert told.value.code == "authority.set"


@pytest.mark.parametrize(
    "given",
    [
        {"x509_seconds": 0},
        {"jwt_seconds": 0},
        {"ca_seconds": 0},
        {"refresh_hint_seconds": 0},
        {"ca_seconds": 6 * 3600 - 1},
        {"jwt_seconds": 86_400 // 6 + 1},
        {"refresh_hint_seconds": 86_400 // 3},
    ],
)
def test_limits_that_would_leave_no_time_to_announce_an_authority_are_refused(given):
    with pytest.raises(Malformed) as told:
        TrustLimits(**given)
    assert told.value.code == "authority.limits"


def test_an_authority_is_announced_for_a_hint_and_half_an_svid():
    assert TrustLimits(x509_seconds=3600, refresh_hint_seconds=300).announce_millis == 2_100_000


def test_keys_are_named_before_they_are_made():
    assert key_names(ACTIVE.id) == (ACTIVE.x509_key, ACTIVE.jwt_key, ACTIVE.wit_key)
    begun = with_beginning(EMPTY, ACTIVE.id)
    assert (begun.beginning, begun.revision, begun.sequence) == (ACTIVE.id, 1, EMPTY.sequence)
    assert of(ACTIVE).find(ACTIVE.id) == ACTIVE
    assert of(ACTIVE).find(NEXT.id) is None
