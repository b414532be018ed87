"""Laws of what trackers count, against a reference that keeps every event."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.core.canonical import INTEGER_MAX
from answerable.core.decision import counter
from answerable.core.decision.counter import Event, resource_key
from answerable.core.decision.history import History, UnknownHistory
from answerable.core.decision.tally import PIECES, decoded, encoded
from answerable.core.registry.documents.policy_parts import EVENT_KINDS, EventMatch, Tracker
from tests.probes.example_counts import examples

AGENTS = ("scout", "rover")
MANDATES = ("m-1", "m-2")
RESOURCES = tuple(resource_key("Case", name) for name in ("1", "2", "3"))
CAPABILITIES = ("crm.read", "crm.refund")
NATURES = {"crm.read": ("read", "production", "public"), "crm.refund": ("pay", "staging", "restricted")}
START = 1_795_000_000_000

amounts = st.integers(-5, 9) | st.sampled_from((INTEGER_MAX, INTEGER_MAX - 3)) | st.none() | st.booleans()
matches = st.builds(
    EventMatch,
    event=st.sampled_from(EVENT_KINDS[:3]),
    capabilities=st.sampled_from(((), ("crm.read",), ("crm.refund", "crm.read"))),
    kinds=st.sampled_from(((), (), ("pay",))),
    servers=st.sampled_from(((), (), ("crm",), ("mail",))),
    environments=st.sampled_from(((), (), ("production", "staging"))),
    sensitivities=st.sampled_from(((), (), ("restricted",))),
)
seconds = st.sampled_from((1, 7, 60, 3600))


@st.composite
def trackers(draw, name="t"):
    over = draw(st.sampled_from(("agent", "mandate")))
    sequence = draw(st.booleans())
    return Tracker(
        name=name,
        over=over,
        matches=tuple(draw(st.lists(matches, min_size=2, max_size=4))) if sequence else (draw(matches),),
        sum="" if sequence or draw(st.booleans()) else "amount",
        sequence=sequence,
        within_seconds=draw(seconds) if over == "agent" else draw(st.just(0) | seconds),
        same_resource=draw(st.booleans()),
    )


@st.composite
def events(draw, at):
    capability = draw(st.sampled_from(CAPABILITIES))
    return Event(
        event=draw(st.sampled_from(EVENT_KINDS[:3])),
        at=at,
        agent=draw(st.sampled_from(AGENTS)),
        mandate=draw(st.sampled_from(MANDATES)),
        capability=capability,
        server="crm",
        nature=NATURES[capability],
        resource=draw(st.sampled_from(RESOURCES)),
        arguments={"amount": draw(amounts)},
    )


@st.composite
def stories(draw, within_ms, size=40):
    """Events whose times never go back, in the order of the log."""
    at, story = START + draw(st.integers(0, 10_000)), []
    steps = st.integers(0, 3) | st.integers(0, max(1, within_ms // 30)) | st.integers(0, within_ms)
    for _ in range(draw(st.integers(0, size))):
        at += draw(steps)
        story.append(draw(events(at)))
    return story


@dataclass
class Reference:
    """What happened, all of it. A value is worked out from the events of one owner, one by one."""

    tracker: Tracker
    events: list[Event]

    def value(self, *, agent, mandate, resource, since):
        """Of events that are not older than that; all of them where there is no window."""
        owner = mandate if self.tracker.over == "mandate" else agent
        mine = [
            one
            for one in self.events
            if (one.mandate if self.tracker.over == "mandate" else one.agent) == owner
            and (not self.tracker.same_resource or one.resource == resource)
            and (not self.tracker.within_seconds or one.at >= since)
        ]
        if self.tracker.sequence:
            reached = 0
            for one in mine:
                if reached < len(self.tracker.matches) and self._is(self.tracker.matches[reached], one):
                    reached += 1
            return reached
        mine = [one for one in mine if self._is(self.tracker.matches[0], one)]
        if not self.tracker.sum:
            return len(mine)
        whole = [one.arguments[self.tracker.sum] for one in mine]
        return min(INTEGER_MAX, sum(amount for amount in whole if type(amount) is int and amount > 0))

    @staticmethod
    def _is(match, event):
        kind, environment, sensitivity = event.nature
        return (
            event.event == match.event
            and (not match.capabilities or event.capability in match.capabilities)
            and (not match.kinds or kind in match.kinds)
            and (not match.servers or event.server in match.servers)
            and (not match.environments or environment in match.environments)
            and (not match.sensitivities or sensitivity in match.sensitivities)
        )


def value(history, now, *, agent="scout", mandate="m-1", resource=RESOURCES[0]):
    found = history.values(agent=agent, mandate=mandate, resource=resource, now=now)
    assert not isinstance(found, UnknownHistory)
    [only] = found.values()
    return only


def told(history, events):
    for index, event in enumerate(events):
        history.placed(event, index)
    return history


def as_kept(history, tracker):
    """The same as another process finds it."""
    state = history.due(history.entries)
    again = History([tracker])
    if state is not None:
        history.kept(state)
        places = [
            (owner, key, decoded(encoded(cell))) for (_, owner, key), cell in state.places.items() if cell
        ]
        [digest] = state.trackers
        assert again.restored(digest, places)
    again.entries = history.entries
    return again


@pytest.mark.requirement("HIST-01", "HIST-07")
@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_value_is_never_below_the_exact_one_nor_above_that_over_a_60th_more(data):
    tracker = data.draw(trackers())
    within = tracker.within_seconds * 1000
    story = data.draw(stories(within or 60_000))
    history, told_so_far = History([tracker]), []
    for index, event in enumerate(story):
        history.placed(event, index)
        told_so_far.append(event)
        reference = Reference(tracker, told_so_far)
        now = event.at + data.draw(st.integers(0, 2) | st.integers(0, 2 * (within or 1)))
        # Where one of them is about to leave.
        now = max(
            event.at, data.draw(st.just(now) | st.sampled_from(told_so_far).map(lambda one: one.at + within))
        )
        now += data.draw(st.integers(-1, 1 + within // PIECES)) * (now > event.at)
        if index + 1 < len(story):
            now = min(now, story[index + 1].at)
        who = {
            "agent": data.draw(st.sampled_from(AGENTS)),
            "mandate": data.draw(st.sampled_from(MANDATES)),
            "resource": data.draw(st.sampled_from(RESOURCES)),
        }
        found = value(history, now, **who)
        least = reference.value(since=now - within, **who)
        most = reference.value(since=now - within - within / PIECES, **who)
        assert least <= found <= most


@pytest.mark.requirement("HIST-01")
@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_what_is_kept_and_read_again_counts_on_as_if_nothing_had_happened(data):
    tracker = data.draw(trackers())
    within = tracker.within_seconds * 1000
    story = data.draw(stories(within or 60_000))
    cut = data.draw(st.integers(0, len(story)))
    whole = told(History([tracker]), story)
    again = as_kept(told(History([tracker]), story[:cut]), tracker)
    for index, event in enumerate(story[cut:], cut):
        again.placed(event, index)
    now = (story[-1].at if story else START) + data.draw(st.integers(0, within or 10))
    for agent in AGENTS:
        for resource in RESOURCES:
            who = {"agent": agent, "mandate": MANDATES[AGENTS.index(agent)], "resource": resource}
            assert value(again, now, **who) == value(whole, now, **who)


@pytest.mark.requirement("HIST-02")
@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_a_clock_that_is_set_back_makes_no_value_smaller(data):
    """Real times go on; from some event on, the clock tells earlier ones."""
    tracker = data.draw(trackers())
    within = tracker.within_seconds * 1000
    story = data.draw(stories(within or 60_000))
    cut, back = data.draw(st.integers(0, len(story))), data.draw(st.integers(0, 3 * (within or 1000)))
    history, told_so_far, clock_at = History([tracker]), [], {}
    for index, event in enumerate(story):
        clock_at[index] = event.at - (back if index >= cut else 0)
        before = value(history, event.at - (back if index > cut else 0))
        assert value(history, clock_at[index]) >= before
        history.placed(
            Event(
                **{name: getattr(event, name) for name in Event.__struct_fields__} | {"at": clock_at[index]}
            ),
            index,
        )
        told_so_far.append(event)
        assert value(history, clock_at[index]) >= Reference(tracker, told_so_far).value(
            agent="scout", mandate="m-1", resource=RESOURCES[0], since=event.at - within
        )


@pytest.mark.requirement("HIST-03")
@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_what_is_begun_counts_at_once_and_what_is_taken_back_leaves_nothing(data):
    tracker = data.draw(trackers())
    within = tracker.within_seconds * 1000
    story = [one for one in data.draw(stories(within or 60_000)) if one.event == "started"]
    history, placed, ahead, index = History([tracker]), [], [], 0
    for event in story:
        history.begin(event)
        ahead.append(event)
        while ahead and data.draw(st.booleans()):
            one = ahead.pop(data.draw(st.integers(0, len(ahead) - 1)))
            if data.draw(st.booleans()):
                history.withdraw(one)
                history.withdraw(one)
            else:
                history.placed(one, index)
                placed.append(one)
                index += 1
        now = event.at
        reference = Reference(tracker, [*placed, *ahead])
        who = {"agent": "scout", "mandate": "m-1", "resource": RESOURCES[1]}
        found = value(history, now, **who)
        least = reference.value(since=now - within, **who)
        # What is placed later than something that began after it is as young as that.
        most = reference.value(since=0, **who)
        assert least <= found <= most
    for one in ahead:
        history.withdraw(one)
    now = story[-1].at if story else START
    only = told(History([tracker]), placed)
    for agent in AGENTS:
        who = {"agent": agent, "mandate": "m-1", "resource": RESOURCES[1]}
        assert value(history, now, **who) == value(only, now, **who)


@pytest.mark.requirement("HIST-04")
@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_a_tracker_that_is_declared_later_counts_as_if_it_had_been_there(data):
    tracker, other = data.draw(trackers()), data.draw(trackers(name="other"))
    within = tracker.within_seconds * 1000
    story = data.draw(stories(within or 60_000))
    first, second = sorted(data.draw(st.tuples(st.integers(0, len(story)), st.integers(0, len(story)))))
    history = told(History([other]), story[:first])
    reading = history.read_back([tracker])
    assert reading.before == first
    for index, event in enumerate(story[first:second], first):
        history.placed(event, index)
    for event in story[:first]:
        reading.history.happened(event)
    history.adopt([tracker], reading)
    for index, event in enumerate(story[second:], second):
        history.placed(event, index)
    assert history.trackers == (tracker,)
    now = story[-1].at if story else START
    whole = told(History([tracker]), story)
    for agent in AGENTS:
        for resource in RESOURCES:
            who = {"agent": agent, "mandate": "m-2", "resource": resource}
            assert value(history, now, **who) == value(whole, now, **who)


@pytest.mark.requirement("HIST-05", "HIST-09")
def test_a_tracker_of_more_resources_than_are_kept_is_unknown_until_the_rest_is_out_of_its_window(
    monkeypatch,
):
    monkeypatch.setattr(counter, "RESOURCES_MAX", 3)
    tracker = Tracker(name="t", over="agent", matches=(EventMatch(),), within_seconds=60, same_resource=True)
    history = History([tracker])

    def happened(second, name, agent="scout"):
        history.happened(
            Event(
                event="started",
                at=START + second * 1000,
                agent=agent,
                mandate="m-1",
                capability="crm.read",
                server="crm",
                nature=NATURES["crm.read"],
                resource=resource_key("Case", name),
                arguments={},
            )
        )

    def found(second, name, agent="scout"):
        now = START + second * 1000
        return history.values(agent=agent, mandate="m-1", resource=resource_key("Case", name), now=now)

    for number in range(3):
        happened(number, str(number))
    assert found(3, "2") == {"t": 1}
    happened(4, "3")
    assert found(5, "2") == found(5, "new") == UnknownHistory(tracker="t", because="resources")
    assert found(5, "2", agent="rover") == {"t": 0}, "nobody else is concerned"
    assert found(66, "3") == {"t": 0}
    # By then the first three are out, too, and there is room again.
    happened(70, "3")
    assert found(70, "3") == {"t": 1}
    assert found(70, "2") == {"t": 0}


@pytest.mark.requirement("HIST-05")
@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_what_cannot_be_read_makes_a_value_unknown_and_never_smaller(data):
    tracker = data.draw(trackers())
    within = tracker.within_seconds * 1000
    story = data.draw(stories(within or 60_000))
    dim = History([tracker])
    for index, event in enumerate(story):
        lost = {
            name: None for name in ("nature", "resource", "arguments") if data.draw(st.integers(0, 4)) == 0
        } | ({"server": ""} if data.draw(st.integers(0, 9)) == 0 else {})
        fields = {name: getattr(event, name) for name in Event.__struct_fields__}
        dim.placed(Event(**fields | lost), index)
    now = story[-1].at if story else START
    for agent in AGENTS:
        who = {"agent": agent, "mandate": "m-1", "resource": RESOURCES[2]}
        found = dim.values(now=now, **who)
        if isinstance(found, UnknownHistory):
            assert found.because == "fields"
        else:
            assert found["t"] >= Reference(tracker, story).value(since=now - within, **who)


@pytest.mark.requirement("HIST-05")
def test_an_erased_argument_matters_only_to_a_tracker_that_adds_it_up():
    base = {"name": "t", "over": "agent", "matches": (EventMatch(),), "within_seconds": 60}
    event = Event(
        event="started",
        at=START,
        agent="scout",
        mandate="m-1",
        capability="crm.read",
        server="crm",
        nature=None,
        resource=None,
        arguments=None,
    )
    plain, summing, owned = (
        told(History([Tracker(**base, **more)]), [event])
        for more in ({}, {"sum": "amount"}, {"same_resource": True})
    )
    who = {"agent": "scout", "mandate": "m-1", "resource": RESOURCES[0], "now": START}
    assert plain.values(**who) == {"t": 1}
    assert isinstance(summing.values(**who), UnknownHistory)
    assert isinstance(owned.values(**who), UnknownHistory)
    assert owned.values(**who | {"agent": "rover"}) == {"t": 0}
