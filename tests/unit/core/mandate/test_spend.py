"""What one action takes of budgets, and what it gives back."""

from __future__ import annotations

import pytest

from answerable.core.mandate.budget import NOTHING, ONE_CALL, Account
from answerable.core.mandate.spend import pointed_at, rest_of, spend_of
from answerable.core.registry.documents.budget_name import AMOUNT_MAX
from answerable.core.registry.documents.capability import Capability, ResourceMapping
from answerable.core.registry.documents.spending import (
    AmountMapping,
    MeasureMapping,
    ReserveMapping,
    SpendMapping,
)
from answerable.errors import Refused

pytestmark = pytest.mark.requirement("BUDGET-02")

SPENDING = SpendMapping(
    amount=AmountMapping(argument="amount", currency="EUR"),
    reserves=(
        ReserveMapping(budget="rows", argument="limit", default=100),
        ReserveMapping(budget="bytes", fixed=2_000),
        ReserveMapping(budget="tokens", argument="max_tokens"),
    ),
    measures=(
        MeasureMapping(budget="rows", pointer="/rows"),
        MeasureMapping(budget="tokens", pointer="/use/all"),
    ),
)


def capability(spending=SPENDING):
    return Capability(
        name="crm.refund",
        server="crm",
        method="tools/call",
        target="refund",
        kind="pay",
        environment="production",
        tier=1,
        sensitivity="internal",
        resource=ResourceMapping(type="Case", fixed="x"),
        spending=spending,
    )


def account(*names, id="m-1"):
    return Account(id=id, limits={"calls": 9, **dict.fromkeys(names, 1_000)})


def taken(arguments, *names, spending=SPENDING):
    return dict(spend_of(capability(spending), arguments, (account(*names),), wall_ms=60_000))


def refusal(arguments, *names, spending=SPENDING):
    with pytest.raises(Refused) as told:
        taken(arguments, *names, spending=spending)
    return told.value


def test_where_only_calls_are_limited_nothing_is_looked_at():
    assert spend_of(capability(SpendMapping()), {}, (account(),), wall_ms=1) is ONE_CALL


def test_everything_that_some_account_limits_is_taken_and_nothing_else():
    arguments = {"amount": 1_200, "limit": 7, "max_tokens": 50}
    assert taken(arguments, "money:EUR") == {"calls": 1, "money:EUR": 1_200}
    assert taken(arguments, "rows", "bytes") == {"bytes": 2_000, "calls": 1, "rows": 7}
    assert taken(arguments, "wall_ms", "tokens") == {"calls": 1, "tokens": 50, "wall_ms": 60_000}
    hops = (account("rows"), account("bytes", id="hop-1"))
    assert spend_of(capability(), arguments, hops, wall_ms=1) == {"bytes": 2_000, "calls": 1, "rows": 7}
    assert list(taken(arguments, "wall_ms", "rows")) == ["calls", "rows", "wall_ms"], "in order of name"


def test_a_default_holds_only_where_the_argument_is_absent():
    assert taken({}, "rows") == {"calls": 1, "rows": 100}
    assert taken({"limit": None}, "rows") == {"calls": 1, "rows": 100}
    assert taken({"limit": 0}, "rows") == {"calls": 1, "rows": 0}
    assert refusal({}, "tokens").code == "budget.amount"


@pytest.mark.parametrize("value", [-1, AMOUNT_MAX + 1, True, 1.0, "5", [5], {"a": 5}])
def test_an_amount_that_is_no_whole_number_from_nothing_to_the_largest_is_refused(value):
    assert refusal({"limit": value}, "rows").code == "budget.amount"
    assert refusal({"amount": value}, "money:EUR").code == "budget.amount"


def test_a_missing_amount_of_money_is_refused():
    told = refusal({}, "money:EUR")
    assert told.code == "budget.amount"
    assert "`amount`" in told.message


@pytest.mark.parametrize("name", ["rows", "bytes", "tokens", "money:EUR"])
def test_what_a_capability_does_not_declare_is_not_leave_to_spend(name):
    told = refusal({"amount": 1, "limit": 1, "max_tokens": 1}, name, spending=SpendMapping())
    assert told.code == "budget.undeclared"
    assert "`crm.refund` does not declare" in told.message


def test_what_is_declared_as_nothing_takes_nothing():
    free = SpendMapping(amount=AmountMapping(), reserves=(ReserveMapping(budget="rows"),))
    assert taken({}, "money:EUR", "rows", spending=free) == {"calls": 1, "rows": 0}


def test_a_fixed_price_is_taken_whatever_the_arguments_say():
    fixed = SpendMapping(amount=AmountMapping(fixed=250, currency="EUR"))
    assert taken({"amount": 1}, "money:EUR", spending=fixed) == {"calls": 1, "money:EUR": 250}


