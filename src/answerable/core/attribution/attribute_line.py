"""Decide which recorded step wrote a line of a target's log.

Laws: a line is given to a step only by what its server says of it, or is told as candidates; nothing that is recorded
of a step contradicts a line that is given to it, neither session, account, target nor time; a label alone never gives a
line to a step whose session is recorded; nothing is said against a line after the end of the record, and one without a
time is not after it, and proves nothing by an account or by a name of a session that servers give again; a line without
a governed account and without a label of ours has no answer; a label on a line without an account proves nothing, but
on a login that only the broker has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.attribution.answer import CANDIDATES_MAX, Answer, Grade
from answerable.core.attribution.log_line import Whose
from answerable.core.attribution.step import SKEW_MS
from answerable.core.lease.name import ACCOUNT_PREFIX, NAME_CHARS, lease_of
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.attribution.log_line import LogLine
    from answerable.core.attribution.step import Step, StepLookup

_ACTION_CHARS: Final = 32
_LABEL_CHARS: Final = frozenset((_ACTION_CHARS, NAME_CHARS, NAME_CHARS + len(ACCOUNT_PREFIX)))
_GIVEN_AGAIN: Final = frozenset(("mariadb_connection", "rabbitmq_connection", "redis_client"))
"""Names of sessions that another one may have after a time, or when the server was started again."""
_CHOSEN: Final = frozenset(("http_x_message_id",))
"""Names of what is sent on later, such as mail, and that whoever sends may write: they prove as much as a label."""
ANY: Final = Whose()


def attribute_line(
    line: LogLine, steps: StepLookup, governed: frozenset[str], whose: Whose = ANY
) -> Answer | None:
    """Return the answer about a line; None for one that has nothing to do with governed accounts.

    governed: accounts that nobody but the broker is to use, beside those of the record. whose: whose log it is.
    """
    lease = lease_of(line.account) if line.account.startswith(ACCOUNT_PREFIX) else None
    is_governed = (
        lease is not None
        or line.account in governed
        or (bool(line.login) and line.login in governed)
        or bool(steps.by_account(line.account))
    )
    if is_governed or not line.account:
        found = _of_session(line, steps, whose)
        if found:
            return _borne_out(line, found, steps)
        if not line.account:
            return _elsewhen(line, steps) or _of_label(line, steps, whose, is_governed=is_governed)
        if not is_governed:
            return None
        if lease:
            return _of_own_account(line, lease, steps, whose)
        return _of_shared_account(line, steps, whose)
    claimed = _claimed(line.label, steps)
    if not claimed:
        return None
    why = f"label {claimed} is ours, and account {shown(line.account, 64)} is none that a step used"
    return Answer(verdict="forged", claimed=claimed, why=why)


def _of_session(line: LogLine, steps: StepLookup, whose: Whose) -> Sequence[Step]:
    """Return the steps whose recorded session this is, with nothing that contradicts it."""
    if not line.keys:
        return ()
    name, value = line.keys[0]
    return [
        one
        for one in steps.by_session(name, value)
        if line.account in ("", one.account)
        and one.agrees(line.keys)
        and (one.lives(line.at) or (name in _CHOSEN and line.at >= one.started - SKEW_MS))
        and whose.has(one.target)
    ]


def _elsewhen(line: LogLine, steps: StepLookup) -> Answer | None:
    """Answer for a line without an account in a session that is recorded, and not of this time or target."""
    found = steps.by_session(*line.keys[0]) if line.keys else ()
    if not found:
        return None
    why = f"session {shown(line.keys[0][1], 80)} is recorded, and was not open at this time, or at another target"
    return Answer(verdict="forged", claimed=found[0].action, why=why)


def _borne_out(line: LogLine, found: Sequence[Step], steps: StepLookup) -> Answer:
    """Answer for a line in a session of ours; of several steps in one, the label chooses."""
    name, value = line.keys[0]
    labelled = [one for one in found if line.label == one.action]
    if not labelled:
        labelled = [one for one in found if one.spans(line.at)] or [*found]
    if len(labelled) > 1:
        return _among(labelled, f"session {value} was of {len(labelled)} steps at this time")
    if not line.at and name in _GIVEN_AGAIN:
        return _among(labelled, f"{name} {value} is recorded with the action, and the line has no time")
    (step,) = labelled
    claimed = _claimed(line.label, steps)
    if claimed and claimed not in (step.action, step.lease):
        why = f"label {claimed} is of another step: session {value} is of action {step.action}"
        return Answer(verdict="forged", grade="B", step=step, claimed=claimed, why=why)
    grade: Grade = "C" if name in _CHOSEN else "B"
    return Answer(verdict="ours", grade=grade, step=step, why=f"{name} {value} is recorded with the action")


def _of_own_account(line: LogLine, lease: str, steps: StepLookup, whose: Whose) -> Answer:
    """Answer for a line on an account that was made for a lease, in a session that no step is recorded with."""
    known = steps.by_lease(lease)
    if not known:
        if _is_later(line, steps):
            return _later(steps)
        return Answer(
            verdict="bypass", why="the account has the form of ours, and no step is recorded with its lease"
        )
    used = [one for one in known if _may_be_at(one, line, steps, whose)]
    if not used:
        why = f"the account was made at target {shown(known[0].target, 64)}, whose log this is not"
        return Answer(verdict="bypass", why=why)
    if _is_later(line, steps) and max(one.life_until or one.until for one in used) > steps.complete_until:
        return _later(steps)
    possible = [one for one in used if one.spans(line.at) and not _has_other_session(one, line)]
    if possible:
        is_proof = len(known) == 1 and _is_known(known[0], line, steps, whose)
        return _only(line, possible, "A" if is_proof else "D", "the account was made for this action")
    if line.is_full and any(one.spans(line.at) for one in used):
        full = [one for one in used if one.spans(line.at)]
        # The broker tries again, and never learns the session of such a login.
        return _among(full, "a login found no room: of the broker, or of whoever else knows the secret")
    if line.keys and any(one.spans(line.at) for one in used):
        why = f"the broker did not open session {shown(line.keys[0][1], 80)}: its own is recorded"
    elif line.at and _is_alive(line.at, used):
        if not line.keys:
            return _only(line, [*used], "D", "the account was made for the task of this action")
        why = f"no step opened session {shown(line.keys[0][1], 80)} of this account"
    else:
        why = "the account was used outside the time of every step that had it"
    return Answer(verdict="bypass", why=why)


def _of_shared_account(line: LogLine, steps: StepLookup, whose: Whose) -> Answer:
    """Answer for a line on a governed account that is not of one lease."""
    if _is_later(line, steps):
        return _later(steps)
    claimed = _claimed(line.label, steps)
    step = steps.by_action(claimed) if claimed else None
    own = [one for one in steps.by_account(line.account) if _may_be_at(one, line, steps, whose)]
    if claimed and step is None:
        labelled = [one for one in steps.by_lease(claimed) if one in own]
        step = labelled[0] if len(labelled) == 1 else None
    if claimed and (step is None or step not in own or not step.spans(line.at)):
        why = f"label {claimed} is of no step that used this account at this time"
        return Answer(verdict="forged", claimed=claimed, why=why)
    if step is not None and _has_other_session(step, line):
        why = f"label {claimed} is of a step that had another session"
        return Answer(verdict="forged", claimed=claimed, why=why)
    if step is not None:
        return Answer(verdict="ours", grade="C", step=step, why="the label is of a step on this account")
    possible = [one for one in own if one.spans(line.at) and not _has_other_session(one, line)]
    if possible:
        return _among(possible, f"{len(possible)} steps used the account at this time")
    return Answer(verdict="bypass", why="a governed account, and no step used it at this time")


def _of_label(line: LogLine, steps: StepLookup, whose: Whose, *, is_governed: bool) -> Answer | None:
    """Answer for a line that names no account, in a session that is not recorded: at most a label and a login tell."""
    claimed = _claimed(line.label, steps)
    step = steps.by_action(claimed) if claimed else None
    if step is None:
        if not is_governed:
            return None
        if _is_later(line, steps):
            return _later(steps)
        return Answer(verdict="bypass", why="a governed account, and no label of a step")
    if _has_other_session(step, line) or not _may_be_at(step, line, steps, whose) or not step.spans(line.at):
        what = "that had another session" if step.spans(line.at) else "of another time"
        return Answer(verdict="forged", claimed=claimed, why=f"label {claimed} is of a step {what}")
    if is_governed:
        return Answer(
            verdict="ours", grade="C", step=step, why="the label is of a step, on an account of the broker"
        )
    return _among([step], "the label is of this step, and the line names no account")


def _only(line: LogLine, possible: Sequence[Step], grade: Grade, why: str) -> Answer:
    """Answer ours where one step is proved, by the account or its label, and candidates otherwise."""
    if len(possible) == 1 and grade == "A":
        return Answer(verdict="ours", grade=grade, step=possible[0], why=why)
    labelled = [one for one in possible if line.at and line.label == one.action]
    if labelled:
        why = "the label is of a step with this account"
        return Answer(verdict="ours", grade="C", step=labelled[0], why=why)
    if len(possible) == 1:
        return _among(possible, "the account may have been used by this action, and nothing else says so")
    return _among(possible, f"the account was made for a task, and {len(possible)} of its steps may be meant")


def _among(possible: Sequence[Step], why: str) -> Answer:
    return Answer(verdict="shared", grade="D", candidates=tuple(possible[:CANDIDATES_MAX]), why=why)


def _has_other_session(step: Step, line: LogLine) -> bool:
    """Whether a recorded session of the step is not that of the line."""
    return bool(line.keys) and line.keys[0][0] in step.session


def _may_be_at(step: Step, line: LogLine, steps: StepLookup, whose: Whose) -> bool:
    """Whether the step was at a target whose log has this line, as far as that is known."""
    kind, kinds = whose.kind_of(line), steps.kinds_of(step)
    return whose.has(step.target) and not (kind and kinds and kind not in kinds)


def _is_known(step: Step, line: LogLine, steps: StepLookup, whose: Whose) -> bool:
    """Whether the account alone proves the step: at a known time and target, and no session of it is recorded that the
    line does not name."""
    is_there = bool(whose.targets) or whose.kind_of(line) in steps.kinds_of(step)
    return bool(line.at) and is_there and not step.kinds


def _is_alive(at: int, used: Sequence[Step]) -> bool:
    first = min(one.started for one in used) - SKEW_MS
    return first <= at <= max(one.life_until or one.until for one in used) + SKEW_MS


def _claimed(label: str, steps: StepLookup) -> str:
    """Return the step or lease that a label names; empty for a label that is not of ours."""
    if len(label) not in _LABEL_CHARS:
        return ""
    if len(label) == _ACTION_CHARS:
        return label if steps.by_action(label) is not None else ""
    lease = lease_of(label)
    if lease is not None:
        return lease
    return label if steps.by_lease(label) else ""


def _is_later(line: LogLine, steps: StepLookup) -> bool:
    return line.at + SKEW_MS > steps.complete_until


def _later(steps: StepLookup) -> Answer:
    return Answer(verdict="later", why="the record ends before this line")
