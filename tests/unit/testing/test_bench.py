"""The bench itself: its public names, its faults, and laws that notice when they are broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

import answerable.testing
from answerable.adapters.sqlite import SqliteMandateRegister
from answerable.core.canonical import encode
from answerable.core.ledger.entry import Receipt, StoredEntry, sealed_entry
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.core.tlog.merkle import leaf_hash
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import Crash, Trouble, TroubledMandates
from answerable.testing.invariants import Promises, broken_laws
from answerable.testing.recording_upstream import Effect
from answerable.testing.registers import fresh

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-12")]


def test_every_public_name_is_there_and_no_other():
    for name in answerable.testing.__all__:
        assert getattr(answerable.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = answerable.testing.nothing


async def acted() -> Bench:
    bench = await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(60_000)).approval
    assert asked is not None
    await bench.answer(asked, by="bob")
    await bench.answer(asked, by="carol")
    await bench.refund(60_000)
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    return bench


def judged(
    bench: Bench,
    *,
    entries: list[StoredEntry] | None = None,
    effects: list[Effect] | None = None,
    promises: Promises | None = None,
    happened: dict[int, int] | None = None,
) -> list[str]:
    return broken_laws(
        list(bench.recorder.ledger.replay()) if entries is None else entries,
        bench.upstream.effects if effects is None else effects,
        bench.authority.mandates,
        subject_keys=bench.recorder.subject_keys,
        promises=promises or Promises(),
        happened=happened or {},
    )


async def test_in_an_orderly_story_no_law_is_broken():
    bench = await acted()
    assert not judged(bench)
    assert not bench.upstream.violations


async def test_each_law_notices_when_it_is_broken():
    bench = await acted()
    entries = list(bench.recorder.ledger.replay())
    (effect,) = bench.upstream.effects

    def without(*tags: Tag) -> list[StoredEntry]:
        return [stored for stored in entries if stored.tag not in tags]

    def has(found: list[str], text: str) -> bool:
        return any(text in one for one in found)

    assert has(judged(bench, effects=[effect, effect]), "effected twice")
    assert has(judged(bench, effects=[replace(effect, digest="0" * 64)]), "does not have the intent")
    assert has(judged(bench, effects=[]), "not what happened")
    assert has(judged(bench, entries=without(Tag.OUTCOME)), "have no end")
    assert has(judged(bench, entries=without(Tag.APPROVAL_ASKED)), "was not asked")
    assert has(judged(bench, entries=without(Tag.APPROVAL_ANSWER)), "ran with 0 approvals")
    assert has(judged(bench, entries=without(Tag.INTENT)), "count as used, the log says {}")
    assert has(judged(bench, entries=[*entries, *entries[-2:-1]]), "had an end before")
    swapped = [*entries[:-3], entries[-1], *entries[-3:-1]]
    moved = [structs.replace(stored, index=index) for index, stored in enumerate(swapped)]
    assert has(judged(bench, entries=moved), "used after it was closed")
    torn = [
        structs.replace(stored, attachment=b"x" * 40) if stored.tag == Tag.OUTCOME else stored
        for stored in entries
    ]
    assert has(judged(bench, entries=torn), "not the one that the leaf commits to")
    assert has(judged(bench, entries=torn), "that nobody can open")
    assert has(judged(bench, entries=without(Tag.CITED)), "which is not a cited one")
    assert has(judged(bench, entries=without(Tag.APPROVAL_ASKED)), "of its run")
    (intent,) = (stored for stored in entries if stored.tag == Tag.INTENT)
    leaf = leaf_of(intent)
    for member, text in (("digest", "another action"), ("mandate", "its run is about")):
        other = {**leaf, member: "0" * 64}
        changed = [structs.replace(s, leaf=encode(other)) if s is intent else s for s in entries]
        assert has(judged(bench, entries=changed), text)

    receipt = Receipt(index=3, leaf_hash=bytes(32))
    assert has(judged(bench, promises=Promises(receipts=[(99, Tag.INTENT)])), "is not there")
    assert has(
        judged(bench, promises=Promises(receipts=[(receipt, Tag.MANDATE_ISSUED)])),
        "another than was promised",
    )
    assert has(judged(bench, promises=Promises(told={1: "none"}), happened={1: 1}), "nothing happened")
    assert has(judged(bench, promises=Promises(told={1: "succeeded"})), "0 effects happened")
    assert has(judged(bench, happened={1: 2}), "had 2 effects")


async def test_an_entry_of_nobodys_shape_is_noticed():
    bench = await acted()
    odd = sealed_entry(Tag.OUTCOME, at=bench.clock.now(), members={"intent": 0, "status": "succeeded"})
    entries = list(bench.recorder.ledger.replay())
    stored = StoredEntry(
        index=len(entries), tag=int(odd.tag), leaf=odd.leaf, attachment=b"", leaf_hash=leaf_hash(odd.leaf)
    )
    assert any(one.startswith(f"entry {len(entries)}: ") for one in judged(bench, entries=[*entries, stored]))


def test_a_dead_process_does_nothing_more():
    register = fresh(SqliteMandateRegister)
    mandates = TroubledMandates(
        register, Trouble(lambda number, _method: "crash_before" if number == 1 else None)
    )
    assert list(mandates.all()) == []
    assert mandates.find(MandateId("m-1")) is None
    for _ in range(3):
        with pytest.raises(Crash):
            mandates.find(MandateId("m-1"))
