"""What policy sets declare: every fault is found, with its place and what was probably meant."""

from __future__ import annotations

import pytest

from answerable.core.registry.documents.policy_parts import (
    NO_PARTS,
    DestinationClass,
    EventMatch,
    PolicyParts,
    RiskFactor,
    TimeWindow,
    Tracker,
)
from answerable.testing.samples import POLICIES
from tests.worlds.policy_parts import (
    CLASS,
    FACTOR,
    PARTS,
    SEQUENCE,
    TRACKER,
    WINDOW,
    faults,
    of,
    read_parts,
    told,
    with_parts,
    without,
)

pytestmark = pytest.mark.requirement("PARTS-01")


def test_parts_are_read_as_they_are_written():
    assert read_parts(**PARTS) == PolicyParts(
        trackers=(
            Tracker(
                name="refunds",
                over="agent",
                matches=(EventMatch(capabilities=("crm.refund",)),),
                sum="amount",
                within_seconds=86_400,
            ),
            Tracker(
                name="approved_first",
                over="mandate",
                matches=(EventMatch(event="approved"), EventMatch(kinds=("pay",))),
                sequence=True,
                same_resource=True,
            ),
        ),
        windows=(TimeWindow(name="freeze", begins=1_797_789_600_000, ends=1_798_848_000_000),),
        destinations=(DestinationClass(name="ours", type="host", members=("example.com", "*.example.com")),),
        risk=(RiskFactor(name="much", points=40, fact="history", of="refunds", at_least=100_000),),
    )


def test_a_set_that_declares_nothing_has_no_parts():
    assert read_parts() == NO_PARTS
    assert read_parts(trackers=[], windows=[], destinations=[], risk=[]) == NO_PARTS


def test_a_match_takes_all_its_lists():
    match = {
        "event": "failed",
        "capabilities": ["crm.read"],
        "kinds": ["read", "pay"],
        "servers": ["crm"],
        "environments": ["production"],
        "sensitivities": ["confidential"],
    }
    parts = read_parts(trackers=[{"name": "misses", "over": "mandate", "within": "7d", **match}])
    assert parts.trackers[0].within_seconds == 7 * 86_400
    assert parts.trackers[0].matches == (
        EventMatch(
            event="failed",
            capabilities=("crm.read",),
            kinds=("read", "pay"),
            servers=("crm",),
            environments=("production",),
            sensitivities=("confidential",),
        ),
    )


def test_the_same_place_in_two_kinds_of_part_may_have_the_same_name():
    window = without(WINDOW, name="refunds")
    assert faults(with_parts(trackers=[TRACKER], windows=[window])) == []


