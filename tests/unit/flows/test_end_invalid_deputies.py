"""What documents take away from a delegation of duty ends it, on record; a hold does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.sqlite import SqliteRegistryStore, SqliteStore
from answerable.core.canonical import parse
from answerable.core.containment.hold import HoldTarget
from answerable.core.incident.describe_on_call import duty_told
from answerable.core.ledger.tags import Tag
from answerable.core.registry.parsing.in_force import in_force
from answerable.errors import Refused
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.flows.escalation.end_invalid_deputies import end_invalid_deputies
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.builders import Bench
from answerable.testing.samples import document, signing_key
from answerable.verify.duty_shapes import DutyLeaf
from answerable.verify.leaf_rules import read_leaf
from tests.worlds.duty import DAY, delegate, duty_bench, duty_document, waiting
from tests.worlds.hold import lift
from tests.worlds.parts import to_apply, to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("KEYS-08")]


def principal(name: str, *groups: str, key: str = "", **spec: Any) -> dict[str, Any]:
    jwk = parse(signing_key(key or name).public.jwk.encode())
    return document("Principal", name, {"groups": [*groups], "keys": [jwk], **spec})


BOB = principal("bob", "approvers")
TAKEN: dict[str, tuple[Any, Any, str]] = {
    "who is away is disabled": (principal("bob", "approvers", status="disabled"), BOB, "person_gone"),
    "the deputy is disabled": (
        principal("dan", "sales", status="disabled"),
        principal("dan", "sales"),
        "person_gone",
    ),
    "who is away is in the group no more": (principal("bob", "sales"), BOB, "not_member"),
    "the deputy may not stand in": (principal("dan", "board"), principal("dan", "sales"), "not_deputy"),
    "the key that signed it is taken away": (principal("bob", "approvers", key="bob-2"), BOB, "key_gone"),
}


@pytest.mark.parametrize("what", TAKEN)
async def test_it_ends_with_what_documents_take_away_and_does_not_come_back_with_it(what):
    taken, back, because = TAKEN[what]
    bench = await duty_bench()
    one = await delegate(bench)
    more = [principal("zoe", "sales", "board")]
    await apply_registry(*to_apply(bench.walk), [taken, *more], by="operator")
    assert found(bench, one.id).ended_at
    given, ended = bench.entries(Tag.DUTY)
    assert (given["change"], ended["change"], ended["because"]) == ("given", "ended", because)
    leaf, fields = bench.opened(ended["index"])
    assert fields["by"] == "operator"
    assert f"because of documents ({because})" in duty_told(leaf, fields)[0]
    await apply_registry(*to_apply(bench.walk), [back], by="operator")
    asked = await waiting(bench)
    with pytest.raises(Refused) as told:
        await bench.answer(asked, by="dan")
    assert told.value.code == "approval.not_asked"
    assert len(bench.entries(Tag.DUTY)) == 2


async def test_it_ends_with_the_duty_of_its_group():
    bench = await duty_bench()
    one = await delegate(bench)
    kept = [
        parse(text)
        for key, text in bench.authority.registry.documents().items()
        if not key.startswith("Duty/")
    ]
    await apply_registry(*to_apply(bench.walk), kept, by="operator", prune=True)
    assert found(bench, one.id).ended_at
    assert bench.entries(Tag.DUTY)[-1]["because"] == "duty_gone"
    await apply_registry(*to_apply(bench.walk), [duty_document()], by="operator")
    assert bench.asking.duties.register.delegations() == ()


async def test_a_hold_on_a_person_suspends_it_and_ends_nothing():
    bench = await duty_bench()
    one = await delegate(bench)
    placed = await place_hold(*to_hold(bench.walk), HoldTarget("owner", "bob"), by="uid:0")
    asked = await waiting(bench)
    with pytest.raises(Refused):
        await bench.answer(asked, by="dan")
    await apply_registry(*to_apply(bench.walk), [principal("zoe", "sales")], by="operator")
    assert not found(bench, one.id).ended_at
    await lift(bench, placed.hold, "carol")
    assert (await lift(bench, placed.hold, "erin")).lifted_at
    assert (await bench.answer(asked, by="dan")).state == "approved"


async def test_what_another_process_took_away_is_ended_by_the_next_look():
    """Who applied it is not known here, and is not made up."""
    bench = await duty_bench()
    one = await delegate(bench)
    documents = {
        key: text for key, text in bench.authority.registry.documents().items() if key != "Principal/bob"
    }
    bench.authority.registry.put({**documents})
    assert await end_invalid_deputies(bench.recorder, bench.authority.registry, bench.asking.duties) == 1
    assert found(bench, one.id).ended_at
    index = bench.entries(Tag.DUTY)[-1]["index"]
    leaf, fields = bench.opened(index)
    assert "by" not in leaf
    assert "by" not in fields
    assert duty_told(leaf, fields)[0].startswith("That ")
    assert isinstance(read_leaf(bench.recorder.ledger.entry(index).leaf), DutyLeaf)
    assert await end_invalid_deputies(bench.recorder, bench.authority.registry, bench.asking.duties) == 0, (
        "it ends once"
    )


async def test_what_rests_on_documents_that_are_still_coming_here_is_not_ended(tmp_path: Path):
    """Another process put bob back and let him hand on; this one knows of that, and compiles these documents yet."""
    bench = await duty_bench()
    one = await delegate(bench)
    whole = bench.authority.registry.documents()
    here, elsewhere = (SqliteStore.open(tmp_path / "registers.db") for _ in range(2))
    bench.authority.registry, theirs = SqliteRegistryStore(here), SqliteRegistryStore(elsewhere)
    bench.authority.registry.put({key: text for key, text in whole.items() if key != "Principal/bob"})
    elsewhere.refresh()
    coming = theirs.coming
    assert coming is not None
    assert theirs.take_over(coming, in_force(coming.documents))
    theirs.put(whole)
    here.refresh()
    assert await end_invalid_deputies(bench.recorder, bench.authority.registry, bench.asking.duties) == 0
    assert not found(bench, one.id).ended_at
    coming = bench.authority.registry.coming
    assert coming is not None
    assert bench.authority.registry.take_over(coming, in_force(coming.documents))
    assert await end_invalid_deputies(bench.recorder, bench.authority.registry, bench.asking.duties) == 0
    assert not found(bench, one.id).ended_at


async def test_what_is_over_or_was_ended_is_left_as_it_is():
    bench = await duty_bench()
    over, ended = await delegate(bench, until=bench.clock.now() + DAY), await delegate(bench)
    await end_duty(bench.recorder, bench.asking.duties, ended.id, by="dan")
    bench.clock.advance(DAY // 1000 + 1)
    await apply_registry(
        *to_apply(bench.walk), [principal("bob", "approvers", status="disabled")], by="operator"
    )
    assert not found(bench, over.id).ended_at
    assert [one["change"] for one in bench.entries(Tag.DUTY)] == ["given", "given", "ended"]


async def test_where_nothing_is_routed_nothing_is_ended():
    bench = await Bench().registered()
    bench.asking.duties.register = None
    assert await end_invalid_deputies(bench.recorder, bench.authority.registry, bench.asking.duties) == 0


def found(bench: Bench, name: str) -> Any:
    assert bench.asking.duties.register is not None
    return bench.asking.duties.register.find(name)
