"""Who wants a yes to the odd one among two hundred: nothing that differs in it gets it among those that are alike."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from answerable.core.approval.card import card_of
from tests.worlds.alike import groups_of, only_group, payment, payments

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue

pytestmark = pytest.mark.requirement("GROUP-01")

ODD: dict[str, tuple[Approval, str]] = {
    "another payee": (payment(137, payee="Acme Holding"), "payee"),
    "a payee that looks the same": (payment(137, payee="Acme GmbН"), "looks like"),
    "a payee with what does not show": (payment(137, payee="Acme\u200b GmbH"), "payee"),
    "a payee that is a list": (payment(137, payee=["Acme GmbH", "Mallory"]), "payee"),
    "an amount far from the others": (payment(137, amount=9_000), "far from the others"),
    "an amount below zero": (payment(137, amount=-9_000), "far from the others"),
    "an amount that is a text": (payment(137, amount="120"), "numbers"),
    "an argument more": (payment(137, cc="mallory@else.example"), "cc"),
    "an argument less": (payment(137, payee=None), "payee"),
    "an argument inside another": (payment(137, invoice={"id": "INV-0137", "override": True}), "override"),
    "an id of another form": (payment(137, invoice="../../admin"), "written otherwise"),
    "an id that hides something": (payment(137, invoice="INV-01\u202e37"), "pass for others"),
    "another id that looks the same": (payment(137, invoice="INV-O136"), "looks like another"),
    "a destination": (payment(137, members={"destinations": ["mail-out"]}), "destinations"),
    "another definition of the tool": (payment(137, members={"tool": "2" * 64}), "the tool's definition"),
    "another chain": (payment(137, members={"chain": ["rover"]}), "chain"),
    "another rule that asks": (payment(137, members={"rules": ["other"]}), "the rules that ask"),
    "a member of a later version": (payment(137, members={"labels": ["untrusted"]}), "labels"),
    "a list that is an object": (payment(137, tags={"0": "a"}), "tags"),
    "an object that is a list": (payment(137, meta=["a"]), "meta"),
    "what stands for nothing, sent": (payment(137, cc="\0absent"), "cc"),
    "an empty list where others have none": (payment(137, cc=[]), "cc"),
    "something noted": (payment(137, members={"noted": ["asked before, as x"]}), "asked before"),
    "another person's data": (payment(137, members={"subject": "Customer:9"}), "subject"),
    "other money": (payment(137, members={"amounts": {"money:USD": 100}}), "money:USD"),
    "other people asked": (payment(137, members={"requirements": [["interns", 1]]}), "requirements"),
    "other words of policy": (replace(payment(137), reasons=("all is well",)), "reasons"),
}


@pytest.mark.parametrize("name", ODD)
def test_one_of_two_hundred_that_differs_in_anything_stands_apart_and_says_in_what(name: str) -> None:
    odd, word = ODD[name]
    group = only_group(payments(200, n137=odd))
    told = [one for one in group.odd if one.approval == odd]
    assert told, "it is not among the odd ones"
    assert word in " ".join(told[0].because)
    assert odd not in group.alike
    assert group.all[0] in [one.approval for one in group.odd], "the odd ones come first"
    # Who passes for another makes both odd, for nobody can tell which is right.
    assert len(group.odd) <= 2
    assert len(group.alike) + len(group.odd) == 200
    assert group.not_together == "", "the others are not kept from one answer by it"


def test_what_hides_among_many_odd_ones_takes_them_all_out_of_one_answer() -> None:
    many = {f"n{number}": payment(number, payee=f"Payee {number}") for number in range(60, 110)}
    group = only_group(payments(200, **many))
    assert group.not_together
    assert {one.approval.id for one in group.odd} >= {one.id for one in many.values()}


@pytest.mark.parametrize("others", [40, 60, 100])
def test_a_second_payee_that_many_have_takes_them_all_out_of_one_answer(others: int) -> None:
    many = {f"n{number}": payment(number, payee="Mallory Ltd") for number in range(others)}
    (group,) = groups_of(payments(200, **many)).groups
    assert "payee" in group.not_together


def test_where_each_goes_elsewhere_no_one_answer_covers_them() -> None:
    group = only_group(payment(number, payee=f"payee {number}") for number in range(50))
    assert "payee" in group.not_together
    mails = only_group(payment(number, note=f"person{number}@acme.example") for number in range(50))
    assert "note" in mails.not_together, "by its form an address, whatever the argument is called"
    odd = payment(7, note="person7@else.example")
    assert "another domain" in str(
        only_group(
            [
                *payments(0),
                *(
                    odd if number == 7 else payment(number, note=f"person{number}@acme.example")
                    for number in range(50)
                ),
            ]
        ).odd
    )


def test_what_nobody_can_read_for_many_at_once_is_answered_one_by_one() -> None:
    long = only_group(payment(number, note=f"{number} " + "lorem ipsum " * 20) for number in range(20))
    assert "too long" in long.not_together
    wide = only_group(payment(n, **{f"part{c}": f"x{n}-{c}" for c in range(8)}) for n in range(20))
    assert "more than can be read" in wide.not_together
    kinds = only_group(payment(number, force=number % 2 == 0) for number in range(20))
    assert "force" in kinds.not_together


def test_two_definitions_of_a_tool_are_two_groups() -> None:
    some = [payment(number, members={"tool": "2" * 64}) for number in range(100, 150)]
    found = groups_of([*payments(100), *some])
    assert sorted(len(one.alike) for one in found.groups) == [50, 100]


def test_everybody_comes_back_once_whatever_the_order() -> None:
    waiting = [*payments(60, n7=payment(7, payee="Mallory")), payment(900, members={"agent": "rover"})]
    waiting.append(replace(payment(901), agent=waiting[0].agent, capability="other.thing"))
    waiting += [payment(902, **{f"a{number}": number for number in range(80)})]
    shuffled = random.Random(7).sample(waiting, len(waiting))
    found, again = groups_of(waiting), groups_of(shuffled)
    assert found == again
    back = [one.id for group in found.groups for one in group.all] + [one.id for one in found.alone]
    assert sorted(back) == sorted(one.id for one in waiting)


def test_fewer_than_three_are_no_group_and_of_three_one_may_be_odd() -> None:
    assert not groups_of(payments(2)).groups
    group = only_group(payments(3, n1=payment(1, payee="Mallory")))
    assert [one.approval.id for one in group.odd] == ["p-0001"]
    assert "fewer than 3" in group.not_together


def test_of_those_that_may_be_answered_together_all_that_differs_is_listed_for_each() -> None:
    group = only_group(payments(30))
    assert [one.label for one in group.differs] == ["amount", "invoice"]
    assert group.cells(group.alike[0].id) == ("100", "INV-0000")
    hidden = only_group(payment(number, note=f"a\u202e{number}") for number in range(30))
    assert "\\u{202e}" in hidden.odd[0].because[0]
    assert not hidden.alike


def test_what_a_dry_run_says_of_one_alone_makes_it_odd() -> None:
    def touching(number: int, rows: int) -> Approval:
        made = payment(number)
        return replace(
            made, card=card_of(made.shown, preview=[("rows", f"about {rows:,} (an estimate, not a count)")])
        )

    group = only_group(
        touching(number, 1_200_000 if number == 7 else 10 + number % 4) for number in range(40)
    )
    (odd,) = group.odd
    assert odd.approval.id == "p-0007"
    assert "far from the others" in odd.because[0]
    assert "effect rows 0" in [one.label for one in group.differs]
    plain = [payment(number) if number == 9 else touching(number, 10) for number in range(40)]
    assert [one.approval.id for one in only_group(plain).odd] == ["p-0009"], "of which nothing was said"


MIXED: dict[str, list[JSONValue]] = {
    "a switch among what is no switch": [True, *[False] * 150, *[None] * 39, *["x"] * 10],
    "an amount among what is no amount": [1_000_000, *[100] * 150, *[None] * 39, *["x"] * 10],
    "an environment among some of each": [
        "prod", *["test"] * 90, *["stage"] * 37, *["quality"] * 37, *["int"] * 35,
    ],
    "a switch, half of them on": [True, True, False, False],
    "a switch, nearly half of them on": [True, True, False, False, False],
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_who_fills_up_with_other_kinds_and_values_hides_nothing_among_them(name: str) -> None:
    waiting = [payment(number, mode=value) for number, value in enumerate(MIXED[name])]
    group = only_group(waiting)
    assert group.not_together or waiting[0] not in group.alike


@pytest.mark.parametrize(
    "where",
    [
        lambda number: {"payee": {"id": f"K-{number}"}},
        lambda number: {"to": [{"kind": "internal", "ref": f"K-{number}"}]},
        lambda number: {"order": {"bankAccount": {"value": {"raw": f"{number:06}"}}}},
        lambda number: {"IBANNumber": f"{number:06}"},
    ],
)
def test_where_it_goes_is_read_of_every_name_on_the_way_to_a_value(
    where: Callable[[int], dict[str, JSONValue]],
) -> None:
    group = only_group([payment(number, **where(number)) for number in range(20)])
    assert "do not all go to the same place" in group.not_together


@pytest.mark.parametrize(
    ("usual", "far"),
    [
        ("{}.{:02}", "99999999.00"),
        ("{}.{:02}", "9000.00"),
        ("{}.{:02}", "-40.00"),
        ("EUR {},{:02}", "EUR 1.000.000,00"),
        ("{}.{:02} €", "1,000,000.00 €"),
    ],
)
def test_an_amount_that_is_written_as_text_stands_apart_when_it_is_far_from_the_others(
    usual: str, far: str
) -> None:
    waiting = [payment(number, amount=usual.format(40 + number % 60, number % 100)) for number in range(200)]
    waiting[7] = payment(7, amount=far)
    group = only_group(waiting)
    assert not group.not_together
    assert [one.approval for one in group.odd] == [waiting[7]]
    assert "amount" in group.odd[0].because[0]
