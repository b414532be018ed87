"""What a stranger finds in broken glasses and their reviews, with nothing but the entries that are shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from answerable.core.canonical import encode, parse
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.testing.builders import Bench
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.attack.test_console_glass import asked, broken, browser, judged
from tests.worlds.glass import broken as broken_by_key
from tests.worlds.glass import now, review_token, reviewed, waiting

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GLASS-09")]
HOW = pytest.mark.parametrize("how", ["key", "passkey"])


async def ran(how: str) -> Bench:
    """A refund whose glass was broken, which ran, and was reviewed."""
    if how == "key":
        bench, approval = await waiting()
        await broken_by_key(bench, approval)
        await reviewed(bench, now(bench, approval))
    else:
        house, approval = await asked()
        bench = house.bench
        dan, dans = await browser(house, "dan")
        bob, bobs = await browser(house, "bob")
        await broken(dan, approval, dans)
        assert (await judged(bob, approval, bobs)).status_code == 200
    assert (await bench.refund(6000)).outcome is not None
    return bench


def found(bench: Bench, change: Any = None, *, leaf_change: Any = None) -> tuple[list[str], int]:
    """The rules that are broken, and what could not be compared. change: of tag, name and value, gives another value,
    or None to hide it. leaf_change: of a leaf."""
    check = ShownAnswers()
    for stored in bench.recorder.ledger.replay():
        leaf: Any = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        leaf = leaf_change(stored.tag, leaf) if leaf_change else leaf
        fields = []
        for one in disclosures_of(stored, bench.recorder.subject_keys.find) or ():
            value = parse(bytes(one.value))
            value = change(stored.tag, one.name, value) if change else value
            if value is not None:
                fields.append(msgspec.structs.replace(one, value=msgspec.Raw(encode(value))))
        check.take(stored.index, leaf, fields)
    return [fault.rule for _, fault in check.faults()], check.unread


@HOW
async def test_what_is_as_it_seems_is_found_so(how: str):
    assert found(await ran(how)) == ([], 0)


@HOW
async def test_what_is_hidden_is_counted_and_not_taken_for_right(how: str):
    def hidden(tag: Tag, name: str, value: Any) -> Any:
        return None if tag == Tag.GLASS_REVIEWED and name == "token" else value

    assert found(await ran(how), hidden) == ([], 1)


@HOW
async def test_a_review_by_who_broke_it_is_found(how: str):
    """By the pseudonyms of their entries, whatever is shown."""
    bench = await ran(how)
    (answer,) = bench.entries(Tag.APPROVAL_ANSWER)

    def own(tag: int, leaf: Any) -> Any:
        if tag != Tag.GLASS_REVIEWED:
            return leaf
        return msgspec.convert({**msgspec.to_builtins(leaf), "person": answer["person"]}, type(leaf))

    rules = found(bench, leaf_change=own)[0]
    assert rules == ["keys.person" if how == "key" else "approval.passkey", "review.own"]


async def test_a_review_of_another_answer_is_found():
    bench, approval = await waiting()
    await broken_by_key(bench, approval)
    other = review_token(bench, now(bench, approval), answer="0" * 64)
    await reviewed(bench, now(bench, approval))

    def swapped(tag: Tag, name: str, value: Any) -> Any:
        return other if tag == Tag.GLASS_REVIEWED and name == "token" else value

    assert found(bench, swapped) == (["review.signed"], 0)


@HOW
async def test_an_entry_that_says_another_verdict_is_found(how: str):
    def turned(tag: int, leaf: Any) -> Any:
        if tag != Tag.GLASS_REVIEWED:
            return leaf
        return msgspec.convert({**msgspec.to_builtins(leaf), "verdict": "unjustified"}, type(leaf))

    assert found(await ran(how), leaf_change=turned)[0] == ["review.signed"]


@HOW
async def test_a_review_that_its_entry_says_somebody_else_made_is_found(how: str):
    bench = await ran(how)

    def renamed(tag: Tag, name: str, value: Any) -> Any:
        return "erin" if tag == Tag.GLASS_REVIEWED and name == "person_name" else value

    assert found(bench, renamed) == (["review.person"], 0)


@HOW
async def test_a_review_whose_entry_has_another_comment_than_was_signed_is_found(how: str):
    bench = await ran(how)

    def reworded(tag: Tag, name: str, value: Any) -> Any:
        return "all is well" if tag == Tag.GLASS_REVIEWED and name == "comment" else value

    assert found(bench, reworded) == (["review.signed"], 0)
