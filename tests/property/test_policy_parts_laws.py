"""Laws of what policy sets declare: what is read is what was written, and whatever is read keeps its laws."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.registry.documents.destination import normalised
from answerable.core.registry.documents.policy_parts import (
    CLASSES_MAX,
    EVENT_KINDS,
    FACTORS_MAX,
    STEPS_MAX,
    TRACKERS_MAX,
    WINDOWS_MAX,
    WITHIN_SECONDS_MAX,
    DestinationClass,
    EventMatch,
    PolicyParts,
    RiskFactor,
    TimeWindow,
    Tracker,
)
from answerable.core.registry.documents.time_rule import WEEKDAYS
from answerable.core.registry.parsing.active import faults_of, snapshot_of
from answerable.core.registry.parsing.parse import shapes_of
from answerable.testing.samples import document, registry_documents

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
NAMES = st.sampled_from(["refunds", "calls_1", "x", "n" * 63, "freeze"])
HOSTS = st.sampled_from(
    ["a.test", "b.a.test", "*.a.test", "*.test", "a.test:8443", "192.0.2.7", "[2001:db8::1]"]
)
MAIL = st.sampled_from(["a.test", "ada@a.test", "bob@b.test"])
WORDS = st.sampled_from(["#ops", "Team A", "ops"])
MILLIS = st.integers(1, 4_102_444_800_000)

# --- parts that keep the laws, and the documents that say them ---------------------------------------------

MATCHES = st.builds(
    EventMatch,
    event=st.sampled_from(EVENT_KINDS),
    capabilities=st.lists(st.sampled_from(["crm.read", "crm.refund"]), unique=True).map(tuple),
    kinds=st.lists(st.sampled_from(["read", "pay", "delete"]), unique=True).map(tuple),
    servers=st.sampled_from([(), ("crm",)]),
    environments=st.sampled_from([(), ("production",), ("production", "staging")]),
    sensitivities=st.sampled_from([(), ("restricted", "public")]),
)
WITHIN = st.integers(1, WITHIN_SECONDS_MAX)
COUNTS = st.builds(
    Tracker, name=NAMES, over=st.just("agent"), matches=st.tuples(MATCHES), within_seconds=WITHIN,
    same_resource=st.booleans(),
)  # fmt: skip
SEQUENCES = st.builds(
    Tracker, name=NAMES, over=st.just("mandate"), matches=st.lists(MATCHES, min_size=2, max_size=STEPS_MAX).map(tuple),
    sequence=st.just(True), within_seconds=st.one_of(st.just(0), WITHIN),
)  # fmt: skip
SUMS = st.builds(
    Tracker, name=NAMES, over=st.just("mandate"), matches=st.just((EventMatch(capabilities=("crm.refund",)),)),
    sum=st.just("amount"),
)  # fmt: skip


def window_of(name: str, span: list[int], open_end: bool, days: list[Any], hours: list[int]) -> TimeWindow:
    return TimeWindow(
        name=name,
        begins=span[0],
        ends=0 if open_end else span[1],
        days=tuple(day for day in WEEKDAYS if day in days),
        starts_at=hours[0],
        stops_at=hours[1],
    )


WINDOWS = st.builds(
    window_of,
    NAMES,
    st.lists(MILLIS, min_size=2, max_size=2, unique=True).map(sorted),
    st.booleans(),
    st.lists(st.sampled_from(WEEKDAYS)),
    st.one_of(st.just([0, 0]), st.lists(st.integers(0, 1439), min_size=2, max_size=2, unique=True)),
)
CLASSES = st.one_of(
    *(
        st.builds(
            DestinationClass, name=NAMES, type=st.just(kind),
            members=st.lists(members, min_size=1, unique=True).map(tuple),
        )
        for kind, members in (("host", HOSTS), ("email", MAIL), ("name", WORDS))
    )
)  # fmt: skip
FACTORS = st.one_of(
    st.builds(RiskFactor, name=NAMES, points=st.integers(1, 1000), fact=st.just("tier"), at_least=st.integers(0, 3)),
    st.builds(RiskFactor, name=NAMES, points=st.integers(1, 1000), fact=st.just("drifted")),
    st.builds(
        RiskFactor, name=NAMES, points=st.integers(1, 1000), fact=st.just("argument"), of=st.just("case"),
        one_of=st.lists(st.sampled_from(["1", "a b"]), min_size=1, unique=True).map(tuple),
    ),
)  # fmt: skip
PARTS = st.builds(
    PolicyParts,
    trackers=st.lists(st.one_of(COUNTS, SEQUENCES, SUMS), unique_by=lambda one: one.name).map(tuple),
    windows=st.lists(WINDOWS, unique_by=lambda one: one.name).map(tuple),
    destinations=st.lists(CLASSES, max_size=1).map(tuple),
    risk=st.lists(FACTORS, unique_by=lambda one: one.name).map(tuple),
)


def instant(millis: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def written_match(match: EventMatch) -> dict[str, Any]:
    lists = ("capabilities", "kinds", "servers", "environments", "sensitivities")
    return {"event": match.event, **{key: list(getattr(match, key)) for key in lists}}


def written_tracker(one: Tracker) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": one.name, "over": one.over, "sameResource": one.same_resource}
    spec |= {"within": f"{one.within_seconds}s"} if one.within_seconds else {}
    spec |= {"sum": one.sum} if one.sum else {}
    if one.sequence:
        return {**spec, "steps": [written_match(match) for match in one.matches]}
    return {**spec, **written_match(one.matches[0])}


def written_window(one: TimeWindow) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": one.name, "begins": instant(one.begins)}
    spec |= {"ends": instant(one.ends)} if one.ends else {}
    spec |= {"days": list(one.days)} if one.days else {}
    if one.starts_at != one.stops_at:
        hours = {"startsAt": one.starts_at, "stopsAt": one.stops_at}
        spec |= {key: f"{minutes // 60:02}:{minutes % 60:02}" for key, minutes in hours.items()}
    return spec


def written(parts: PolicyParts) -> dict[str, Any]:
    factors = (
        {
            "name": one.name, "points": one.points, "fact": one.fact, "of": one.of or None, "atLeast": one.at_least,
            "oneOf": list(one.one_of) or None,
        }
        for one in parts.risk
    )  # fmt: skip
    return {
        "trackers": [written_tracker(one) for one in parts.trackers],
        "windows": [written_window(one) for one in parts.windows],
        "destinations": [
            {"name": one.name, "type": one.type, "members": list(one.members)} for one in parts.destinations
        ],
        "risk": [{key: value for key, value in one.items() if value is not None} for one in factors],
    }


def registry(spec: Any) -> list[Any]:
    documents = [one for one in registry_documents() if isinstance(one, dict) and one["kind"] != "PolicySet"]
    policies = '@id("all")\npermit (principal, action, resource);\n'
    return [*documents, document("PolicySet", "house", {"policies": policies, **spec})]


@pytest.mark.requirement("PARTS-01")
@given(PARTS)
def test_what_is_read_is_what_was_written(parts):
    documents = registry(written(parts))
    assert faults_of(documents) == ()
    assert snapshot_of(documents).parts == parts


# --- documents that are wrong in any way -----------------------------------------------------------------

ANY = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2000), st.text(max_size=5),
    st.sampled_from([
        "agent", "mandate", "24h", "91d", "amount", "case", "tier", "history", "window", "unknown", "none", "*.a.test",
        "A.test", "in", "2026-12-20T18:00:00Z", "1970-01-01T00:00:00Z", "18:00", "mon", "pay", "failed", "restricted",
        "destination_class", "argument", "irreversible", "hops", "host", "email",
    ]),
    NAMES,
)  # fmt: skip
KEYS = st.sampled_from([
    "name", "over", "within", "sameResource", "sum", "steps", "event", "capabilities", "kinds", "servers",
    "environments", "sensitivities", "begins", "ends", "days", "startsAt", "stopsAt", "type", "members", "points",
    "fact", "of", "atLeast", "atMost", "oneOf", "other",
])  # fmt: skip
VALUES = st.one_of(
    ANY, st.lists(ANY, max_size=4), st.lists(st.dictionaries(KEYS, ANY, max_size=3), max_size=3)
)


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """Sound parts in which some members were set to anything, or taken away."""
    spec = written(draw(PARTS))
    for _ in range(draw(st.integers(0, 3))):
        items = spec[draw(st.sampled_from(sorted(spec)))]
        if not items:
            items.append(draw(st.dictionaries(KEYS, VALUES, max_size=5)))
            continue
        item = draw(st.sampled_from(items))
        if draw(st.booleans()) and item:
            del item[draw(st.sampled_from(sorted(item)))]
        else:
            item[draw(KEYS)] = draw(VALUES)
    return spec


@pytest.mark.requirement("PARTS-02")
@given(broken())
def test_whatever_is_read_keeps_its_laws(spec):
    documents = registry(spec)
    shapes = shapes_of(documents)
    told = faults_of(documents)
    assert all(fault.message and "\n" not in fault.message and fault.code for fault in told)
    if shapes.faults:
        return
    parts = snapshot_of(documents).parts
    assert len(parts.trackers) <= TRACKERS_MAX
    assert len(parts.windows) <= WINDOWS_MAX
    assert len(parts.destinations) <= CLASSES_MAX
    assert len(parts.risk) <= FACTORS_MAX
    for kind in (parts.trackers, parts.windows, parts.destinations, parts.risk):
        names = [one.name for one in kind]
        assert len(set(names)) == len(names)
        assert all(NAME.fullmatch(name) for name in names)
    for tracker in parts.trackers:
        keeps_its_laws(tracker)
    for window in parts.windows:
        assert not window.ends or window.begins < window.ends
        assert window.begins or window.ends or window.days or window.starts_at != window.stops_at
        assert (window.starts_at == window.stops_at) <= (window.starts_at == 0)
    for one in parts.destinations:
        assert one.members
        assert one.name not in ("unknown", "none")
        plain = [
            member
            for member in one.members
            if not member.startswith("*.") and (one.type, "@" in member) != ("email", False)
        ]
        assert [normalised(one.type, member) for member in plain] == plain
    for factor in parts.risk:
        fits(factor)


def keeps_its_laws(tracker: Tracker) -> None:
    assert tracker.over == "mandate" or tracker.within_seconds
    assert 0 <= tracker.within_seconds <= WITHIN_SECONDS_MAX
    assert not (tracker.sequence and tracker.sum)
    assert 2 <= len(tracker.matches) <= STEPS_MAX if tracker.sequence else len(tracker.matches) == 1


def fits(factor: RiskFactor) -> None:
    numbers = factor.at_least is not None or factor.at_most is not None
    assert 1 <= factor.points <= 1000
    assert not (numbers and factor.one_of)
    assert bool(factor.of) == (factor.fact in ("argument", "history", "window"))
    if factor.fact in ("history", "tier", "hops", "budget_left_percent"):
        assert numbers
    if factor.fact in ("destination_class", "sensitivity", "environment"):
        assert factor.one_of
    if factor.fact in ("window", "irreversible", "drifted"):
        assert not numbers
        assert not factor.one_of
