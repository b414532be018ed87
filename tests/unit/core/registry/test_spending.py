"""What a capability and a template say about budgets."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import PrincipalId
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.template import filled
from answerable.core.registry.documents.documents import MandateTemplate
from answerable.core.registry.documents.spending import (
    AmountMapping,
    MeasureMapping,
    ReserveMapping,
    SpendMapping,
)
from answerable.core.registry.parsing.active import faults_of, snapshot_of
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.samples import registry_documents

pytestmark = pytest.mark.requirement("BUDGET-02")

EUR = {"argument": "amount", "currency": "EUR"}


def documents(template=None, **members):
    found = registry_documents()
    for one in found:
        name = one["metadata"]["name"]
        if name == "crm.refund":
            one["spec"]["arguments"] += [
                {"name": "limit", "type": "integer"},
                {"name": "currency", "type": "string"},
            ]
            one["spec"].update(members)
        if name == "crm.read":
            one["spec"].update({"amount": {"fixed": 0}, "reserves": {"rows": 0, "bytes": 0, "tokens": 0}})
        if name == "one-case":
            one["spec"].update(template or {})
    return found


def spending(**members):
    return snapshot_of(documents(**members)).capabilities["crm.refund"].spending


def codes(template=None, **members):
    return [(fault.path, fault.code) for fault in faults_of(documents(template, **members))]


def test_what_is_declared_is_what_is_read():
    found = spending(
        amount=EUR,
        reserves={
            "rows": {"argument": "limit", "default": 50},
            "bytes": 2_000,
            "tokens": {"argument": "limit"},
        },
        measures={"rows": "/rows", "tokens": "/usage/to~1tal", "money": "/cost"},
    )
    assert found == SpendMapping(
        amount=AmountMapping(argument="amount", currency="EUR"),
        reserves=(
            ReserveMapping(budget="bytes", fixed=2_000),
            ReserveMapping(budget="rows", argument="limit", default=50),
            ReserveMapping(budget="tokens", argument="limit"),
        ),
        measures=(
            MeasureMapping(budget="rows", pointer="/rows"),
            MeasureMapping(budget="tokens", pointer="/usage/to~1tal"),
            MeasureMapping(budget="money", pointer="/cost"),
        ),
    )
    assert spending(amount={"fixed": 0}).amount == AmountMapping()
    assert spending(amount={"argument": "amount", "currencyArgument": "currency"}).amount == AmountMapping(
        argument="amount", currency_argument="currency"
    )
    assert spending() == SpendMapping()


@pytest.mark.parametrize(
    ("members", "path", "code"),
    [
        ({"amount": {}}, "/spec/amount", "capability.spending"),
        ({"amount": {**EUR, "fixed": 5}}, "/spec/amount", "capability.spending"),
        ({"amount": {"argument": "amount"}}, "/spec/amount", "capability.spending"),
        ({"amount": {"fixed": 5}}, "/spec/amount", "capability.spending"),
        ({"amount": {**EUR, "currencyArgument": "currency"}}, "/spec/amount", "capability.spending"),
        ({"amount": {**EUR, "argument": "limit"}}, "/spec/amount/argument", "capability.spending"),
        ({"amount": {**EUR, "argument": "nothing"}}, "/spec/amount/argument", "capability.spending"),
        (
            {"amount": {"argument": "amount", "currencyArgument": "limit"}},
            "/spec/amount/currencyArgument",
            "capability.spending",
        ),
        ({"amount": {**EUR, "currency": "eur"}}, "/spec/amount/currency", "budget.name"),
        ({"amount": {"fixed": -1, "currency": "EUR"}}, "/spec/amount/fixed", "document.range"),
        ({"amount": 5}, "/spec/amount", "document.type"),
        ({"reserves": {"rows": -1}}, "/spec/reserves/rows", "capability.spending"),
        ({"reserves": {"rows": 2**53}}, "/spec/reserves/rows", "capability.spending"),
        ({"reserves": {"rows": True}}, "/spec/reserves/rows", "capability.spending"),
        ({"reserves": {"rows": "9"}}, "/spec/reserves/rows", "capability.spending"),
        ({"reserves": {"lines": 9}}, "/spec/reserves/lines", "document.unknown_key"),
        ({"reserves": {"rows": {"default": 9}}}, "/spec/reserves/rows", "document.missing"),
        (
            {"reserves": {"rows": {"argument": "amount"}}},
            "/spec/reserves/rows/argument",
            "capability.spending",
        ),
        ({"reserves": []}, "/spec/reserves", "document.type"),
        ({"measures": {"rows": "rows"}}, "/spec/measures/rows", "document.pattern"),
        ({"measures": {"rows": "/a~2"}}, "/spec/measures/rows", "document.pattern"),
        ({"measures": {"bytes": "/a"}}, "/spec/measures/bytes", "document.unknown_key"),
    ],
)
def test_what_cannot_be_counted_on_is_a_fault_at_its_place(members, path, code):
    assert (path, code) in codes(**members)


SPENDING = {"amount": EUR, "reserves": {"rows": 9, "bytes": 5, "tokens": 0}}


def template(**budgets):
    named = {"money:EUR" if name == "money_eur" else name: limit for name, limit in budgets.items()}
    return {
        "budgets": named,
        "parameters": [
            {"name": "case", "pattern": "[0-9]{4}"},
            {"name": "sum", "pattern": "-?[0-9]+", "type": "minor_units"},
        ],
    }


def terms(spec, **parameters):
    found = documents(spec, **SPENDING)
    assert faults_of(found) == ()
    one: MandateTemplate = snapshot_of(found).templates["one-case"]
    return filled(one, parameters, principal=PrincipalId("alice"), id=MandateId("m-1"), now=START)


@pytest.mark.requirement("BUDGET-06")
def test_a_template_sets_budgets_as_numbers_and_as_parameters():
    found = terms(template(money_eur="{sum}", rows=30, wall_ms=5), case="4711", sum="1500")
    assert found.budgets == (("money:EUR", 1500), ("rows", 30), ("wall_ms", 5))


@pytest.mark.requirement("BUDGET-06")
def test_a_parameter_cannot_make_a_limit_negative():
    with pytest.raises(Malformed) as told:
        terms(template(money_eur="{sum}"), case="4711", sum="-1")
    assert told.value.code == "template.parameter"


@pytest.mark.requirement("BUDGET-06")
@pytest.mark.parametrize(
    ("budgets", "place", "code"),
    [
        ({"lines": 5}, "budgets/lines", "budget.name"),
        ({"calls": 5}, "budgets/calls", "budget.name"),
        ({"rows": -5}, "budgets/rows", "budget.amount"),
        ({"rows": True}, "budgets/rows", "budget.amount"),
        ({"rows": "5"}, "budgets/rows", "budget.amount"),
        ({"rows": "{case}"}, "budgets/rows", "budget.amount"),
        ({"rows": "{sum}0"}, "budgets/rows", "budget.amount"),
    ],
)
def test_a_limit_that_is_none_is_a_fault(budgets, place, code):
    assert (f"/spec/{place}", code) in codes(template(**budgets), **SPENDING)


@pytest.mark.requirement("BUDGET-06")
@pytest.mark.parametrize(
    ("budgets", "members"), [({"rows": 5}, {"amount": EUR}), ({"money_eur": 5}, {"reserves": {"rows": 1}})]
)
def test_a_template_that_limits_what_its_capability_does_not_declare_is_told_so_when_it_is_applied(
    budgets, members
):
    spec = {"budgets": template(**budgets)["budgets"]}
    assert ("/spec/grants/1/capability", "reference.budget_undeclared") in codes(spec, **members)
    assert codes({"budgets": {"wall_ms": 5}}) == []
