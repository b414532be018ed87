"""What agents could do at an earlier time, by the index: as by a scan of the whole log up to then."""

from __future__ import annotations

from contextlib import suppress

import pytest

from answerable.core.containment.hold import EVERYTHING
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.mandate import MandateId
from answerable.errors import AnswerableError, Malformed, Unavailable
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.flows.policy.explain_what_if import told_possible
from answerable.flows.recovery import tell_then as telling
from answerable.flows.recovery.moment_then import Then
from answerable.flows.recovery.tell_then import tell_then, then_of
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.place_hold import place_hold
from answerable.ports.search_process import PossibleQuestion
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.hold import lift
from tests.worlds.parts import to_apply, to_hold
from tests.worlds.stories import teller_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-06"), pytest.mark.requirement("STORY-06")]
ACTIONS = ("crm.read", "crm.refund")


async def lived() -> tuple[Bench, list[int]]:
    """A log in which something that counts changes each second, and the times between."""
    bench, times = Bench(), [0]

    def later() -> None:
        times.append(bench.clock.now())
        bench.clock.advance(1)

    await bench.registered()
    later()
    await bench.issue("m-1", calls_max=2)
    await bench.issue("m-2", agent="rover")
    later()
    await bench.act()
    later()
    await bench.act()
    await bench.act(mandate="m-2", agent="rover")
    with suppress(AnswerableError):
        await bench.refund(2_000_000)
    later()
    await bench.issue("m-3", calls_max=1)
    placed = await place_hold(*to_hold(bench.walk), EVERYTHING, by="dan")
    later()
    await lift(bench, placed.hold, "bob")
    later()
    await close_mandate(bench.recorder, bench.authority, bench.live, MandateId("m-2"), by="operator")
    later()
    documents = [d for d in bench_documents() if isinstance(d, dict) and d["metadata"] != {"name": "rover"}]
    await apply_registry(*to_apply(bench.walk), documents, by="operator", prune=True)
    later()
    return bench, [*times, bench.clock.now() + 10**9]


def scanned(bench: Bench, at: int) -> Then:
    found = Then(at=UnixMillis(at))
    for stored in bench.recorder.ledger.replay():
        if not found.take(stored, bench.recorder.subject_keys.find):
            break
    return found


def in_force(then: Then, agent: str = "") -> tuple[object, ...]:
    """All that a moment is made of; what was spent, of the mandates of this agent that stood."""
    own = [one for one in then.mandates.values() if agent in ("", one.agent) and then.stands(one)]
    return (
        then.documents,
        then.registry,
        then.mandates,
        then.tools,
        then.closed,
        then.revoked,
        then.held,
        (then.withheld, then.unfollowed),
        {one.id: then.spending.used(one.id) for one in own},
    )


def answered(teller: StoryTeller, at: int, action: str, agent: str) -> object:
    try:
        return tell_then(teller, PossibleQuestion(action=action, agent=agent, resource="", at=at))
    except Malformed as fault:
        return fault.code


def expected(then: Then, action: str, agent: str, origin: str) -> object:
    try:
        moment = then.moment(action, origin=origin)
        return told_possible(
            moment, agent=agent, resource="", withheld=then.withheld, unfollowed=then.unfollowed
        )
    except Malformed as fault:
        return fault.code


async def test_what_was_in_force_is_found_as_by_a_scan_and_what_agents_could_do_is_told_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, times = await lived()
    told = set()
    with teller_of(bench.recorder) as teller:
        for at in times:
            then = scanned(bench, at)
            for agent in ("", "scout", "rover"):
                assert in_force(then_of(teller, UnixMillis(at), agent=agent), agent) == in_force(then, agent)
                for action in ACTIONS:
                    found = answered(teller, at, action, agent)
                    assert found == expected(then, action, agent, teller.log.origin)
                    told.add(str(found))
        assert len(told) > 2 * len(times)
        monkeypatch.setattr(telling, "ACTIONS_MAX", 1)
        with pytest.raises(Unavailable) as fault:
            tell_then(teller, PossibleQuestion(action=ACTIONS[0], agent="", resource="", at=times[4]))
        assert fault.value.code == "search.large"
