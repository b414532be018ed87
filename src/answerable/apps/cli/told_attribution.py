"""Attribute a target's own log to a ledger's steps, and print it: for the whole command line and for the light one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.apps.cli.csv_rows import print_row
from answerable.apps.cli.exit_codes import CHECK_FAILED, UNMET
from answerable.errors import shown
from answerable.errors.codes.attribution import (
    ATTRIBUTE_ACCOUNT,
    ATTRIBUTE_COMPLETE,
    ATTRIBUTE_FORM,
    ATTRIBUTE_OUTPUT,
    ATTRIBUTE_SEEN_TARGET,
    ATTRIBUTE_TARGET,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from answerable.apps.cli.terminal import Terminal
    from answerable.core.attribution.answer import Answer, Attributed
    from answerable.core.attribution.log_line import LogKind, LogLine
    from answerable.core.attribution.phantom import Unseen
    from answerable.core.attribution.seen_account import AccountsSeen
    from answerable.core.attribution.step import Step
    from answerable.core.attribution.step_index import StepIndex
    from answerable.flows.forensics.attribute_log import Attribution, ReadFile

COLUMNS: Final = (
    "file", "line", "time", "account", "verdict", "grade", "action", "entry", "agent", "chain", "person", "mandate",
    "capability", "decided_by", "approval", "candidates", "claimed", "why",
)  # fmt: skip
SHOWN_MAX: Final = 200
LISTED_MAX: Final = 5
AHEAD_MS_MAX: Final = 60_000
"""How far the clock of the machine that sealed the ledger may be ahead of ours."""
_WORDS: Final = {
    "ours": "of one recorded step",
    "shared": "of one of several steps",
    "bypass": "a governed account, used past the broker",
    "forged": "a label of ours that the session does not bear out",
    "content": "of one recorded step, with another content than recorded",
    "later": "after the end of this ledger",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAsked:
    """What is attributed. files: of one log, oldest first. complete: RFC 3339. keys: a data directory with the subject
    keys; None for none. seen: the file to which the accounts of the log are added; None to keep none. Empty texts for
    what was not given."""

    files: Sequence[Path]
    kind: LogKind
    ledger: Path
    complete: str = ""
    prefix: str = ""
    zone: str = ""
    accounts: Sequence[str] = ()
    targets: Sequence[str] = ()
    csv: bool = False
    keys: Path | None = None
    seen: Path | None = None


def attribute_files(terminal: Terminal, asked: LogAsked) -> int | None:
    """Print the answers. Raises Malformed (`attribute.*`, `cli.file`, `cli.time`, `ledger.no_copy`)."""
    from answerable.core.attribution.log_line import SESSION_KINDS, Whose
    from answerable.core.attribution.seen_account import AccountsSeen
    from answerable.flows.forensics.attribute_log import Attribution, attribute_file
    from answerable.wiring.target_logs import LogFiles, opened_contents, recorded_steps

    if asked.csv and terminal.as_json:
        raise ATTRIBUTE_OUTPUT()
    if asked.seen is not None and not asked.targets:
        raise ATTRIBUTE_SEEN_TARGET()
    if "" in asked.accounts:
        raise ATTRIBUTE_ACCOUNT()
    logs = LogFiles(asked.kind, prefix=asked.prefix, zone=asked.zone)
    steps = recorded_steps(asked.ledger, complete_until=_complete_until(asked.complete))
    _check_targets(asked.targets, steps)
    whose = Whose(SESSION_KINDS.get(asked.kind, ""), frozenset(asked.targets))
    found, accounts = Attribution(), AccountsSeen() if asked.seen is not None else None
    if asked.csv:
        print_row(COLUMNS)
    with opened_contents(asked.ledger, asked.keys) as record_of:
        found.content.record_of = record_of or found.content.record_of
        for path in asked.files:
            each = _row_printer(path) if asked.csv else None
            with logs.opened(path) as lines:
                file = attribute_file(
                    found, str(path), lines, steps, frozenset(asked.accounts), each, whose, accounts
                )
            _check_form(file, asked.kind, asked.prefix)
    if accounts is not None and asked.seen is not None:
        _keep(terminal, accounts, asked, asked.seen)
    unseen = found.unseen(steps, asked.targets)
    if asked.csv:
        for verdict, why, told in _without_line(found, unseen, steps):
            for step in told:
                print_row(_row_without_line(verdict, why, step))
    elif terminal.as_json:
        terminal.json(_as_value(found, unseen, steps, asked.kind))
    else:
        _tell(terminal, found, unseen, steps, asked.kind)
    _warn(terminal, found)
    silence = _silence(found, unseen, asked.targets)
    if silence:
        terminal.warn(silence)
    if found.odd or unseen.phantoms or found.unsaid(steps):
        return CHECK_FAILED
    is_unsaid = len(steps) > 0 and any(one.is_untimed for one in found.files)
    return UNMET if found.broken or silence or is_unsaid else None


def _complete_until(text: str) -> int:
    """Return up to when the ledger is complete; 0 for no text. Raises Malformed (`cli.time`, `attribute.complete`)."""
    from answerable.apps.cli.without_server import milliseconds

    until = milliseconds(text) if text else 0
    if until > time.time_ns() // 1_000_000 + AHEAD_MS_MAX:
        raise ATTRIBUTE_COMPLETE(
            f"{shown(text)} is ahead of the clock of this machine: --complete says when the ledger was sealed"
        )
    return until


def _keep(terminal: Terminal, accounts: AccountsSeen, asked: LogAsked, path: Path) -> None:
    """Add the accounts of the log to a file, of each target whose log it is."""
    from answerable.wiring.seen_accounts import keep_seen

    rows = [one for target in asked.targets for one in accounts.rows(target, asked.kind)]
    if left_out := keep_seen(path, rows) + accounts.left_out:
        terminal.warn(f"{left_out} accounts were left out of {shown(path)}: there were too many")


def _silence(found: Attribution, unseen: Unseen, targets: Sequence[str]) -> str:
    """Return why nothing can be said by silence; empty where something was compared, or there was nothing to."""
    if not any(one.lines for one in found.files):
        return "nothing was read: this log has no lines"
    if not (targets or found.targets) and unseen.elsewhere:
        return (
            f"nothing was compared: no line is of a recorded step, and {sum(unseen.elsewhere.values())} succeeded in "
            f"the time of this log, at {_listed(unseen.elsewhere)}: name the target whose log it is with --target"
        )
    if targets and unseen.uncovered and not unseen.compared:
        there = f"{unseen.uncovered} succeeded at {_listed(targets)}"
        return f"nothing was compared: {there}, and this log does not cover the time of any"
    return ""


def _check_targets(targets: Sequence[str], steps: StepIndex) -> None:
    """Raises Malformed (`attribute.target`) for one at which the ledger has no step: nothing would be compared."""
    known = sorted({one.target for one in steps})
    for one in targets:
        if one not in known:
            there = f"there are steps at {_listed(known)}" if known else "there are no steps at targets"
            raise ATTRIBUTE_TARGET(f"no recorded step is at target {shown(one)}: {there}")


def _listed(targets: Collection[str]) -> str:
    rest = f" and {len(targets) - LISTED_MAX} more" if len(targets) > LISTED_MAX else ""
    return ", ".join(shown(one) for one in [*targets][:LISTED_MAX]) + rest


def _check_form(file: ReadFile, kind: LogKind, prefix: str) -> None:
    """Raises Malformed (`attribute.form`) where not one line could be read: nothing can be said by silence."""
    if file.lines and sum(file.unread.values()) == file.lines:
        hint = (
            "give the server's `log_line_prefix` with --prefix"
            if kind == "postgres"
            else "give another --kind"
        )
        hint = "this is not the server's `log_line_prefix`" if prefix else hint
        raise ATTRIBUTE_FORM(f"no line of {shown(file.name)} is of a log of kind {kind}: {hint}")


def _warn(terminal: Terminal, found: Attribution) -> None:
    for file in found.files:
        for why, count in sorted(file.unread.items()):
            numbers = ", ".join(map(str, file.first_unread[why]))
            more = ", …" if count > len(file.first_unread[why]) else ""
            told = f"{count} {'line' if count == 1 else 'lines'} not read"
            terminal.warn(f"{file.name}: {told}: {why} ({numbers}{more})")
        if file.is_untimed:
            terminal.warn(f"{file.name}: no line has a time that is understood, so no phantom can be told")
    later = sum(count for (verdict, _), count in found.counts.items() if verdict == "later")
    if later:
        terminal.warn(
            f"{later} lines are newer than the ledger is known to be complete, and nothing is said of them: run "
            "`answerable ledger seal`, and give the time of that with --complete"
        )
    if found.dropped:
        terminal.warn(
            f"{found.dropped} more lines need a person: only the first {len(found.kept)} are listed"
        )


# --- lines for people ------------------------------------------------------------------------------------


def _tell(terminal: Terminal, found: Attribution, unseen: Unseen, steps: StepIndex, kind: LogKind) -> None:
    from answerable.flows.forensics.attribute_log import told_steps

    terminal.record([*_summary(found, unseen, steps), *_uncompared(found, kind)])
    listed = [one for one in found.kept if one[1].answer.verdict != "later"]
    for name, one in listed[:SHOWN_MAX]:
        terminal.heading(f"{one.answer.verdict}  {name}:{one.line.number}  {_time(one.line.at)}  {_who(one)}")
        terminal.line(f"    {one.answer.why}{_graded(one.answer)}")
        for step in (one.answer.step, *one.answer.candidates):
            if step is not None:
                terminal.line(f"    {_step_told(step)}")
    if len(listed) > SHOWN_MAX:
        terminal.warn(f"{len(listed) - SHOWN_MAX} more such lines: --csv lists all")
    for verdict, why, told in _without_line(found, unseen, steps):
        for step in told[:SHOWN_MAX]:
            terminal.heading(f"{verdict}  {_time(step.started)}  account {step.account}")
            terminal.line(f"    {why}")
            terminal.line(f"    {_step_told(step)}")
    ours = told_steps(found, steps)
    for step, count in ours[:SHOWN_MAX]:
        terminal.heading(f"{count} lines of action {step.action}")
        terminal.line(f"    {_step_told(step)}")
    if len(ours) > SHOWN_MAX:
        terminal.warn(f"{len(ours) - SHOWN_MAX} more steps have lines: --csv lists all")


def _without_line(
    found: Attribution, unseen: Unseen, steps: StepIndex
) -> tuple[tuple[str, str, tuple[Step, ...]], ...]:
    """Return the steps that need a person for what the log does not say: verdict, why, and which."""
    from answerable.core.attribution.content import STATEMENT_DIFFERS

    phantom = "recorded as succeeded, and the log covers its time without a line of it"
    return (
        ("content", STATEMENT_DIFFERS, found.unsaid(steps)),
        ("phantom", phantom, unseen.phantoms),
    )


def _uncompared(found: Attribution, kind: LogKind) -> list[tuple[str, object]]:
    fields = [
        f"{name} of {count} {'step' if count == 1 else 'steps'}: {why}"
        for (name, why), count in sorted(found.content.uncompared(kind).items())
    ]
    return [("not compared", fields)] if fields else []


def _summary(found: Attribution, unseen: Unseen, steps: StepIndex) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = [
        (
            "read",
            [
                f"{one.name}: {one.lines} lines, from {_time(one.first)} to {_time(one.last)}"
                for one in found.files
            ],
        ),
        ("ledger", f"{len(steps)} steps at targets, complete up to {_time(steps.complete_until)}"),
    ]
    for verdict, words in _WORDS.items():
        by_grade = {grade: count for (one, grade), count in found.counts.items() if one == verdict}
        graded = ", ".join(f"{count} grade {grade}" for grade, count in sorted(by_grade.items()) if grade)
        count = sum(by_grade.values())
        if count or verdict in ("ours", "bypass", "forged", "content"):
            lines.append((verdict, f"{count}: {words}" + (f" ({graded})" if graded else "")))
    uncovered = f"; of {unseen.uncovered} more the log does not cover the time" if unseen.uncovered else ""
    of = f", of {unseen.compared} compared"
    silent = len(found.unsaid(steps))
    if found.content.compared():
        without = f"; {silent} more steps without a line of what is recorded" if silent else ""
        lines.append(("compared", f"{found.content.compared()} fields of steps, with the record{without}"))
    lines.append(("phantom", f"{len(unseen.phantoms)}: steps that the log does not say{of}{uncovered}"))
    lines.append(("others", f"{sum(one.others for one in found.files)}: counted only"))
    return lines


def _who(one: Attributed) -> str:
    return f"account {one.line.account or '(none)'}" + (f", login {one.line.login}" if one.line.login else "")


def _graded(answer: Answer) -> str:
    return f" (grade {answer.grade}{', an inference' if answer.grade == 'D' else ''})" if answer.grade else ""


def _step_told(step: Step) -> str:
    chain = f", through {' > '.join(step.chain)}" if step.chain else ""
    approval = f", approval {step.approval}" if step.approval else ""
    return (
        f"entry {step.entry}, action {step.action}: agent {step.agent}{chain}, {step.capability} at {step.target} "
        f"for person {step.person}, mandate {step.mandate} ({step.use_case}), allowed by "
        f"{', '.join(step.decided_by) or 'no rule'}{approval}, {step.status or 'no recorded end'}"
    )


def _time(at: int) -> str:
    from datetime import UTC, datetime

    from answerable.core.attribution.log_line import TIME_MAX_MS

    if not 0 < at <= TIME_MAX_MS:
        return "(no time)"
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- lines for programs ----------------------------------------------------------------------------------


def _as_value(found: Attribution, unseen: Unseen, steps: StepIndex, kind: LogKind) -> dict[str, object]:
    from answerable.flows.forensics.attribute_log import told_steps

    return {
        "complete_until": steps.complete_until,
        "counts": [
            {"verdict": verdict, "grade": grade, "lines": count}
            for (verdict, grade), count in sorted(found.counts.items())
        ],
        "files": [
            {
                "name": one.name,
                "lines": one.lines,
                "others": one.others,
                "first": one.first,
                "last": one.last,
                "unread": dict(one.unread),
                "first_unread": one.first_unread,
            }
            for one in found.files
        ],
        "lines": [{"file": name, "line": one.line, "answer": one.answer} for name, one in found.kept],
        "dropped": found.dropped,
        "steps": [{"step": step, "lines": count} for step, count in told_steps(found, steps)],
        "content": {
            "compared": found.content.compared(),
            "unsaid": found.unsaid(steps),
            "uncompared": [
                {"field": name, "why": why, "steps": count}
                for (name, why), count in sorted(found.content.uncompared(kind).items())
            ],
        },
        "phantoms": unseen.phantoms,
        "compared": unseen.compared,
        "uncovered": unseen.uncovered,
        "elsewhere": unseen.elsewhere,
    }


def _row_printer(path: Path) -> Callable[[LogLine, Answer], None]:
    name = str(path)

    def print_answer(line: LogLine, answer: Answer) -> None:
        print_row(
            (
                name,
                line.number,
                _time(line.at) if line.at else "",
                line.account,
                answer.verdict,
                answer.grade,
                *_step_cells(answer.step),
                " ".join(one.action for one in answer.candidates),
                answer.claimed,
                answer.why,
            )
        )

    return print_answer


def _row_without_line(verdict: str, why: str, step: Step) -> tuple[object, ...]:
    return ("", "", _time(step.started), step.account, verdict, "", *_step_cells(step), "", "", why)


def _step_cells(step: Step | None) -> tuple[object, ...]:
    if step is None:
        return ("",) * 9
    return (
        step.action,
        step.entry,
        step.agent,
        " > ".join(step.chain),
        step.person,
        step.mandate,
        step.capability,
        " ".join(step.decided_by),
        step.approval,
    )
