"""Which step wrote a line, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.attribution.answer import CANDIDATES_MAX, Answer
from answerable.core.attribution.attribute_line import attribute_line
from answerable.core.attribution.log_line import LogLine
from answerable.core.attribution.step import SKEW_MS
from answerable.core.attribution.step_index import StepIndex
from answerable.core.lease.name import account_of, lease_name
from answerable.core.ledger.tags import Tag

AT = 1_796_000_000_000
END = AT + 600_000
TASK = lease_name(b"t" * 16)
ELSE = lease_name(b"e" * 16)
SHARED = "svc_reports"


def action(number: int) -> str:
    return f"{number:032x}"


def own(number: int) -> str:
    return account_of(lease_name(bytes.fromhex(action(number))))


class Ledger:
    """Leaves as the product writes them, made by hand."""

    def __init__(self, until: int = END) -> None:
        self.leaves: list[dict[str, Any]] = []
        self._until = until

    def step(
        self,
        number: int,
        *,
        lease: str = "",
        account: str = "",
        at: int = AT,
        session: str = "",
        ended: bool = True,
        lease_ended: int = AT + 2_000,
        expires: int = 0,
        **keys: str,
    ) -> Ledger:
        """An action of 1 s, with an outcome that names its session where it is given one."""
        name = lease or lease_name(bytes.fromhex(action(number)))
        intent = len(self.leaves)
        self.leaves.append(
            {
                "tag": int(Tag.INTENT), "at": at, "action": action(number), "agent": "scout", "principal": "p",
                "mandate": "m", "use_case": "support", "capability": "case.read", "approval": "",
                "decision": {"by": ["all"], "policy_set": "s"}, "hops": [{"agent": "lead"}], "lease": name,
                "lease_target": "db", "deadline": at + 30_000,
            }
        )  # fmt: skip
        if ended:
            known = {**({"pg_session": session} if session else {}), **keys}
            self.leaves.append(
                {
                    "tag": int(Tag.OUTCOME), "at": at + 1_000, "intent": intent, "status": "succeeded",
                    **({"session": known} if known else {}),
                }
            )  # fmt: skip
        self.leaves.append(
            {
                "tag": int(Tag.LEASE), "at": at + 1_000, "lease": name, "account": account or account_of(name),
                "ended_at": lease_ended, "expires_at": expires or at + 60_000, "live_until": 0,
            }
        )  # fmt: skip
        return self

    def index(self) -> StepIndex:
        last = {"tag": int(Tag.RECOVERY), "at": self._until}
        return StepIndex(enumerate([*self.leaves, last]))


def told(ledger: Ledger, line: LogLine, *governed: str) -> Answer | None:
    return attribute_line(line, ledger.index(), frozenset(governed))


def line(account: str, session: str = "", label: str = "", at: int = AT + 500, **more: Any) -> LogLine:
    return LogLine(1, at, account, (("pg_session", session),) if session else (), label, **more)


def short(answer: Answer | None) -> tuple[str, str, str]:
    assert answer is not None
    assert answer.why
    return answer.verdict, answer.grade, answer.step.action if answer.step else ""


def one_action() -> Ledger:
    return Ledger().step(1, session="a.1")


def silent(*, ended: bool = True, lease_ended: int = AT + 2_000) -> Ledger:
    """One step that told no session, and another at its target, by which that is a database."""
    return Ledger().step(1, ended=ended, lease_ended=lease_ended).step(9, session="z.9")


def one_task() -> Ledger:
    """Two steps on the account of a task; only the first told its session."""
    return Ledger().step(1, lease=TASK, session="a.1").step(2, lease=TASK, at=AT + 20_000)


def shared() -> Ledger:
    """Three steps on one account that is not of a lease; only the first told its session."""
    made = Ledger().step(1, account=SHARED, session="a.1").step(2, account=SHARED)
    return made.step(3, account=SHARED, lease=TASK, at=AT + 100_000)


CASES = {
    "its own session": (one_action(), line(own(1), "a.1", own(1)), ("ours", "B", action(1))),
    "with its own action": (one_action(), line(own(1), "a.1", action(1)), ("ours", "B", action(1))),
    "with a label of nobody": (one_action(), line(own(1), "a.1", "psql"), ("ours", "B", action(1))),
    "before there is an account": (one_action(), line("", "a.1"), ("ours", "B", action(1))),
    "another label of ours": (
        one_action().step(2, session="a.2"),
        line(own(1), "a.1", action(2)),
        ("forged", "B", action(1)),
    ),
    "a label in the form of ours": (
        one_action(),
        line(own(1), "a.1", account_of(ELSE)),
        ("forged", "B", action(1)),
    ),
    "no session told": (silent(), line(own(1), "a.9"), ("ours", "A", action(1))),
    "no session told, and no time in the log": (silent(), line(own(1), "a.9", at=0), ("shared", "D", "")),
    "no session told, at a target of unknown kind": (
        Ledger().step(1),
        line(own(1), "a.9"),
        ("shared", "D", ""),
    ),
    "no session in the log": (one_action(), line(own(1)), ("shared", "D", "")),
    "its own session, long after": (one_action(), line(own(1), "a.1", at=AT + 100_000), ("bypass", "", "")),
    "its own session, before there is an account, long after": (
        one_action(),
        line("", "a.1", at=AT + 100_000),
        ("forged", "", ""),
    ),
    "no end yet": (silent(ended=False), line(own(1), "a.9"), ("ours", "A", action(1))),
    "another session": (one_action(), line(own(1), "a.9", own(1)), ("bypass", "", "")),
    "another session, later": (
        one_action(),
        line(own(1), "a.9", at=AT + 100_000),
        ("bypass", "", ""),
    ),
    "another session while its lease lives": (
        Ledger().step(1, session="a.1", lease_ended=AT + 90_000),
        line(own(1), "a.9", at=AT + 60_000),
        ("bypass", "", ""),
    ),
    "no session, after its lease": (one_action(), line(own(1), at=AT + 100_000), ("bypass", "", "")),
    "no room for a login": (one_action(), line(own(1), "a.9", is_full=True), ("shared", "D", "")),
    "no room for a login, at another time": (
        one_action(),
        line(own(1), "a.9", at=AT + 100_000, is_full=True),
        ("bypass", "", ""),
    ),
    "no room for a login of a task": (
        Ledger().step(1, lease=TASK, session="a.1").step(2, lease=TASK, session="a.2"),
        line(account_of(TASK), "a.9", is_full=True),
        ("shared", "D", ""),
    ),
    "an account that no step had": (one_action(), line(account_of(ELSE), "a.9"), ("bypass", "", "")),
    "an account that no step had, after the record": (
        one_action(),
        line(account_of(ELSE), "a.9", at=END),
        ("later", "", ""),
    ),
    "an account that no step had, without a time": (
        one_action(),
        line(account_of(ELSE), "a.9", at=0),
        ("bypass", "", ""),
    ),
    "a lease that may go on after the record": (
        Ledger(AT + 1_000).step(1, session="a.1", lease_ended=0),
        line(own(1), "a.9"),
        ("later", "", ""),
    ),
    "a task's account, the session of one step": (
        one_task(),
        line(account_of(TASK), "a.1", TASK),
        ("ours", "B", action(1)),
    ),
    "a task's account, another session": (
        one_task(),
        line(account_of(TASK), "a.9", at=AT + 500),
        ("bypass", "", ""),
    ),
    "a task's account, the label of a step that told none": (
        one_task(),
        line(account_of(TASK), "a.9", action(2), at=AT + 20_500),
        ("ours", "C", action(2)),
    ),
    "a task's account, the label of a step that told another": (
        one_task(),
        line(account_of(TASK), "a.9", action(1), at=AT + 20_500),
        ("shared", "D", ""),
    ),
    "a task's account without a session, between its steps": (
        Ledger()
        .step(1, lease=TASK, session="a.1", lease_ended=AT + 90_000)
        .step(2, lease=TASK, at=AT + 80_000, lease_ended=AT + 90_000),
        line(account_of(TASK), at=AT + 40_000),
        ("shared", "D", ""),
    ),
    "a shared account, its session": (shared(), line(SHARED, "a.1"), ("ours", "B", action(1))),
    "a shared account, a label": (shared(), line(SHARED, "a.9", action(2)), ("ours", "C", action(2))),
    "a shared account, a lease's name": (
        shared(),
        line(SHARED, "a.9", TASK, at=AT + 100_500),
        ("ours", "C", action(3)),
    ),
    "a shared account, the label of another session": (
        shared(),
        line(SHARED, "a.9", action(1)),
        ("forged", "", ""),
    ),
    "a shared account, a label of another time": (
        shared(),
        line(SHARED, "a.9", action(2), at=AT + 100_500),
        ("forged", "", ""),
    ),
    "a shared account, a label of no step": (
        shared(),
        line(SHARED, "a.9", account_of(ELSE)),
        ("forged", "", ""),
    ),
    "a shared account, nothing but the time": (shared(), line(SHARED, "a.9"), ("shared", "D", "")),
    "a shared account, another time": (shared(), line(SHARED, "a.9", at=AT + 60_000), ("bypass", "", "")),
    "a shared account, after the record": (shared(), line(SHARED, "a.9", at=END), ("later", "", "")),
    "a label of ours on a person's account": (
        one_action(),
        line("alice", "b.1", action(1)),
        ("forged", "", ""),
    ),
    "the account of a label of ours on a person's": (
        one_action(),
        line("alice", "b.1", own(1)),
        ("forged", "", ""),
    ),
    "the lease of a label of ours on a person's": (
        one_task(),
        line("alice", "b.1", TASK),
        ("forged", "", ""),
    ),
    "our session, another account": (one_action(), line("alice", "a.1", own(1)), ("forged", "", "")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_line_is_given_to_the_step_that_its_server_names_or_to_none(name: str) -> None:
    ledger, said, expected = CASES[name]
    assert short(told(ledger, said)) == expected


@pytest.mark.parametrize(
    "said",
    [line("alice", "b.1", "psql"), line("alice", "b.1", action(9)), line("", "b.1"), line("alice", "", ELSE)],
)
def test_what_has_nothing_to_do_with_governed_accounts_has_no_answer(said: LogLine) -> None:
    assert told(one_action(), said) is None


def test_an_account_or_a_login_may_be_governed_by_name() -> None:
    assert short(told(one_action(), line("deploy"), "deploy")) == ("bypass", "", "")
    assert short(told(one_action(), line("chen", login="deploy"), "deploy")) == ("bypass", "", "")
    assert told(one_action(), line("chen", login="other"), "deploy") is None


def asked(label: str = "", request: str = "", login: str = "", at: int = AT + 500) -> LogLine:
    """A request over HTTP, whose log names no account."""
    return LogLine(1, at, "", (("http_x_request_id", request),) if request else (), label, login)


def over_http() -> Ledger:
    """Of the second, the server told another name; of the third nothing; the fourth was at a database."""
    made = Ledger().step(1, http_x_request_id="r1").step(2, http_cf_ray="c2").step(3, secret_withheld="key")
    return made.step(4, session="a.4")


BOT = "crm-bot"
WITHOUT_ACCOUNT = {
    "its request": (asked(request="r1"), ("ours", "B", action(1))),
    "its request, another label": (asked(action(3), "r1"), ("forged", "B", action(1))),
    "another request": (asked(action(1), "r9"), ("forged", "", "")),
    "another time": (asked(action(3), "r9", at=AT + 60_000), ("forged", "", "")),
    "another kind of target": (asked(action(4), "r9"), ("forged", "", "")),
    "a label alone": (asked(action(3), "r9"), ("shared", "D", "")),
    "a label, the server told another name": (asked(action(2), "r9"), ("shared", "D", "")),
    "a label, no request in the log": (asked(action(1)), ("shared", "D", "")),
    "the broker's account, a label": (asked(action(3), "r9", BOT), ("ours", "C", action(3))),
    "the broker's account, its request": (asked(action(1), "r1", BOT), ("ours", "B", action(1))),
    "the broker's account, another request": (asked(action(1), "r9", BOT), ("forged", "", "")),
    "the broker's account, no label": (asked("", "r9", BOT), ("bypass", "", "")),
    "the broker's account, a label of nobody": (asked(action(9), "r9", BOT), ("bypass", "", "")),
    "the broker's account, after the record": (asked("", "r9", BOT, END), ("later", "", "")),
}


@pytest.mark.parametrize("name", WITHOUT_ACCOUNT)
def test_a_label_without_an_account_proves_nothing_but_on_a_login_of_the_broker(name: str) -> None:
    said, expected = WITHOUT_ACCOUNT[name]
    assert short(told(over_http(), said, BOT)) == expected


@pytest.mark.parametrize("said", [asked("", "r9"), asked(action(9), "r9"), asked("", "r9", "ann")])
def test_a_request_of_others_has_no_answer(said: LogLine) -> None:
    assert told(over_http(), said, BOT) is None


def test_further_names_of_a_session_must_agree_with_the_first() -> None:
    ledger = Ledger().step(1, ssh_serial="7", ssh_ca="SHA256:ours")
    right = LogLine(1, 0, own(1), (("ssh_serial", "7"), ("ssh_ca", "SHA256:ours")))
    wrong = LogLine(1, 0, own(1), (("ssh_serial", "7"), ("ssh_ca", "SHA256:theirs")))
    assert short(told(ledger, right)) == ("ours", "B", action(1))
    assert short(told(ledger, wrong)) == ("bypass", "", "")


def test_steps_in_one_session_are_told_apart_by_label_or_time_or_not_at_all() -> None:
    ledger = Ledger().step(1, lease=TASK, session="a.1").step(2, lease=TASK, session="a.1", at=AT + 60_000)
    account = account_of(TASK)
    assert short(told(ledger, line(account, "a.1", action(2), at=0))) == ("ours", "B", action(2))
    assert short(told(ledger, line(account, "a.1", at=AT + 60_500))) == ("ours", "B", action(2))
    both = told(ledger, line(account, "a.1", at=0))
    assert both is not None
    assert (both.verdict, [one.action for one in both.candidates]) == ("shared", [action(1), action(2)])


def test_a_quiet_ledger_is_complete_up_to_when_it_was_sealed() -> None:
    entries = [(0, {"tag": int(Tag.RECOVERY), "at": AT})]
    thief = line(account_of(ELSE), "a.9", at=AT + 60_000)
    assert short(attribute_line(thief, StepIndex(entries), frozenset())) == ("later", "", "")
    sealed = StepIndex(entries, complete_until=AT + 60_000 + SKEW_MS)
    assert short(attribute_line(thief, sealed, frozenset())) == ("bypass", "", "")
    assert StepIndex(entries, complete_until=1).complete_until == AT


def test_candidates_are_few() -> None:
    ledger = Ledger()
    for number in range(1, 20):
        ledger.step(number, account=SHARED)
    answer = told(ledger, line(SHARED, "a.9"))
    assert answer is not None
    assert (answer.verdict, answer.grade, len(answer.candidates)) == ("shared", "D", CANDIDATES_MAX)


@pytest.mark.parametrize(
    ("off", "verdict"), [(-SKEW_MS, "ours"), (-SKEW_MS - 1, "bypass"), (1_000 + SKEW_MS, "ours")]
)
def test_clocks_may_differ_by_five_seconds(off: int, verdict: str) -> None:
    ledger = silent(lease_ended=AT + 1_000)
    answer = told(ledger, line(own(1), "a.9", at=AT + off))
    assert answer is not None
    assert answer.verdict == verdict


def test_a_step_has_its_chain_and_what_was_decided() -> None:
    (step,) = one_action().index()
    assert (step.chain, step.decided_by, step.policy_set, step.person) == (("lead",), ("all",), "s", "p")
    assert (step.account, step.life_until, step.until, step.status) == (
        own(1), AT + 2_000, AT + 1_000, "succeeded",
    )  # fmt: skip
    assert len(one_action().index()) == 1


@pytest.mark.parametrize(
    "leaf",
    [
        {"tag": int(Tag.INTENT), "at": AT, "action": "x"},
        {"tag": int(Tag.OUTCOME), "at": AT, "intent": 7},
        {"tag": int(Tag.OUTCOME), "at": AT, "intent": "no"},
        {"tag": int(Tag.LEASE), "at": "never"},
        {"tag": int(Tag.INTENT), "lease": ELSE, "at": AT, "decision": 1, "hops": 1},
    ],
)
def test_an_entry_that_says_less_is_no_fault(leaf: dict[str, Any]) -> None:
    index = StepIndex([(0, leaf)])
    assert len(index) == int("hops" in leaf)
