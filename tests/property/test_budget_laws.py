"""Laws of budgets: the registers against a model, and what an action gives back against what it reserved."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from answerable.adapters.sqlite import SqliteMandateRegister, SqliteStore
from answerable.core.ledger.budget_counts import BudgetCounts
from answerable.core.mandate.budget import Account, Lack, Reserved
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.spend import rest_of
from answerable.core.registry.documents.budget_name import AMOUNT_MAX
from answerable.core.registry.documents.spending import MeasureMapping
from answerable.testing.registers import fresh
from answerable.testing.samples import mandate
from tests.probes.example_counts import examples

NAMES = ("bytes", "money:EUR", "rows")
HOPS = ("hop-1", "hop-2", "hop-3")
sizes = st.integers(0, 12) | st.sampled_from((AMOUNT_MAX - 3, AMOUNT_MAX))
amounts = st.dictionaries(st.sampled_from(NAMES), sizes).map(lambda more: {"calls": 1, **more})
limits = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 40) | st.just(AMOUNT_MAX))


class Budgets(RuleBasedStateMachine):
    """A register beside plain sums of what is reserved. The model knows nothing of how the register counts."""

    reserved = Bundle("reserved")

    def register(self):
        return fresh(SqliteMandateRegister)

    @initialize(of=st.lists(limits, min_size=4, max_size=4), calls=st.integers(1, 12))
    def begin(self, of, calls):
        self.under = self.register()
        self.under.add(mandate(calls_max=calls))
        self.accounts = {
            name: Account(id=name, limits={"calls": calls, **more})
            for name, more in zip(("m-1", *HOPS), of, strict=True)
        }
        # By account and name: what is held, and what was used beyond.
        self.held: dict[tuple[str, str], int] = {}
        self.beyond: dict[tuple[str, str], int] = {}
        self.counts = BudgetCounts()
        self.index = 0

    def _sum(self, account, name):
        return self.held.get((account, name), 0) + self.beyond.get((account, name), 0)

    @rule(target=reserved, delegation_lineage=st.sets(st.sampled_from(HOPS)), wanted=amounts)
    def reserve(self, delegation_lineage, wanted):
        accounts = tuple(self.accounts[name] for name in ("m-1", *sorted(delegation_lineage)))
        fits = all(
            not amount or self._sum(one.id, name) + amount <= one.limits.get(name, AMOUNT_MAX)
            for one in accounts
            for name, amount in wanted.items()
        )
        lack = self.under.lack(accounts, wanted)
        found = self.under.reserve(accounts, wanted)
        assert (lack is None) == fits == isinstance(found, int)
        if not fits:
            assert isinstance(found, Lack)
            assert found == lack
            assert found.left < found.wanted
            return multiple()
        for one in accounts:
            for name, amount in wanted.items():
                self.held[one.id, name] = self.held.get((one.id, name), 0) + amount
        taken = Reserved(accounts=tuple(one.id for one in accounts), amounts=wanted)
        self.counts.took(taken, self.index)
        self.index += 1
        return taken

    @rule(
        taken=consumes(reserved),
        part=st.integers(0, 100),
        over=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 30), max_size=1),
    )
    def end(self, taken, part, over):
        """An intent ends once; what it gives back is a part of what it took."""
        back = {name: amount * part // 100 for name, amount in taken.amounts.items()}
        over = {name: more for name, more in over.items() if not back.get(name)}
        if any(
            self._sum(one, name) + more > AMOUNT_MAX for one in taken.accounts for name, more in over.items()
        ):
            over = {}
        self.under.give_back(taken.accounts, back)
        self.under.take_more(taken.accounts, over)
        self.counts.ended(taken, back, over, self.index)
        self.index += 1
        for one in taken.accounts:
            for name, amount in back.items():
                self.held[one, name] -= amount
            for name, more in over.items():
                self.beyond[one, name] = self.beyond.get((one, name), 0) + more

    @rule()
    def restart(self):
        """A new process counts from what the log says."""
        before = {name: dict(self.under.used(name)) for name in self.accounts}
        self.under = self.register()
        if self.under.find(MandateId("m-1")) is None:
            self.under.add(mandate())
        for account, used in self.counts.used().items():
            self.under.restore_used(account, used)
        assert {name: nonzero(self.under.used(name)) for name in self.accounts} == {
            name: nonzero(used) for name, used in before.items()
        }

    @invariant()
    def nothing_is_over_its_limit_and_all_sums_agree(self):
        for name, account in getattr(self, "accounts", {}).items():
            used = self.under.used(name)
            for budget in ("calls", *NAMES):
                assert used.get(budget, 0) == self._sum(name, budget)
                assert 0 <= self.held.get((name, budget), 0) <= account.limits.get(budget, AMOUNT_MAX)


def nonzero(used):
    return {name: amount for name, amount in used.items() if amount}


class BudgetsOnFiles(Budgets):
    """The same with the register that keeps its mandates in a file."""

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory(prefix="budgets-")
        self.store = None

    def register(self):
        if self.store is not None:
            self.store.close()
        self.store = SqliteStore.open(Path(self.folder.name) / "registers.db")
        return SqliteMandateRegister(self.store)

    def teardown(self):
        if self.store is not None:
            self.store.close()
        self.folder.cleanup()


@pytest.mark.requirement("BUDGET-01", "BUDGET-04")
def test_budgets_are_those_of_the_model_whatever_is_done():
    run_state_machine_as_test(Budgets, settings=settings(deadline=None, stateful_step_count=40))


@pytest.mark.requirement("BUDGET-01", "BUDGET-04")
def test_budgets_on_files_are_those_of_the_model_over_restarts():
    few = settings(deadline=None, stateful_step_count=25, max_examples=examples(20))
    run_state_machine_as_test(BudgetsOnFiles, settings=few)


statuses = st.sampled_from(("succeeded", "failed", "not_started", "indeterminate"))
every = st.dictionaries(
    st.sampled_from(("bytes", "calls", "money:EUR", "rows", "tokens", "wall_ms")), st.integers(0, AMOUNT_MAX)
)
said = st.none() | st.dictionaries(
    st.sampled_from(("rows", "tokens")),
    st.none() | st.integers(-5, 2**60) | st.lists(st.none(), max_size=3) | st.text(),
)


@pytest.mark.requirement("BUDGET-03")
@given(every, statuses, said, st.integers(0, 2**60), st.integers(0, 2**60))
def test_no_outcome_gives_back_more_than_was_reserved_nor_both_ways_at_once(
    reserved, status, result, size, elapsed
):
    measures = [MeasureMapping(budget=name, pointer=f"/{name}") for name in ("rows", "tokens")]
    rest = rest_of(reserved, status, result=result, result_bytes=size, elapsed_ms=elapsed, measures=measures)
    assert all(0 <= amount <= reserved[name] for name, amount in rest.returned.items())
    assert all(
        reserved[name] + amount <= max(AMOUNT_MAX, reserved[name]) for name, amount in rest.overrun.items()
    )
    assert not rest.returned.keys() & rest.overrun.keys()
    if status == "indeterminate":
        assert not rest.returned
    if status in ("succeeded", "failed"):
        assert "calls" not in rest.returned
    if status == "succeeded":
        assert "money:EUR" not in rest.returned