TRACKERS = [
    (without(TRACKER, resource="x"), "/resource", "document.unknown_key", "`sameResource`"),
    (without(TRACKER, "name"), "", "document.missing", "`name` is missing"),
    (without(TRACKER, name="Refunds-Today"), "/name", "document.pattern", "did you mean `refunds_today`?"),
    (without(TRACKER, name="9"), "/name", "document.pattern", "at most 63"),
    (without(TRACKER, name="r" * 64), "/name", "document.pattern", "at most 63"),
    (without(TRACKER, name="in"), "/name", "document.pattern", "a reserved word of Cedar"),
    (without(TRACKER, name="In!"), "/name", "document.pattern", "at most 63"),
    (without(TRACKER, "over"), "", "document.missing", "`over` is missing"),
    (without(TRACKER, over="session"), "/over", "document.choice", "known here: mandate, agent"),
    (without(TRACKER, over="agents"), "/over", "document.choice", "did you mean `agent`?"),
    (without(TRACKER, "within"), "", "policy_set.tracker", "add `within`, such as `within: 24h`"),
    (without(TRACKER, within=24), "/within", "document.type", "quote it"),
    (without(TRACKER, within="24"), "/within", "document.pattern", "is not a duration such as"),
    (without(TRACKER, within="24 hours"), "/within", "document.pattern", "did you mean `24h`?"),
    (without(TRACKER, within="15min"), "/within", "document.pattern", "did you mean `15m`?"),
    (without(TRACKER, within="1 month"), "/within", "document.pattern", "`90s`, `15m`, `24h` or `7d`"),
    (without(TRACKER, within="0h"), "/within", "document.pattern", "is not a duration"),
    (without(TRACKER, within="1h30m"), "/within", "document.pattern", "is not a duration"),
    (without(TRACKER, within="91d"), "/within", "document.range", "expected at most `90d`, got `91d`"),
    (without(TRACKER, event="start"), "/event", "document.choice", "did you mean `started`?"),
    (without(TRACKER, kinds=["pays"]), "/kinds/0", "document.choice", "did you mean `pay`?"),
    (without(TRACKER, sensitivities=["secret"]), "/sensitivities/0", "document.choice", "known here: public"),
    (without(TRACKER, servers=["CRM"]), "/servers/0", "name.invalid", "is not a name"),
    (without(TRACKER, environments=["a b"]), "/environments/0", "name.invalid", "is not a name"),
    (without(TRACKER, capabilities="crm.refund"), "/capabilities", "document.type", "expected a list"),
    (
        without(TRACKER, "sum", capabilities=[f"c{number}" for number in range(101)]),
        "/capabilities",
        "document.size",
        "expected at most 100 names, got 101",
    ),
    (without(TRACKER, sum="a b"), "/sum", "document.pattern", "is not an argument name"),
    (without(TRACKER, sameResource="yes"), "/sameResource", "document.type", "expected true or false"),
    ("refunds", "", "document.type", "expected a mapping"),
    (without(SEQUENCE, sum="amount"), "/sum", "policy_set.tracker", "a sequence has no sum"),
    (without(SEQUENCE, kinds=["pay"]), "/kinds", "policy_set.tracker", "must be in each of the `steps`"),
    (without(SEQUENCE, event="denied"), "/event", "policy_set.tracker", "must be in each of the `steps`"),
    (without(SEQUENCE, steps=[]), "/steps", "document.size", "2 to 8 steps, got 0"),
    (without(SEQUENCE, steps=[{}]), "/steps", "document.size", "for one event leave out `steps`"),
    (without(SEQUENCE, steps=[{}] * 9), "/steps", "document.size", "2 to 8 steps, got 9"),
    (without(SEQUENCE, steps=[{}, {"over": "agent"}]), "/steps/1/over", "document.unknown_key", "known here"),
    (without(SEQUENCE, steps=[{}, {"event": "fails"}]), "/steps/1/event", "document.choice", "`failed`"),
]


@pytest.mark.parametrize(("tracker", "at", "code", "says"), TRACKERS)
def test_a_tracker_that_is_none_is_a_fault(tracker, at, code, says):
    path, found, message = told(trackers=[tracker])
    assert (path, found) == (f"/spec/trackers/0{at}", code)
    assert says in message


def test_a_mandate_needs_no_window_for_it_has_an_end():
    (tracker,) = read_parts(trackers=[{"name": "calls", "over": "mandate"}]).trackers
    assert (tracker.within_seconds, tracker.matches) == (0, (EventMatch(),))


@pytest.mark.parametrize(
    ("days", "starts", "stops", "expected"),
    [
        (["sun", "sat"], None, None, (("sat", "sun"), 0, 0)),
        (["fri"], "18:00", "06:30", (("fri",), 1080, 390)),
        ([], "18:00", "00:00", ((), 1080, 0)),
    ],
)
def test_a_window_has_days_and_hours(days, starts, stops, expected):
    window = {"name": "nights"} | ({"days": days} if days else {})
    window |= {"startsAt": starts, "stopsAt": stops} if starts else {}
    (found,) = read_parts(windows=[window]).windows
    assert (found.days, found.starts_at, found.stops_at) == expected


def test_a_window_may_have_no_end_and_parts_of_a_second():
    (found,) = read_parts(windows=[{"name": "new", "begins": "1970-01-01T00:00:00.001Z"}]).windows
    assert (found.begins, found.ends) == (1, 0)


