"""A mandate: a principal's signed statement that an agent has a task, and the limits of that task.

Laws: an action is covered only when one grant names its capability and every caveat of that grant and of the mandate
holds; outside its validity window, when closed, or past its budget a mandate covers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NewType

from answerable.core.mandate.budget import Account, checked_limits
from answerable.core.mandate.caveat import ABOUT_CAPABILITY
from answerable.core.mandate.delegability import NOT_DELEGABLE
from answerable.core.registry.documents.budget_name import CALLS
from answerable.errors.codes.mandate import (
    BUDGET_NAME,
    MANDATE_BUDGET_SPENT_DECISION,
    MANDATE_CAPABILITY_OUTSIDE,
    MANDATE_CAVEAT,
    MANDATE_CLOSED_DECISION,
    MANDATE_EXPIRED_DECISION,
    MANDATE_MALFORMED,
    MANDATE_NOT_YET,
)

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
    from answerable.core.mandate.caveat import Attempt, Caveat
    from answerable.core.mandate.delegability import Delegability

MandateId = NewType("MandateId", str)
MandateState = Literal["open", "closed"]

GRANTS_MAX: Final = 64
PURPOSE_CHARS_MAX: Final = 500
LIFETIME_SECONDS_MAX: Final = 90 * 24 * 3600
END_OF_TIME: Final = 253_402_300_800_000
"""The year 10000 in Unix milliseconds: Python's `datetime` ends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One allowed capability, with the caveats that restrict it."""

    capability: str
    caveats: tuple[Caveat, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateTerms:
    """The content of a mandate, signed or not. Terms alone permit nothing: only a `Mandate` does.

    not_before, expires_at: Unix milliseconds, half-open. calls_max: most actions that may be started in all. budgets:
    other limits, sorted by name. principal: a person, or `schedule:NAME`. application: the registered application whose
    key signs for a person who presented `id_token` to it; both empty where the principal's own key signs.
    """

    id: MandateId
    principal: PrincipalId
    agent: AgentId
    use_case: str
    purpose: str
    grants: tuple[Grant, ...]
    caveats: tuple[Caveat, ...]
    calls_max: int
    not_before: UnixMillis
    expires_at: UnixMillis
    budgets: tuple[tuple[str, int], ...] = ()
    delegability: Delegability = NOT_DELEGABLE
    application: str = ""
    id_token: str = ""

    def __post_init__(self) -> None:
        if self.budgets and self.budgets != checked_limits(self.budgets):
            raise BUDGET_NAME("budgets are sorted by name")
        if not self.grants or len(self.grants) > GRANTS_MAX:
            raise MANDATE_MALFORMED(f"a mandate has 1 to {GRANTS_MAX} grants")
        if not 0 < len(self.purpose) <= PURPOSE_CHARS_MAX or not self.purpose.isprintable():
            raise MANDATE_MALFORMED(
                f"a mandate's purpose has 1 to {PURPOSE_CHARS_MAX} printable characters on one line"
            )
        if self.calls_max < 1:
            raise MANDATE_MALFORMED("a mandate allows at least 1 call")
        if self.not_before < 0 or self.expires_at > END_OF_TIME:
            raise MANDATE_MALFORMED("a mandate must be valid between the years 1970 and 9999")
        if not 0 < self.expires_at - self.not_before <= LIFETIME_SECONDS_MAX * 1000:
            raise MANDATE_MALFORMED(f"a mandate lasts more than 0 and at most {LIFETIME_SECONDS_MAX} seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate(MandateTerms):
    """Terms with their verified signature. token: the JWS as received; the signature was checked over those bytes,
    which are never re-encoded."""

    token: str


def account_of(mandate: Mandate) -> Account:
    """Return the account in which actions under the mandate itself are counted, with its limits."""
    return Account(id=mandate.id, limits={CALLS: mandate.calls_max, **dict(mandate.budgets)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Why a mandate does not cover an attempt. `code` is stable, `text` is human-readable."""

    code: str
    text: str


def shortfall(
    mandate: Mandate, *, attempt: Attempt, state: MandateState, calls_used: int, now: UnixMillis
) -> Shortfall | None:
    """Return the first reason why the mandate does not cover the attempt at `now`, or None if it does."""
    short = ended(mandate, state=state, calls_used=calls_used, now=now)
    if short is not None:
        return short
    for caveat in mandate.caveats:
        if (why := caveat.failure(attempt)) is not None:
            return Shortfall(code=MANDATE_CAVEAT.id, text=f"the mandate {why}")
    return _grants_shortfall(mandate, attempt)


def covers_any(mandate: Mandate, attempt: Attempt) -> bool:
    """Whether the mandate covers every attempt with this one's capability while it has not ended, whatever resource,
    arguments and destinations the attempt has."""
    covering = [grant for grant in mandate.grants if grant.capability == attempt.capability]
    return _are_met(mandate.caveats, attempt) and any(_are_met(grant.caveats, attempt) for grant in covering)


def _are_met(caveats: tuple[Caveat, ...], attempt: Attempt) -> bool:
    return all(isinstance(caveat, ABOUT_CAPABILITY) and caveat.failure(attempt) is None for caveat in caveats)


def ended(mandate: Mandate, *, state: MandateState, calls_used: int, now: UnixMillis) -> Shortfall | None:
    """Return why the mandate covers nothing at all at `now`, or None if it may cover something."""
    if state != "open":
        return Shortfall(code=MANDATE_CLOSED_DECISION.id, text="the mandate for this task has been closed")
    if now < mandate.not_before:
        return Shortfall(code=MANDATE_NOT_YET.id, text="the mandate for this task has not started yet")
    if now >= mandate.expires_at:
        return Shortfall(code=MANDATE_EXPIRED_DECISION.id, text="the mandate for this task has expired")
    if calls_used >= mandate.calls_max:
        return Shortfall(
            code=MANDATE_BUDGET_SPENT_DECISION.id,
            text=f"the mandate's budget of {mandate.calls_max} calls is spent",
        )
    return None


def _grants_shortfall(mandate: Mandate, attempt: Attempt) -> Shortfall | None:
    named = [grant for grant in mandate.grants if grant.capability == attempt.capability]
    if not named:
        return Shortfall(
            code=MANDATE_CAPABILITY_OUTSIDE.id,
            text=f"the mandate for this task does not include `{attempt.capability}`",
        )
    why = ""
    for grant in named:
        failures = [failure for caveat in grant.caveats if (failure := caveat.failure(attempt)) is not None]
        if not failures:
            return None
        why = why or failures[0]
    return Shortfall(code=MANDATE_CAVEAT.id, text=f"the mandate {why}")
