"""Laws of when identities are renewed: at half their life, a tenth sooner or later, and not everybody at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.apps.sidecar import pace
from answerable.apps.workload_api import sets
from answerable.core.identity.names.principal import UnixMillis

CHANCES = st.floats(0, 1)
LIVES = st.floats(1, 86_400)
HERD = 1_000
NOW = UnixMillis(1_795_000_000_000)


@dataclass
class Still:
    """As much of a Workload API's `WorkloadServices` as a renewal asks for: a clock that stands, and one chance."""

    chance: bytes

    def now(self):
        return NOW

    def entropy(self, size):
        return self.chance[:size]


def served_wait(seconds: float, chance: bytes) -> float:
    """When the Workload API sends what lives so long anew."""
    return (sets.renewal(UnixMillis(NOW + int(seconds * 1000)), Still(chance)) - NOW) / 1000


@pytest.mark.requirement("RESIL-10")
@given(left=LIVES, chance=CHANCES)
def test_a_sidecar_renews_at_half_of_what_is_left_give_or_take_a_tenth_and_before_it_ends(left, chance):
    wait = pace.renewal_wait(left, chance)
    assert left / 2 * (1 - pace.JITTER) - 1e-9 <= wait <= left / 2 * (1 + pace.JITTER) + 1e-9
    assert 0 < wait < left


@pytest.mark.requirement("RESIL-10")
@given(left=st.floats(10, 86_400), chance=st.binary(min_size=4, max_size=4))
def test_the_workload_api_sends_x509_and_wit_svids_anew_at_half_their_life_give_or_take_a_tenth(left, chance):
    assert left / 2 * (1 - sets.JITTER) - 0.002 <= served_wait(left, chance)
    assert served_wait(left, chance) <= left / 2 * (1 + sets.JITTER) + 0.002


@pytest.mark.requirement("RESIL-10")
@given(left=LIVES)
def test_chance_is_spread_evenly_over_a_whole_herd_that_was_started_at_one_instant(left):
    """A thousand chances in a row come out a thousandth of the span apart: nowhere do two bunch, nowhere is a hole."""
    at = [pace.renewal_wait(left, number / (HERD - 1)) for number in range(HERD)]
    span = left * pace.JITTER
    assert at[-1] - at[0] == pytest.approx(span)
    assert all(
        later - earlier == pytest.approx(span / (HERD - 1), rel=1e-3) for earlier, later in pairwise(at)
    )


@pytest.mark.requirement("RESIL-10")
@given(left=st.floats(60, 86_400))
def test_the_workload_api_spreads_a_herd_as_evenly(left):
    chances = [(number * (2**32 - 1) // (HERD - 1)).to_bytes(4, "big") for number in range(HERD)]
    at = [served_wait(left, chance) for chance in chances]
    assert at == sorted(at)
    assert at[-1] - at[0] == pytest.approx(left * sets.JITTER, rel=0.01)


@pytest.mark.requirement("RESIL-10", "RESIL-12")
@given(failures=st.integers(0, 10_000), chance=CHANCES)
def test_pauses_after_failures_are_bounded_and_never_nothing_for_renewals(failures, chance):
    assert pace.RETRY_SECONDS_MIN / 2 <= pace.retry_wait(failures, chance) <= pace.RETRY_SECONDS_MAX
    assert 0 <= pace.return_wait(failures, chance) <= pace.RETURN_SECONDS_MAX


@pytest.mark.requirement("RESIL-12")
@given(failures=st.integers(0, 50))
def test_who_lost_their_server_together_come_back_spread_over_the_whole_pause(failures):
    most = [pace.return_wait(failures, number / (HERD - 1)) for number in range(HERD)]
    bound = min(pace.RETURN_SECONDS_MAX, pace.RETURN_SECONDS_MIN * 2.0 ** min(failures, 10))
    assert (most[0], most[-1]) == (0, bound)
    # Of any tenth of the pause, no more than a tenth of them.
    for tenth in range(10):
        inside = sum(bound * tenth / 10 <= one < bound * (tenth + 1) / 10 for one in most)
        assert inside <= HERD / 10 + 1
