"""Whose key file it was that signed: what a stranger finds who has nothing but the entries that are shown, after an
insider with the log's own machine has changed some of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from answerable.core.canonical import parse
from answerable.core.ledger.records_keys import SIGNS
from answerable.core.ledger.subject import principal_subject
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.samples import signing_key
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.policy_shapes import ChangeLeaf
from tests.worlds.keys import (
    LATER,
    answered,
    answered_and_ran,
    found,
    index_of,
    many_people,
    person,
    reference,
    registered,
    signed_by,
)
from tests.worlds.parts import to_apply

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("KEYS-03")]


async def test_an_answer_by_its_persons_key_is_shown_to_be():
    assert found(await answered_and_ran()) == ([], 1, 0)


async def test_an_answer_that_was_signed_with_another_persons_key_is_found():
    """An insider has carol's key file and the log's machine, and writes that bob said yes."""
    bench = await answered_and_ran()
    assert found(bench, field_change=signed_by(bench, "carol"))[0] == ["keys.other"]


async def test_an_answer_that_is_said_to_be_another_persons_is_found():
    """The signature is carol's, in bob's name; the entry names carol by pseudonym, whose key it is."""
    bench = await answered_and_ran()
    carol = pseudonym_of(bench.recorder, "carol")

    def named(_index: int, leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, person=carol) if isinstance(leaf, AnswerLeaf) else leaf

    assert found(bench, leaf_change=named, field_change=signed_by(bench, "carol"))[0] == ["keys.person"]
    assert found(bench, leaf_change=named)[0] == ["keys.person"], "bob's own answer, put down as carol's"


async def test_an_answer_with_a_key_that_nobody_ever_registered_is_found():
    bench = await answered_and_ran()
    assert found(bench, field_change=signed_by(bench, "stranger"))[0] == ["keys.other"]


async def test_a_person_whom_no_entry_names_is_found_where_the_log_names_people():
    bench = await answered_and_ran()
    nobody = "0" * 64

    def named(_index: int, leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, person=nobody) if isinstance(leaf, AnswerLeaf) else leaf

    def unsaid(index: int, leaf: Any) -> Any:
        leaf = named(index, leaf)
        return msgspec.structs.replace(leaf, keys_ref=msgspec.UNSET) if isinstance(leaf, AnswerLeaf) else leaf

    assert found(bench, leaf_change=named)[0] == ["keys.other"]
    assert found(bench, leaf_change=unsaid)[0] == ["keys.unnamed"]


async def test_a_key_that_was_swapped_and_swapped_back_counts_only_while_it_was_the_persons():
    bench = await registered()
    await answered(bench)
    bench.clock.advance(LATER)
    await apply_registry(*to_apply(bench.walk), [person("bob", "bob-2")], by="operator")
    bench.clock.advance(LATER)
    await answered(bench, key="bob-2", amount=6001)
    await apply_registry(*to_apply(bench.walk), [person("bob", "bob")], by="operator")
    bench.clock.advance(LATER)
    await answered(bench, amount=6002)
    assert found(bench) == ([], 3, 0)
    _, between, _ = [one.index for one in bench.recorder.ledger.replay() if one.tag == Tag.APPROVAL_ANSWER]
    before = reference(bench, index_of(bench, Tag.REGISTRY_CHANGE, 0))

    def of_before(index: int, leaf: Any) -> Any:
        """The answer between says that it was given by the key of before, which was bob's then, and is again."""
        return msgspec.structs.replace(leaf, keys_ref=before) if index == between else leaf

    rules, shown, _ = found(bench, leaf_change=of_before, field_change=signed_by(bench, "bob", at=between))
    assert (rules, shown) == (["keys.removed"], 2)


@pytest.mark.parametrize("gone", ["removed", "disabled", "no keys"])
async def test_an_answer_after_its_person_had_lost_the_key_is_found(gone):
    """What the ledger has of before stands; the answer comes after it, as the insider has it."""
    bench = await registered(person("erin", "erin"), person("frank", "frank"))
    await answered(bench, by="erin")
    assert found(bench) == ([], 1, 0)
    bench.clock.advance(LATER)
    named = reference(bench, index_of(bench, Tag.REGISTRY_CHANGE))
    if gone == "removed":
        kept = [
            parse(text)
            for key, text in bench.authority.registry.documents().items()
            if key != "Principal/erin"
        ]
        await apply_registry(*to_apply(bench.walk), kept, by="operator", prune=True)
    else:
        after = person("erin") if gone == "no keys" else person("erin", "erin", status="disabled")
        await apply_registry(*to_apply(bench.walk), [after], by="operator")
    bench.clock.advance(LATER)
    await answered(bench, by="frank", amount=6001)
    erin, late = pseudonym_of(bench.recorder, "erin"), index_of(bench, Tag.APPROVAL_ANSWER)

    def as_erin(index: int, leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, person=erin, keys_ref=named) if index == late else leaf

    by_erin = signed_by(bench, "erin", name="erin", at=late)
    assert found(bench)[:2] == ([], 2)
    assert found(bench, leaf_change=as_erin, field_change=by_erin)[0] == ["keys.removed"]


