"""What was handed on below a mandate, by the index: as by a scan of the whole log, and without opening what was done
under the mandate itself."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec import structs

from answerable.apps.control_api.tree_operations import told_branches
from answerable.core.incident.mandate_tree import MandateTree, Tally, grown
from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.entries.cite_statement import cite_consent
from answerable.flows.forensics import tell_tree as telling
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.forensics.tell_tree import tell_tree
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.walk.verify_request import verify_request
from answerable.ports.search_process import TreeAnswer
from answerable.testing.builders import Bench
from tests.worlds.delegation_lineage import asked, believing, chain_of, mandated, root_of
from tests.worlds.parts import to_govern, to_plan
from tests.worlds.stories import teller_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("STORY-05")]


async def handed_on() -> Bench:
    """Two chains of one mandate: three actions and a refusal by tokens, two under the mandate itself, one elsewhere."""
    bench = await Bench().registered()
    believing(bench)
    mandate = await mandated(bench)
    await mandated(bench, identity="m-2")
    one, other = chain_of(bench, mandate), chain_of(bench, mandate, jti="hop-again")
    root = (root_of(bench, mandate),)
    for chain, agent in ((one, "rover"), (other, "rover"), (one, "rover"), (root, "scout")):
        await govern_action(*to_govern(bench.walk), *asked(bench, chain, agent=agent))
    with pytest.raises(AnswerableError):
        await govern_action(*to_govern(bench.walk), *asked(bench, one, key="scout"))
    for name in ("m-1", "m-1", "m-2"):
        await bench.act(mandate=name)
    return bench


def scanned(bench: Bench, mandate: str) -> MandateTree:
    recorder = bench.recorder
    return grown(
        (opened_moment(one, recorder.subject_keys.find) for one in recorder.ledger.replay()), mandate
    )


def told_tree(answer: TreeAnswer) -> MandateTree:
    return MandateTree(tally=Tally(**structs.asdict(answer.actions)), branches=told_branches(answer))


async def test_the_tree_is_the_one_of_a_scan() -> None:
    bench = await handed_on()
    tree = scanned(bench, "m-1")
    with teller_of(bench.recorder) as teller:
        assert told_tree(tell_tree(teller, "m-1")) == tree
        assert told_tree(tell_tree(teller, "m-2")) == scanned(bench, "m-2")
        assert told_tree(tell_tree(teller, "nobody")) == scanned(bench, "nobody")
    assert tree.tally.done == 2
    assert [(one.hop.jti, one.tally.done) for one in tree.branches] == [
        ("hop-scout", 1),
        ("hop-rover", 2),
        ("hop-again", 1),
    ]


async def test_a_consent_that_was_exchanged_before_it_was_used_is_no_hop() -> None:
    bench = await Bench().registered()
    believing(bench)
    mandate = await mandated(bench)
    under = asked(bench, chain_of(bench, mandate))
    above, hop = verify_request(*to_plan(bench.walk), *under).hops
    await cite_consent(bench.recorder, hop, above, mandate)
    await govern_action(*to_govern(bench.walk), *under)
    with teller_of(bench.recorder) as teller:
        told = told_tree(tell_tree(teller, "m-1"))
    assert told == scanned(bench, "m-1")
    assert [one.hop.jti for one in told.branches] == ["hop-scout", "hop-rover"]


async def test_without_keys_hops_are_told_by_their_leaves() -> None:
    bench = await handed_on()
    with teller_of(bench.recorder, with_keys=False) as teller:
        answer = tell_tree(teller, "m-1")
    assert [one.token for one in answer.hops] == [""] * 3
    assert [one.hop.agent for one in told_tree(answer).branches] == ["scout", "rover", "rover"]


async def test_what_was_done_under_the_mandate_itself_is_not_opened() -> None:
    bench = await handed_on()
    opened: Counter[int] = Counter()
    with teller_of(bench.recorder) as teller:
        log = teller.log

        class Counting:
            origin, size, replay = log.origin, log.size, log.replay

            def entry(self, index: int) -> StoredEntry:
                stored = log.entry(index)
                opened[stored.tag] += 1
                return stored

        teller.log = Counting()
        tell_tree(teller, "m-1")
    assert opened[Tag.INTENT] == 4
    assert sum(opened.values()) == 4 + 4 + 3


async def test_one_that_would_take_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "OPENED_MAX", 3)
    bench = await handed_on()
    with teller_of(bench.recorder) as teller, pytest.raises(Unavailable, match="more than 3 actions") as told:
        tell_tree(teller, "m-1")
    assert told.value.code == "search.large"
