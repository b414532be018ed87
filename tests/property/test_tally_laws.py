"""Laws of what is taken back from a count, against a reference that keeps every event."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.core.decision.counter import Event, resource_key
from answerable.core.decision.history import History
from answerable.core.registry.documents.policy_parts import EventMatch, Tracker
from tests.probes.example_counts import examples

RESOURCE = resource_key("Case", "1")
START = 1_795_000_000_000


@pytest.mark.requirement("RULE-10")
@settings(max_examples=examples(200), deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(-5_000, 20_000), st.booleans()), max_size=12),
    later=st.integers(0, 90_000),
)
def test_what_is_taken_back_counts_no_more_and_nothing_else_with_it(
    steps: list[tuple[int, bool]], later: int
) -> None:
    tracker = Tracker(
        name="t", over="agent", matches=(EventMatch(event="started"),), within_seconds=60, same_resource=True
    )
    history, now = History([tracker]), START
    kept: list[Event] = []
    gone: list[Event] = []
    for step, is_taken in steps:
        now += step
        event = Event(
            event="started", at=now, agent="scout", mandate="", capability="c", server="", nature=None,
            resource=RESOURCE, arguments=None,
        )  # fmt: skip
        history.happened(event)
        (gone if is_taken else kept).append(event)
    for event in gone:
        history.take_back(event)
    now += later
    value = history.counters[0].value("scout", "", RESOURCE, now)
    newest = max((one.at for one in (*kept, *gone)), default=now)
    assert isinstance(value, int)
    if newest <= now:
        assert value >= sum(now - 60_000 < one.at for one in kept)
    if all(step >= 0 for step, _ in steps):
        assert value <= sum(now - 61_000 <= one.at for one in kept)