def test_money_of_another_currency_is_refused_in_every_account_that_limits_money():
    named = SpendMapping(amount=AmountMapping(argument="amount", currency_argument="currency"))
    assert taken({"amount": 5, "currency": "EUR"}, "money:EUR", spending=named) == {
        "calls": 1,
        "money:EUR": 5,
    }
    told = refusal({"amount": 5, "currency": "USD"}, "money:EUR", spending=named)
    assert (told.code, told.message) == (
        "budget.currency",
        "the mandate's budget is in EUR, and this action moves USD",
    )
    for wrong in (None, "", "eur", "EURO", 5):
        assert (
            refusal({"amount": 5, "currency": wrong}, "money:EUR", spending=named).code == "budget.currency"
        )
    both = (account("money:EUR", "money:USD"), account("money:EUR", id="hop-1"))
    with pytest.raises(Refused, match="is in EUR"):
        spend_of(capability(named), {"amount": 5, "currency": "USD"}, both, wall_ms=1)
    dry = (account("money:EUR", "money:USD"), account("rows", id="hop-1"))
    known = SpendMapping(amount=named.amount, reserves=(ReserveMapping(budget="rows", fixed=1),))
    assert spend_of(capability(known), {"amount": 5, "currency": "USD"}, dry, wall_ms=1)["money:USD"] == 5


RESERVED = {"bytes": 2_000, "calls": 1, "money:EUR": 700, "rows": 100, "tokens": 50, "wall_ms": 60_000}


def rest(status, result=None, *, result_bytes=0, elapsed_ms=0, reserved=RESERVED):
    found = rest_of(
        reserved,
        status,
        result=result,
        result_bytes=result_bytes,
        elapsed_ms=elapsed_ms,
        measures=SPENDING.measures,
    )
    return dict(found.returned), dict(found.overrun)


def test_what_was_not_started_gives_everything_back_and_what_is_not_known_nothing():
    assert rest("not_started") == (RESERVED, {})
    assert rest("not_started", reserved=ONE_CALL) == ({"calls": 1}, {})
    assert rest("indeterminate", {"rows": 0}, result_bytes=1) == ({}, {})
    for status in ("succeeded", "failed"):
        assert rest(status, reserved=ONE_CALL) == (NOTHING, NOTHING)


def test_what_succeeded_gives_back_what_is_measured_and_not_money_nor_the_call():
    found = rest("succeeded", {"rows": 30, "use": {"all": 50}}, result_bytes=1_500, elapsed_ms=20)
    assert found == ({"bytes": 500, "rows": 70, "wall_ms": 59_980}, {})
    assert rest("succeeded", {"rows": [1, 2, 3]}, result_bytes=2_000, elapsed_ms=60_000) == ({"rows": 97}, {})


@pytest.mark.parametrize(
    "said", [None, {}, {"rows": -5}, {"rows": "3"}, {"rows": True}, {"rows": 2.0}, {"rows": {}}, []]
)
def test_what_an_answer_does_not_say_is_spent_after_success_and_given_back_after_failure(said):
    assert "rows" not in rest("succeeded", said)[0]
    assert rest("failed", said)[0]["rows"] == 100


def test_what_failed_gives_back_money_and_what_was_not_used_but_not_the_call():
    assert rest("failed", {"rows": 4}, result_bytes=300, elapsed_ms=1_000) == (
        {"bytes": 1_700, "money:EUR": 700, "rows": 96, "tokens": 50, "wall_ms": 59_000},
        {},
    )


def test_what_was_used_beyond_a_reservation_is_an_overrun():
    found = rest("succeeded", {"rows": 101, "use": {"all": 2**70}}, result_bytes=2_001, elapsed_ms=60_001)
    assert found == ({}, {"bytes": 1, "rows": 1, "tokens": AMOUNT_MAX - 50, "wall_ms": 1})


@pytest.mark.requirement("BUDGET-09")
@pytest.mark.parametrize(
    ("status", "said", "returned", "overrun"),
    [
        ("succeeded", {"cost": {"minor": 3}}, 697, None),
        ("succeeded", {"cost": {"minor": 700}}, None, None),
        ("succeeded", {"cost": {"minor": 701}}, None, 1),
        ("succeeded", {"cost": {"minor": -3}}, None, None),
        ("succeeded", {"cost": {"minor": 2.5}}, None, None),
        ("succeeded", {}, None, None),
        ("failed", {"cost": {"minor": 3}}, 697, None),
        ("failed", {}, 700, None),
    ],
)
def test_money_comes_back_only_where_the_capability_says_where_an_answer_tells_it(
    status, said, returned, overrun
):
    measures = (MeasureMapping(budget="money", pointer="/cost/minor"),)
    reserved = {"calls": 1, "money:EUR": 700}
    rest = rest_of(reserved, status, result=said, result_bytes=0, elapsed_ms=0, measures=measures)
    assert (rest.returned.get("money:EUR"), rest.overrun.get("money:EUR")) == (returned, overrun)


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/a", 1),
        ("/b/0", "x"),
        ("/b/1/c", None),
        ("/b/01", None),
        ("/b/-", None),
        ("/b/99999999999999999999", None),
        ("/b/²", None),
        ("/d~1e", 2),
        ("/f~0g", 3),
        ("/~01", 4),
        ("/a/b", None),
        ("/", 5),
    ],
)
def test_a_json_pointer_leads_where_rfc_6901_says_or_nowhere(pointer, found):
    value = {"a": 1, "b": ["x", {}], "d/e": 2, "f~g": 3, "~1": 4, "": 5}
    assert pointed_at(value, pointer) == found
