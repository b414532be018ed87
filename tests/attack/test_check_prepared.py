"""What a stranger finds with nothing but the entries that are shown, where something else ran than was prepared."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from answerable.core.canonical import encode, freeze
from answerable.core.ledger.disclosure import Disclosure
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.testing.builders import Bench
from answerable.verify.check_prepared import RULE, ShownPrepared
from answerable.verify.leaf_rules import Fault, read_leaf
from answerable.verify.leaf_shapes import IntentLeaf
from answerable.verify.leaf_types import Reference
from tests.worlds.prepared import GRANTS, LARGE, execute, free_documents, prepared, prepared_bench, structured

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PREPARE-06")]
ASKING = """@id("all") permit (principal, action, resource);
@id("ask") @reason("ask") @approve("approvers:1") forbid (principal, action == Action::"crm.execute", resource);"""
TEXT = {"content": [{"type": "text", "text": "-port = 80\n+port = 8080\n"}]}


async def ran(result: dict[str, Any] | None = None) -> Bench:
    """A batch that was prepared, approved and executed."""
    bench, _ = await prepared_bench(result or structured(LARGE))
    named = await prepared(bench)
    asked = (await execute(bench, named)).approval
    await bench.answer(asked)
    assert (await execute(bench, named)).outcome is not None
    return bench


def found(
    bench: Bench, change: Any = None, *, leave_out: tuple[int, ...] = (), referring: Any = None
) -> tuple[list[str], int]:
    """What is broken, and how much could not be compared. change: of tag, name and value makes another value as JSON;
    None hides it. referring: of the reference of an intent to what prepared something makes another."""
    check = ShownPrepared()
    for stored in bench.recorder.ledger.replay():
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        if stored.index in leave_out:
            continue
        shown = disclosures_of(stored, bench.recorder.subject_keys.find) or ()
        kept = [_changed(one, change, Tag(stored.tag)) for one in shown]
        if referring is not None and isinstance(leaf, IntentLeaf) and leaf.prepared_ref is not UNSET:
            leaf.prepared_ref = referring(leaf.prepared_ref)
        hashed = leaf_hash(stored.leaf)
        check.take(stored.index, leaf, [one for one in kept if one is not None], hashed)
    faults = list(check.faults())
    assert {fault.rule for _, fault in faults} <= {RULE}
    return [fault.message for _, fault in faults], check.unread


def _changed(one: Disclosure, change: Any, tag: Tag) -> Disclosure | None:
    if change is None:
        return one
    before: Any = msgspec.json.decode(bytes(one.value))
    after = change(tag, one.name, before)
    if after is None:
        return None
    return msgspec.structs.replace(one, value=msgspec.Raw(encode(after)))


async def test_what_was_executed_as_prepared_and_signed_is_found_so():
    assert found(await ran()) == ([], 0)


async def test_what_was_executed_without_people_is_found_so_too():
    bench, _ = await prepared_bench()
    await execute(bench, await prepared(bench))
    assert found(bench) == ([], 0)


def setting(wanted: Tag, field: str, **members: Any) -> Any:
    """A change of members of one field; with dots, of what is inside."""

    def change(tag: Tag, name: str, value: Any) -> Any:
        if (tag, name) != (wanted, field):
            return value
        for path, new in members.items():
            *way, last = path.split("__")
            at = value
            for step in way:
                at = at[step]
            at[last] = new
        return value

    return change


OTHER = freeze({**LARGE, "batch_id": "PB-9"})
CHANGES: dict[str, Any] = {
    "other bytes ran": setting(Tag.INTENT, "request", arguments__batch=OTHER.bytes.decode()),
    "another digest in the intent": setting(Tag.INTENT, "prepared", digest=OTHER.hex),
    "another entry in the intent": setting(Tag.INTENT, "prepared", entry=0),
    "a later entry": setting(Tag.INTENT, "prepared", entry=999_999),
    "another digest in the outcome": setting(Tag.OUTCOME, "prepared", digest=f"sha256:{OTHER.hex}"),
    "an outcome that kept nothing": setting(Tag.OUTCOME, "prepared", kept=False),
    "another object shown": setting(
        Tag.APPROVAL_ASKED, "object", value__prepared__object={**LARGE, "batch_id": "x"}
    ),
    "another text shown": setting(Tag.APPROVAL_ASKED, "object", value__arguments__batch="{}"),
    "another entry shown": setting(Tag.APPROVAL_ASKED, "object", value__prepared__entry=1),
    "another maker": setting(Tag.INTENT, "prepared", by="crm.read"),
    "an unknown format": setting(Tag.APPROVAL_ASKED, "object", value__prepared__format="xml"),
    "no link at all": setting(Tag.INTENT, "prepared", digest=7),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_after_a_change_it_is_found(what):
    faults, _ = found(await ran(), CHANGES[what])
    assert faults, what


async def test_text_is_compared_as_it_stands():
    bench, _ = await prepared_bench(TEXT, registry=free_documents(ASKING))
    named = await prepared(bench)
    asked = (await execute(bench, named)).approval
    await bench.answer(asked)
    await execute(bench, named)
    assert found(bench) == ([], 0)
    change = setting(Tag.APPROVAL_ASKED, "object", value__prepared__object="-port = 80\n+port = 8081\n")
    assert found(bench, change)[0]


def hiding(wanted: Tag, field: str) -> Any:
    return lambda tag, name, value: None if (tag, name) == (wanted, field) else value


@pytest.mark.parametrize(
    ("tag", "field", "count"),
    [
        (Tag.INTENT, "prepared", 1),
        (Tag.INTENT, "request", 1),
        (Tag.OUTCOME, "prepared", 1),
        (Tag.APPROVAL_ASKED, "object", 0),
    ],
)
async def test_what_is_hidden_is_counted_and_not_taken_for_right(tag, field, count):
    bench = await ran()
    assert found(bench, hiding(tag, field)) == ([], count)


async def test_what_is_left_out_is_counted():
    bench = await ran()
    ends = [int(str(one["index"])) for one in bench.entries(Tag.OUTCOME)]
    assert found(bench, leave_out=(ends[0],)) == ([], 1)
    begun = [int(str(one["index"])) for one in bench.entries(Tag.INTENT)]
    assert found(bench, leave_out=(begun[0],)) == ([], 1)


async def test_one_object_that_two_intents_execute_is_found():
    bench, _ = await prepared_bench()
    await execute(bench, await prepared(bench))
    await execute(bench, await prepared(bench))
    assert found(bench) == ([], 0)
    first = bench.entries(Tag.INTENT)[1]["prepared_ref"]
    faults, _ = found(bench, referring=lambda _: msgspec.convert(first, Reference))
    assert any("executed the same" in fault for fault in faults)
    # Where that entry is not shown nothing says which leaf it has.
    named = itertools.count()
    faults, _ = found(
        bench,
        referring=lambda _: Reference(entry=first["entry"], leaf=f"{next(named):064x}"),
        leave_out=(first["entry"],),
    )
    assert [fault for fault in faults if "executed the same" in fault]


REFERENCES: dict[str, Any] = {
    "none": lambda _: UNSET,
    "another entry": lambda one: Reference(entry=one.entry - 1, leaf=one.leaf),
    "a later entry": lambda one: Reference(entry=one.entry + 99, leaf=one.leaf),
    "another leaf hash": lambda one: Reference(entry=one.entry, leaf="0" * 64),
}


@pytest.mark.parametrize("what", REFERENCES)
async def test_a_reference_to_something_else_is_found(what):
    faults, _ = found(await ran(), referring=REFERENCES[what])
    assert faults


async def test_what_another_agent_had_prepared_is_found():
    bench, _ = await prepared_bench()
    await bench.issue("m-2", agent="rover", grants=GRANTS)
    await prepared(bench, agent="rover", mandate="m-2")
    await execute(bench, await prepared(bench))
    theirs = bench.entries(Tag.OUTCOME)[0]
    (stored,) = (one for one in bench.recorder.ledger.replay() if one.index == theirs["index"])
    reference = Reference(entry=stored.index, leaf=leaf_hash(stored.leaf).hex())
    faults, _ = found(
        bench, setting(Tag.INTENT, "prepared", entry=stored.index), referring=lambda _: reference
    )
    assert [fault for fault in faults if "another agent's" in fault]
