"""What a person is shown of an action object."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from answerable.core.approval.action_object import object_in
from answerable.core.approval.card import card_of, is_card_of
from answerable.core.approval.challenge import challenge
from answerable.core.approval.credentials import without_credentials
from answerable.core.approval.money import money
from answerable.core.canonical import encode, freeze, parse
from answerable.errors import Malformed
from answerable.testing.samples import action_shown

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)


def drawn(arguments, **changes):
    envelope = parse(action_shown("a-1", arguments).bytes)
    envelope["value"] |= changes
    shown = freeze(envelope)
    return shown, json.loads(card_of(shown).bytes)


def leaves(value, where=""):
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from leaves(one, f"{where}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list) and value:
        for index, one in enumerate(value):
            yield from leaves(one, f"{where}/{index}")
    else:
        yield where, value


@given(ARGUMENTS)
@example({"PRIVATEKEY": [None, None]})
def test_every_member_of_the_object_is_on_its_card(arguments):
    shown, card = drawn(arguments)
    value = object_in(shown)
    # A credential is one line, whatever it is made of.
    assert len(card["all"]) == len(list(leaves(without_credentials(value, question=str(value["txn"])))))
    assert len({where for where, _ in card["all"]}) == len(card["all"])
    assert [text.isprintable() for pair in card["all"] for text in pair].count(False) == 0
    assert card["action"] == shown.hex


@given(ARGUMENTS, ARGUMENTS)
def test_other_arguments_draw_another_card(one, other):
    same = encode(one) == encode(other)
    first, second = action_shown("a-1", one), action_shown("a-1", other)
    assert (card_of(first) == card_of(second)) == same
    first_all, second_all = (json.loads(card_of(each).bytes)["all"] for each in (first, second))
    assert (first_all == second_all) == same, "also by what is to be read, and not by the hash alone"


def test_what_an_agent_chose_does_not_go_on_as_if_it_were_our_sentence():
    _, card = drawn({}, resource={"type": "Account", "id": '7", EUR 1.00, to "x'}, title="pay an invoice")
    assert card["sentence"] == r'Pay an invoice: Account "7\", EUR 1.00, to \"x" (refund on crm)'


def test_an_argument_does_not_pass_for_a_line_of_ours():
    _, card = drawn({"asked by": "nobody", "for": "the queen"})
    assert ["for", "alice"] in card["lines"]
    assert ["for", "the queen"] not in card["lines"]
    assert card["arguments"] == [["asked by", "nobody"], ["for", "the queen"]]


def test_the_sentence_has_the_verb_the_object_the_sum_and_where_it_goes():
    _, card = drawn(
        {}, amounts={"money:EUR": 500_000}, destinations=["bank.example"], title="submit a payment batch"
    )
    assert (
        card["sentence"]
        == 'Submit a payment batch: Case "4711", EUR 5,000.00, to "bank.example" (refund on crm)'
    )
    assert card["badges"] == ["production", "critical", "cannot be undone"]


@pytest.mark.parametrize(
    ("kind", "begins"),
    [("pay", "Pay: "), ("read", "Read: "), ("egress", "Reach other hosts: "), ("admin", "Administer: ")],
)
def test_without_a_title_the_sentence_begins_with_a_verb_whatever_the_kind_is_called(kind, begins):
    effects = object_in(action_shown("a-1", {}))["effects"]
    _, card = drawn({}, effects={**effects, "kind": kind})
    assert card["sentence"].startswith(f'{begins}Case "4711"')


@pytest.mark.parametrize(
    ("budget", "minor", "text"),
    [
        ("money:EUR", 5, "EUR 0.05"),
        ("money:JPY", 1_000, "JPY 1,000"),
        ("money:KWD", 1_234_567, "KWD 1,234.567"),
        ("money:EUR", 123_456_789, "EUR 1,234,567.89"),
    ],
)
def test_an_amount_has_the_places_of_its_currency(budget, minor, text):
    assert money(budget, minor) == text


def test_a_card_with_another_word_is_not_the_card_of_the_object():
    shown = action_shown("a-1", {"amount": 1})
    card = card_of(shown, preview=[("rows", "about 3")])
    assert is_card_of(card, shown)
    for member in ("sentence", "lines", "arguments", "all", "action", "badges", "template"):
        value = json.loads(card.bytes)
        value[member] = [] if isinstance(value[member], list) else "another"
        assert not is_card_of(freeze(value), shown), member
    for effect in ([["rows", "3\u202e"]], [["rows", 3]], "none", [["rows", "a\nb"]]):
        assert not is_card_of(freeze({**json.loads(card.bytes), "effect": effect}), shown)
    assert not is_card_of(freeze([]), shown)
    assert not is_card_of(card, action_shown("a-1", {"amount": 2}))


@pytest.mark.parametrize("envelope", [[], {"typ": "x"}, {"typ": "answerable-action", "value": {"v": 2}}])
def test_what_is_no_action_object_of_this_version_is_not_drawn(envelope):
    with pytest.raises(Malformed) as raised:
        card_of(freeze(envelope))
    assert raised.value.code == "approval.object"


def test_each_part_of_a_challenge_changes_it():
    parts = {"nonce": bytes(32), "action": b"a" * 32, "rendering": b"r" * 32}
    made = {challenge(**parts, verdict=verdict) for verdict in ("approve", "deny")}
    for name in parts:
        made.add(challenge(**{**parts, name: b"x" * 32}, verdict="approve"))
        with pytest.raises(Malformed):
            challenge(**{**parts, name: b"x" * 31}, verdict="approve")
    assert len(made) == 5
    assert {len(one) for one in made} == {32}
