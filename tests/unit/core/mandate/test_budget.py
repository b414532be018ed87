"""Names, limits and sums of budgets."""

from __future__ import annotations

import pytest

from answerable.core.mandate.budget import BUDGETS_MAX, Account, Lack, Spending, checked_limits
from answerable.core.registry.documents.budget_name import AMOUNT_MAX, checked_budget, is_amount, money_in
from answerable.errors import Malformed

ROOMY = Account(id="m-1", limits={"calls": 5, "rows": 10})


@pytest.mark.parametrize("name", ["calls", "rows", "bytes", "tokens", "wall_ms", "money:EUR", "money:XTS"])
def test_these_are_budgets(name):
    assert checked_budget(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "row", "Rows", "money", "money:", "money:eur", "money:EURO", "money:E1R", "money:EUR ", "money:ÄÖÜ"],
)
def test_these_are_not(name):
    with pytest.raises(Malformed) as told:
        checked_budget(name)
    assert told.value.code == "budget.name"


def test_a_currency_has_three_capital_letters():
    assert money_in("CHF") == "money:CHF"


def test_limits_are_sorted_and_named_once():
    assert checked_limits([("rows", 3), ("bytes", 0)]) == (("bytes", 0), ("rows", 3))
    for wrong in ([("rows", 1), ("rows", 1)], [("calls", 1)], [("lines", 1)]):
        with pytest.raises(Malformed) as told:
            checked_limits(wrong)
        assert told.value.code == "budget.name"
    letters = "ABCDEFGHIJKLMNOPQ"
    with pytest.raises(Malformed, match=f"at most {BUDGETS_MAX}"):
        checked_limits([(f"money:AA{letter}", 1) for letter in letters])


@pytest.mark.parametrize("limit", [-1, AMOUNT_MAX + 1, True, 1.0, "1", None, []])
def test_a_limit_is_a_whole_number_within_what_json_keeps(limit):
    assert not is_amount(limit)
    with pytest.raises(Malformed) as told:
        checked_limits([("rows", limit)])
    assert told.value.code == "budget.amount"


def test_what_is_lacking_is_said_in_words():
    calls = Lack(account="m-1", budget="calls", limit=3, left=0, wanted=1)
    money = Lack(account="m-1", budget="money:EUR", limit=5000, left=300, wanted=1200)
    time = Lack(account="m-1", budget="wall_ms", limit=9, left=1, wanted=2)
    assert calls.text() == "the mandate's budget of 3 calls is spent"
    assert money.text() == (
        "the mandate's budget of 5000 minor units of EUR has 300 left, and this action may take 1200"
    )
    assert "milliseconds of upstream time" in time.text()


def test_giving_back_to_an_account_that_was_never_counted_in_changes_nothing():
    spending = Spending()
    spending.give_back(("m-1",), {"rows": 3})
    assert isinstance(spending.reserve((ROOMY,), {"calls": 1, "rows": 11}), Lack)
    assert (dict(spending.used("m-1")), spending.calls("m-1"), dict(spending.all())) == ({}, 0, {})


def test_a_copy_of_what_is_used_is_not_what_is_used():
    spending = Spending()
    assert spending.reserve((ROOMY,), {"calls": 1, "rows": 4}) == 1
    spending.used("m-1")["rows"] = 0
    spending.all()["m-1"]["rows"] = 0
    assert spending.used("m-1") == {"calls": 1, "rows": 4}
