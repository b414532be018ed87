"""Laws of attribution, over random histories of which the test knows who wrote each line."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from answerable.core.attribution.attribute_line import attribute_line
from answerable.core.attribution.log_line import LogLine
from answerable.core.attribution.step import SKEW_MS
from answerable.core.attribution.step_index import StepIndex
from answerable.core.lease.name import LeaseName, account_of, lease_name
from tests.unit.core.attribution.test_attribute_line import AT, END, Ledger, action, own

HISTORIES = 8
STEPS = 60
LINES = 400
SHARED = "svc"


class History:
    """Steps on accounts of one action, of a task and shared, each with a session of its own, and lines of them, of
    thieves and of people, on clocks that differ. Of each line: its step, "thief", "forger" or "nobody"; and the
    line."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.skew = self.chance.randint(-SKEW_MS, SKEW_MS)
        self.ledger = Ledger(END)
        self.steps: list[tuple[int, str, int]] = []
        tasks = [lease_name(self.chance.randbytes(16)) for _ in range(4)]
        for number in range(1, STEPS):
            kind, at = self.chance.choice(("own", "task", "shared")), AT + self.chance.randrange(500_000)
            lease = self.chance.choice(tasks) if kind == "task" else ""
            account = {"own": own(number), "task": account_of(LeaseName(lease)), "shared": SHARED}[kind]
            self.ledger.step(
                number, lease=lease, account=account, at=at, session=f"s{number}", lease_ended=0, expires=END
            )
            self.steps.append((number, account, at))
        self.lines = [self._line(number) for number in range(LINES)]

    def _line(self, number: int) -> tuple[str, LogLine]:
        step, account, at = self.chance.choice(self.steps)
        when = at + self.chance.randrange(1_000) + self.skew
        honest = self.chance.choice((action(step), "psql", "", lease_name(bytes.fromhex(action(step)))))
        other = action(self.chance.choice(self.steps)[0])
        who = self.chance.choice(("step", "step", "liar", "thief", "forger", "nobody"))
        if who == "step":
            return action(step), LogLine(number, when, account, (("pg_session", f"s{step}"),), honest)
        if who == "liar":
            return action(step), LogLine(number, when, account, (("pg_session", f"s{step}"),), other)
        if who == "thief":
            label = self.chance.choice((other, action(step), "psql", ""))
            return who, LogLine(number, when, account, (("pg_session", f"t{number}"),), label)
        person = self.chance.choice(("alice", "billing"))
        label = other if who == "forger" else "psql"
        return who, LogLine(number, when, person, (("pg_session", f"p{number}"),), label)


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-03", "ATTRIBUTE-05")
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_no_line_is_given_to_a_step_that_did_not_write_it_and_every_theft_is_found(seed: int) -> None:
    history = History(seed)
    steps = history.ledger.index()
    seen: Counter[str] = Counter()
    for truth, line in history.lines:
        answer = attribute_line(line, steps, frozenset())
        seen[truth if truth in ("thief", "forger", "nobody") else "step"] += 1
        if truth == "nobody":
            assert answer is None, line
            continue
        assert answer is not None, line
        if truth == "thief":
            assert answer.verdict in ("bypass", "forged"), (line, answer)
            assert answer.step is None
        elif truth == "forger":
            assert (answer.verdict, answer.claimed) == ("forged", line.label)
            assert answer.step is None
        else:
            assert answer.step is not None, (line, answer)
            assert (answer.step.action, answer.grade) == (truth, "B")
            lies = line.label not in ("", "psql", truth, lease_name(bytes.fromhex(truth)))
            assert (answer.verdict == "forged") == (lies and line.label != answer.step.lease)
    assert min(seen[one] for one in ("step", "thief", "forger", "nobody")) > 20


@pytest.mark.requirement("ATTRIBUTE-02")
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_an_older_record_accuses_nobody_of_what_a_newer_one_explains(seed: int) -> None:
    history = History(seed)
    until = AT + history.chance.randrange(500_000)
    known = [(number, leaf) for number, leaf in enumerate(history.ledger.leaves) if leaf["at"] <= until]
    older = StepIndex(known, complete_until=until)
    seen: Counter[str] = Counter()
    for truth, line in history.lines:
        if truth in ("thief", "forger", "nobody"):
            continue
        answer = attribute_line(line, older, frozenset())
        verdict = answer.verdict if answer is not None else "nobody"
        seen[verdict] += 1
        assert verdict != "bypass", (line, answer)
        if answer is not None and answer.step is not None and answer.grade != "C":
            assert answer.step.action == truth
    assert seen["ours"] or seen["later"]
