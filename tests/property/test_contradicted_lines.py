"""Of a line that a step wrote, whatever one thing is changed, it is given to nobody as proved: for each kind of log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from answerable.core.attribution.answer import Answer
from answerable.core.attribution.attribute_line import attribute_line
from answerable.core.attribution.log_line import LOG_KINDS, SESSION_KINDS, LogKind, LogLine, Whose
from answerable.wiring.target_logs import LogFiles
from tests.unit.adapters.log_readers.test_postgres_log import PREFIX
from tests.unit.core.attribution.test_attribute_line import AT, Ledger, action, own
from tests.unit.wiring.test_target_logs import LINES

pytestmark = pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-10")

HOUR = 3_600_000
WITH_ACCOUNTS = [one for one in LOG_KINDS if one != "nginx"]
"""Kinds of logs whose lines name accounts."""


def genuine(kind: LogKind, folder: Path) -> LogLine:
    """A line as the reader of this kind reads it, on the account of the first action and at its time."""
    file = folder / "log"
    file.write_text(LINES[kind])
    with LogFiles(kind, prefix=PREFIX).opened(file) as lines:
        (line,) = lines
    assert isinstance(line, LogLine)
    return structs.replace(line, at=AT + 500, account=own(1) if line.account else "", label="")


def whose(kind: LogKind, *targets: str) -> Whose:
    return Whose(SESSION_KINDS.get(kind, ""), frozenset(targets))


def named(line: LogLine) -> dict[str, Any]:
    """The names of its session, as a step is recorded with them."""
    return dict(line.keys)


def is_proved(answer: Answer | None) -> bool:
    return answer is not None and answer.verdict == "ours" and answer.grade in ("A", "B")


def changed(line: LogLine) -> dict[str, LogLine]:
    """The line with one thing of it changed."""
    found = {
        f"time {off}": structs.replace(line, at=line.at + off) for off in (-365 * 24 * HOUR, -HOUR, HOUR)
    }
    found["session"] = structs.replace(line, keys=())
    for number, (name, value) in enumerate(line.keys):
        keys = [*line.keys]
        keys[number] = (name, f"x{value}")
        found[name] = structs.replace(line, keys=tuple(keys))
    if line.account:
        found["account"] = structs.replace(line, account=own(2))
    return found


@pytest.mark.parametrize("kind", LOG_KINDS)
def test_a_line_in_a_recorded_session_is_proved_and_never_with_one_thing_changed(
    tmp_path: Path, kind: LogKind
) -> None:
    line = genuine(kind, tmp_path)
    steps = Ledger(until=AT + 2 * HOUR).step(1, **named(line)).step(2, session="z.9").index()
    answer = attribute_line(line, steps, frozenset(), whose(kind, "db"))
    assert answer is not None
    assert answer.step is not None
    assert (answer.verdict, answer.grade, answer.step.action) == ("ours", "B", action(1))
    for name, other in changed(line).items():
        assert not is_proved(attribute_line(other, steps, frozenset(), whose(kind, "db"))), name
    assert not is_proved(attribute_line(line, steps, frozenset(), whose(kind, "other")))


@pytest.mark.parametrize("kind", WITH_ACCOUNTS)
def test_an_account_proves_a_step_only_at_its_time_and_in_a_log_of_its_target(
    tmp_path: Path, kind: LogKind
) -> None:
    line = genuine(kind, tmp_path)
    told: dict[str, Any] = {name: f"x{value}" for name, value in named(line).items()}
    steps = Ledger(until=AT + 2 * HOUR).step(1).step(2, **told).index()
    assert is_proved(attribute_line(line, steps, frozenset(), whose(kind)))
    for off in (-line.at, -HOUR, HOUR):
        other = structs.replace(line, at=line.at + off)
        assert not is_proved(attribute_line(other, steps, frozenset(), whose(kind, "db"))), off
    assert not is_proved(attribute_line(line, steps, frozenset(), whose(kind, "other")))
    # The same account, in the log of a database of another kind.
    elsewhere = Ledger(until=AT + 2 * HOUR).step(1).step(2, other_session="1").index()
    answer = attribute_line(line, elsewhere, frozenset(), whose(kind))
    assert answer is not None
    assert answer.verdict == "bypass"
    assert not is_proved(attribute_line(structs.replace(line, keys=()), elsewhere, frozenset(), whose(kind)))


@pytest.mark.parametrize("kind", ["mariadb", "rabbitmq", "redis"])
def test_a_name_that_servers_give_again_proves_nothing_without_a_time(tmp_path: Path, kind: LogKind) -> None:
    line = structs.replace(genuine(kind, tmp_path), at=0)
    answer = attribute_line(line, Ledger().step(1, **named(line)).index(), frozenset())
    assert answer is not None
    assert (answer.verdict, answer.grade) == ("shared", "D")


def test_a_host_is_the_same_with_and_without_its_domain() -> None:
    steps = Ledger().step(1, ssh_serial="7", ssh_host="web1").index()
    for host, is_ours in (("web1", True), ("WEB1.example.com", True), ("web2", False)):
        line = LogLine(1, AT, own(1), (("ssh_serial", "7"), ("ssh_host", host)))
        assert is_proved(attribute_line(line, steps, frozenset())) == is_ours