async def test_a_key_that_another_person_has_later_is_that_persons_from_then_on():
    bench = await registered(person("erin", "shared"), person("frank", "frank"))
    await answered(bench, by="erin", key="shared")
    bench.clock.advance(LATER)
    await apply_registry(
        *to_apply(bench.walk), [person("erin", "erin-2"), person("frank", "shared")], by="operator"
    )
    await answered(bench, by="frank", key="shared", amount=6001)
    assert found(bench) == ([], 2, 0)


async def test_nobody_is_registered_with_another_ones_key():
    bench = await registered()
    with pytest.raises(Malformed, match="also claimed by") as caught:
        await apply_registry(*to_apply(bench.walk), [person("erin", "bob")], by="operator")
    assert caught.value.code == "registry.faults"


async def test_entries_that_give_one_key_to_two_people_are_found():
    bench = await answered_and_ran()
    bobs = signing_key("bob").public.thumbprint

    def given(_index: int, name: str, value: Any) -> Any:
        if name.startswith(SIGNS) and value["name"] == "carol":
            return {**value, "keys": [*value["keys"], bobs]}
        return value

    assert sorted(set(found(bench, field_change=given)[0])) == ["keys.two_people"]


async def test_an_entry_that_comes_after_the_answer_vouches_for_nothing():
    """Order is that of the log: what the answer refers to stands before it, and is about that very person."""
    bench = await answered_and_ran()
    await apply_registry(*to_apply(bench.walk), [person("bob", "bob", "bob-2")], by="operator")
    after = reference(bench, index_of(bench, Tag.REGISTRY_CHANGE))

    def refers(_index: int, leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, keys_ref=after) if isinstance(leaf, AnswerLeaf) else leaf

    assert found(bench, leaf_change=refers)[0] == ["keys.order"]


async def test_a_name_that_stands_for_two_people_is_found():
    """Whoever renames a person in a later entry makes one of the two a forgery."""
    bench = await answered_and_ran()
    await apply_registry(*to_apply(bench.walk), [person("bob", "bob", "bob-2")], by="operator")
    last = index_of(bench, Tag.REGISTRY_CHANGE)

    def renamed(index: int, name: str, value: Any) -> Any:
        return {**value, "name": "bobby"} if index == last and name.startswith(SIGNS) else value

    assert found(bench, field_change=renamed)[0] == ["keys.name"]


async def test_what_a_field_says_of_somebody_whom_its_leaf_does_not_name_counts_for_nothing():
    bench = await answered_and_ran()

    def other(_index: int, leaf: Any) -> Any:
        return (
            msgspec.structs.replace(leaf, people=["0" * 64])
            if isinstance(leaf, ChangeLeaf) and leaf.people
            else leaf
        )

    rules = found(bench, leaf_change=other)[0]
    assert set(rules) == {"keys.entry", "keys.other"}


async def test_what_goes_on_with_a_change_names_only_whom_that_leaves_to_it():
    """An insider hangs a new key for bob on a change of long ago, which was about him already, or about nobody more."""
    bench = await many_people(80)
    (_, change) = bench.entries(Tag.REGISTRY_CHANGE)
    first = index_of(bench, Tag.PEOPLES_KEYS, 0)
    twice = list(change["people"])[:1]

    def again(index: int, leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, people=[*leaf.people, *twice]) if index == first else leaf

    def complete(index: int, leaf: Any) -> Any:
        if index == change["index"]:
            return msgspec.structs.replace(leaf, people_more=msgspec.UNSET)
        return leaf

    assert "keys.entry" in found(bench, leaf_change=again)[0]
    assert "keys.entry" in found(bench, leaf_change=complete)[0]


@pytest.mark.requirement("KEYS-04")
async def test_a_person_whose_data_was_erased_and_who_signs_on_is_not_taken_for_two():
    """Their key is in the ledger twice then, under a pseudonym that is nobody's any more and under a new one."""
    bench = await registered()
    await answered(bench)
    before = pseudonym_of(bench.recorder, "bob")
    erased_and_started_anew(bench, "bob")
    await answered(bench, amount=6001)
    assert pseudonym_of(bench.recorder, "bob") != before
    rules, shown, unread = found(bench)
    assert (rules, shown + unread) == ([], 1), "the answer of before can be read no more"


def erased_and_started_anew(bench: Any, name: str) -> None:
    """As whoever runs the product does it, with the product down: the key of this person is destroyed."""
    keys: Any = bench.recorder.subject_keys
    gone = keys.of(principal_subject(name))
    with keys._store.write() as connection:
        assert connection.execute("DELETE FROM subject_keys WHERE id = ?", (gone.id,)).rowcount == 1
    keys._by_subject.clear()
    keys._by_id.clear()
    bench.recorder.pseudonyms.clear()
    bench.recorder.keys_named.clear()
