"""Lists that are signed, and what approvals keep of them: what is no such thing is told apart from what is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.approval.batch import BATCH_ITEMS_MAX, batch_challenge, batch_of
from answerable.core.approval.batch_answer import (
    KEPT_TYP,
    is_of_batch,
    kept_by_key,
    root_in,
    statement_in,
    verify_kept_batch,
)
from answerable.core.approval.card import card_of
from answerable.core.approval.features import LEAVES_MAX, features_of
from answerable.core.approval.words import NO_WORDS, Words
from answerable.core.tlog.merkle import verify_inclusion
from answerable.errors import Malformed
from tests.worlds.alike import only_group, payment, payments

OTHERS = ("", "a.b.c", "{", "{}", '{"typ":"answerable-approval-passkey"}', f'{{"typ":"{KEPT_TYP}",')


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, BATCH_ITEMS_MAX])
def test_each_item_is_in_the_list_by_its_path_and_in_no_other_place(size: int) -> None:
    batch = batch_of(reversed(payments(size)))
    assert [one.approval for one in batch.items] == sorted(one.approval for one in batch.items)
    for index, item in enumerate(batch.items):
        verify_inclusion(leaf=item.leaf(), index=index, size=size, proof=batch.path(index), root=batch.root)
    assert len(kept_by_key(batch, 0, jws="a.b.c")) < 1_600, "little is kept, however many there are"


def test_a_list_has_one_at_least_not_too_many_and_none_twice() -> None:
    for wrong in ([], [payment(1), payment(1)], payments(BATCH_ITEMS_MAX + 1)):
        with pytest.raises(Malformed) as told:
            batch_of(wrong)
        assert told.value.code == "approval.batch"


def test_parts_of_a_challenge_have_one_length_each() -> None:
    for nonce, root, size in (
        (bytes(31), bytes(32), 1),
        (bytes(32), bytes(33), 1),
        (bytes(32), bytes(32), 0),
    ):
        with pytest.raises(Malformed):
            batch_challenge(nonce=nonce, root=root, size=size, verdict="approve", words=NO_WORDS)
    said = {
        batch_challenge(nonce=bytes(32), root=bytes(32), size=size, verdict=verdict, words=words)
        for size in (1, 2)
        for verdict in ("approve", "deny")
        for words in (NO_WORDS, Words(comment="seen"), Words(reason="other"))
    }
    assert len(said) == 12


@pytest.mark.parametrize("token", OTHERS)
def test_what_is_no_part_of_a_list_is_taken_for_none(token: str) -> None:
    assert not is_of_batch(token)
    assert (root_in(token), statement_in(token)) == ("", token)
    with pytest.raises(Malformed):
        verify_kept_batch(token)


def test_a_part_that_cannot_be_read_has_neither_root_nor_statement() -> None:
    broken = f'{{"typ":"{KEPT_TYP}"}}'
    assert is_of_batch(broken)
    assert (root_in(broken), statement_in(broken)) == ("", "")


def test_what_has_more_leaves_than_are_compared_stands_alone_also_by_its_preview() -> None:
    made = payment(1)
    lines = [("change", str(number)) for number in range(LEAVES_MAX)]
    assert features_of(replace(made, card=card_of(made.shown, preview=lines))) is None
    assert features_of(payment(1, **{f"a{number}": number for number in range(LEAVES_MAX)})) is None
    assert features_of(replace(made, shown=card_of(made.shown))) is None, "it shows no action"


def test_what_was_noted_is_read_whatever_stands_there() -> None:
    group = only_group([*payments(8), payment(8, members={"noted": "later it may be a text"})])
    assert not group.odd


def test_of_several_usual_values_another_one_is_told_from_all() -> None:
    modes = ["fast", "slow"] * 10
    waiting = [payment(number, mode=mode) for number, mode in enumerate(modes)]
    group = only_group([*waiting, payment(30, mode="other")])
    (odd,) = group.odd
    assert "one of 2 others" in odd.because[0]
