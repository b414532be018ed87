"""Limit how fast a person says yes: a number per hour, a minimum reading time, and a number of break-glass uses per
day.

A no is never limited: a person past the limit can still say no, and another person answers the rest. Each yes is
claimed before its answer is recorded, in one atomic step of the register that all processes share. Concurrent answers
at several processes therefore pass no more often than sequential ones.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from answerable.core.approval.assurance_level import tier_shown
from answerable.core.approval.batch_answer import root_in
from answerable.core.approval.emergency_access import GLASS, may_break
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import AnswerableError, Unavailable
from answerable.errors.codes.approval import APPROVAL_TOO_FAST, APPROVAL_TOO_SOON, BREAK_GLASS_TOO_MANY
from answerable.flows.escalation.asking_budget import HOUR_MILLIS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.approval.view_challenges import Haste
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.challenge_register import OpeningRegister

DAY_MILLIS: Final = 86_400_000
LOST_RACE: Final = "approval.changed_meanwhile"
"""Code of an answer that was recorded and did not count."""


@contextmanager
def counted(
    openings: OpeningRegister, limits: WalkLimits, approval: Approval, answer: Answer, now: UnixMillis
) -> Iterator[None]:
    """Count an answer while it is processed. Release the claim if the answer fails or was to an attention check. An
    answer that belongs to a signed list is counted with the list; workflows have a pace of their own.

    Raises Refused (`approval.too_fast`, `break_glass.too_many`), Unavailable.
    """
    if answer.workflow or answer.verdict == "deny" or root_in(answer.token):
        yield
        return
    if answer.verdict == GLASS:
        _claim_glass(openings, limits, approval, answer.by, now)
    else:
        claim_yes(openings, limits, answer.by, approval.id, now)
    try:
        yield
    except Unavailable:
        # The answer may be in the ledger, so it stays counted.
        raise
    except AnswerableError as fault:
        if fault.code != LOST_RACE:
            _let_go(openings, answer.by, answer.verdict, approval.id)
        raise
    if approval.canary is not None:
        # The person has just learned that it was an attention check.
        _let_go(openings, answer.by, answer.verdict, approval.id)


def claim_yes(
    openings: OpeningRegister, limits: WalkLimits, person: PrincipalId, what: str, now: UnixMillis
) -> None:
    """Count one more yes of this person in this hour. what: the approval id, or the root of a list.

    Raises Refused (`approval.too_fast`), Unavailable.
    """
    since, most = UnixMillis(now - HOUR_MILLIS), limits.answers_per_hour_max
    said = openings.claim(person, "approve", what, at=now, since=since, most=most)
    if said is not None:
        raise APPROVAL_TOO_FAST(
            f"you approved {said} actions within an hour, which is the limit: let another person "
            "answer, or deny it"
        )


def let_go_yes(openings: OpeningRegister, person: PrincipalId, what: str) -> None:
    """Release a claimed yes that had no effect."""
    _let_go(openings, person, "approve", what)


def _let_go(openings: OpeningRegister, person: PrincipalId, kind: Haste, what: str) -> None:
    # A claim that cannot be released counts until its hour or day is over. That must not hide the result of the answer.
    with suppress(Unavailable):
        openings.let_go(person, kind, what)


def check_look(
    limits: WalkLimits, approval: Approval, *, verdict: Verdict, opened_at: UnixMillis, now: UnixMillis
) -> None:
    """Check that a person had the approval open long enough for its tier before saying yes. opened_at: when they opened
    it.

    Raises Refused (`approval.too_soon`).
    """
    needed = limits.look_seconds_min[tier_shown(approval)]
    looked = now - opened_at
    if verdict == "approve" and looked < needed * 1000:
        raise APPROVAL_TOO_SOON(
            f"you had the approval open for {looked // 1000} s, and this tier requires {needed} s "
            "before an approval: read it first"
        )


def _claim_glass(
    openings: OpeningRegister, limits: WalkLimits, approval: Approval, person: PrincipalId, now: UnixMillis
) -> None:
    most = limits.glasses_per_day_max
    since = UnixMillis(now - DAY_MILLIS)
    broken = openings.claim(person, GLASS, approval.id, at=now, since=since, most=most)
    if broken is not None:
        others = " and ".join(one.replace("|", " or ") for one in may_break(approval))
        asked = " and ".join(f"{one.count} of {' or '.join(one.groups)}" for one in approval.requirements)
        raise BREAK_GLASS_TOO_MANY(
            f"you used break-glass for {broken} actions within a day, which is the limit "
            f"(`walk.glasses_per_day_max`): another person of {others} can use it for this one, "
            f"or {asked} approve it"
        )