WINDOWS = [
    (without(WINDOW, start="x"), "/start", "document.unknown_key", "did you mean `startsAt`?"),
    ({"name": "always"}, "", "policy_set.window", "would always be open"),
    (without(WINDOW, name="code.freeze"), "/name", "document.pattern", "did you mean `code_freeze`?"),
    (without(WINDOW, begins="2026-12-20"), "/begins", "document.date", "like `2027-01-31T18:00:00Z`"),
    (without(WINDOW, begins="2026-12-20T18:00:00+01:00"), "/begins", "document.date", "in UTC"),
    (without(WINDOW, begins="2026-12-20 18:00:00Z"), "/begins", "document.date", "in UTC"),
    (without(WINDOW, begins="2026-02-30T18:00:00Z"), "/begins", "document.date", "in UTC"),
    (without(WINDOW, begins="1970-01-01T00:00:00Z"), "/begins", "document.date", "in UTC"),
    (without(WINDOW, begins="1969-12-31T23:59:59Z"), "/begins", "document.date", "in UTC"),
    (without(WINDOW, ends="2026-12-20T18:00:00Z"), "/ends", "policy_set.window", "never be open"),
    (without(WINDOW, days=["monday"]), "/days/0", "document.choice", "did you mean `mon`?"),
    (without(WINDOW, days=[]), "/days", "document.size", "at least one day"),
    (without(WINDOW, startsAt="18:00"), "/startsAt", "policy_set.window", "needs `stopsAt`"),
    (without(WINDOW, stopsAt="18:00"), "/stopsAt", "policy_set.window", "needs `startsAt`"),
    (
        without(WINDOW, startsAt="18:00", stopsAt="24:00"),
        "/stopsAt",
        "document.pattern",
        "midnight is `00:00`",
    ),
    (without(WINDOW, startsAt="18:00", stopsAt="18:00"), "/stopsAt", "policy_set.window", "are the same"),
    (without(WINDOW, startsAt=1080, stopsAt="18:00"), "/startsAt", "document.type", "quote it"),
]


@pytest.mark.parametrize(("window", "at", "code", "says"), WINDOWS)
def test_a_window_that_is_none_is_a_fault(window, at, code, says):
    path, found, message = told(windows=[window])
    assert (path, found) == (f"/spec/windows/0{at}", code)
    assert says in message


@pytest.mark.parametrize(
    ("key", "part", "most"),
    [("trackers", TRACKER, 64), ("windows", WINDOW, 64), ("destinations", CLASS, 32), ("risk", FACTOR, 64)],
)
def test_every_list_is_bounded_and_names_each_thing_once(key, part, most):
    other = {"type": "name", "members": ["ops"]} if key == "destinations" else {}
    path, code, message = told(**{**PARTS, key: [part, without(part, **other)]})
    assert (path, code) == (f"/spec/{key}/1/name", "document.duplicate")
    assert f"`{part['name']}` is declared twice" in message
    path, code, message = told(**{**PARTS, "risk": [], key: [part] * (most + 1)})
    assert (path, code) == (f"/spec/{key}", "document.size")
    assert f"expected at most {most} items, got {most + 1}" in message


def test_all_faults_of_all_parts_are_told_at_once():
    found = faults(
        with_parts(
            trackers=[without(TRACKER, "within"), without(SEQUENCE, name="A")],
            windows=[{"name": "always"}, "freeze"],
            destinations=[
                without(CLASS, members=["Example.com", "x y", "a.test"]),
                {"type": "names", "members": [7]},
                "partners",
            ],
            risk=[of("tier"), {}],
        )
    )
    assert sorted(found) == [
        ("/spec/destinations/0/members/0", "destination.invalid"),
        ("/spec/destinations/0/members/1", "destination.invalid"),
        ("/spec/destinations/1", "document.missing"),
        ("/spec/destinations/1/members/0", "document.type"),
        ("/spec/destinations/1/type", "document.choice"),
        ("/spec/destinations/2", "document.type"),
        ("/spec/risk/0", "policy_set.risk"),
        *[("/spec/risk/1", "document.missing")] * 3,
        ("/spec/trackers/0", "policy_set.tracker"),
        ("/spec/trackers/1/name", "document.pattern"),
        ("/spec/windows/0", "policy_set.window"),
        ("/spec/windows/1", "document.type"),
    ]


def test_the_lists_are_lists_of_mappings():
    for key in PARTS:
        assert told(policies=POLICIES, **{key: {"name": "x"}})[:2] == (f"/spec/{key}", "document.type")
