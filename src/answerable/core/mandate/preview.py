"""Describe what a mandate allows and forbids, in sentences for the person who is about to sign it.

Laws: every grant, every caveat, every bound and the delegation rule is stated; what is not stated is not allowed, and
the last sentences say so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import schedule_of
from answerable.core.mandate.budget import unit_of
from answerable.core.mandate.caveat import (
    ArgumentAtMost,
    ArgumentEquals,
    DestinationIn,
    EnvironmentIs,
    KindIn,
    ResourceIn,
    SensitivityAtMost,
)
from answerable.core.mandate.left_out import LeftOut
from answerable.core.mandate.mandate import END_OF_TIME
from answerable.core.mandate.session_claims import session_sentences
from answerable.core.registry.documents.budget_name import BYTES, MONEY, ROWS, TOKENS
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.caveat import Caveat
    from answerable.core.mandate.delegability import Delegability
    from answerable.core.mandate.mandate import Grant, MandateTerms

# Decimal places of minor units (ISO 4217), for currencies that are also presented in whole units.
_PLACES: Final = {"CHF": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3, "USD": 2}

LISTED_MAX: Final = 12
"""Most excluded things listed by name; beyond that, only their number is given."""

_NOTHING: Final = LeftOut()
_NUMBERS: Final = {2: "two", 3: "three", 4: "four", 5: "five"}
_WORDS: Final = {"agent": "", "use_case": "agents of use case ", "group": "agents whose owner is in "}


def preview(
    terms: MandateTerms,
    *,
    titles: Mapping[str, str] | None = None,
    beside: LeftOut = _NOTHING,
    session: tuple[Authority, ...] = (),
) -> tuple[str, ...]:
    """Write the preview as plain sentences. titles: human-readable titles by capability name; a capability without a
    title is called by its name.

    beside: what is registered and not part of the task, listed as what the agent cannot do. session: what the login
    that gave the task allows.
    """
    titles = titles or {}
    start, end = _instant(terms.not_before), _instant(terms.expires_at)
    actions = "1 action" if terms.calls_max == 1 else f"{terms.calls_max} actions"
    lines = [f"Agent {shown(terms.agent)} gets this task from {_giver(terms)}: {terms.purpose}."]
    lines += [f"It can {_allowed(grant, titles)}." for grant in terms.grants]
    lines += [f"All of it only {_restriction(caveat)}." for caveat in terms.caveats]
    lines.append(
        f"It can start {actions} in all, from {start} until {end}; then, or once you close it, nothing."
    )
    lines += budget_sentences(terms)
    lines += session_sentences(session)
    lines.append(_handing_on(terms.delegability))
    if beside.capabilities:
        lines.append(f"It cannot {_some([_called(name, titles) for name in beside.capabilities], 'or')}.")
    if beside.environments:
        lines.append(f"It cannot act in {_some([shown(name) for name in beside.environments], 'or')}.")
    lines += [
        f"It cannot {_called(name, titles)} although the task names it: {terms.principal} may not give that, and so "
        "cannot give this task."
        for name in beside.beyond
    ]
    lines.append("It cannot use any other capability, and policy can still refuse or ask for an approval.")
    if not any(isinstance(caveat, EnvironmentIs) for caveat in terms.caveats):
        lines.append("It is not limited to one environment.")
    return tuple(lines)


def budget_sentences(terms: MandateTerms) -> list[str]:
    """Write one sentence for each budget."""
    return [
        f"It can {_spent(name, limit)} in all; then it starts nothing more." for name, limit in terms.budgets
    ]


def _spent(name: str, limit: int) -> str:
    if name.startswith(MONEY):
        currency = name.removeprefix(MONEY)
        places = _PLACES.get(currency)
        # Do not guess the decimal places of an unknown currency: the signer would read a wrong sum.
        whole = f" ({_decimal(limit, places)} {currency})" if places is not None else ""
        return f"spend at most {limit} minor units of {currency}{whole}"
    verb = {ROWS: "read or write", BYTES: "receive", TOKENS: "use"}.get(name, "take")
    what = {BYTES: "bytes of answers", TOKENS: "tokens of language models"}.get(name, unit_of(name))
    return f"{verb} at most {limit} {what}"


def _decimal(minor: int, places: int) -> str:
    if not places:
        return f"{minor:,}"
    whole, rest = divmod(minor, 10**places)
    return f"{whole:,}.{rest:0{places}d}"


def _giver(terms: MandateTerms) -> str:
    schedule = schedule_of(terms.principal)
    if schedule is not None:
        return f"schedule {schedule}"
    through = f", through application {terms.application}" if terms.application else ""
    return f"{terms.principal}{through}"


def _handing_on(delegability: Delegability) -> str:
    if not delegability.to:
        return "It cannot hand this task on."
    depth, width = delegability.depth_max, delegability.width_max
    levels = "one level" if depth == 1 else f"{_NUMBERS.get(depth, str(depth))} levels"
    agents = "1 agent" if width == 1 else f"{width} agents"
    named = [one.partition(":") for one in delegability.to]
    to = ", ".join(f"{_WORDS[kind]}{shown(name)}" for kind, _, name in named)
    return f"It may hand parts of it on, {levels} deep, to at most {agents} each, only to {to}."


def _called(name: str, titles: Mapping[str, str]) -> str:
    title = titles.get(name, "")
    return f"{title} ({shown(name)})" if title else f"use {shown(name)}"


def _some(names: list[str], word: str) -> str:
    """Join the names with `word` before the last one; replace names beyond `LISTED_MAX` by their number."""
    more = len(names) - LISTED_MAX
    if more > 0:
        return f"{', '.join(names[:LISTED_MAX])} {word} {more} more"
    return f" {word} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _allowed(grant: Grant, titles: Mapping[str, str]) -> str:
    name = _called(grant.capability, titles)
    if not grant.caveats:
        return f"{name}, on anything and with any arguments"
    what = f"{name}, only {' and only '.join(_restriction(caveat) for caveat in grant.caveats)}"
    anything = not any(isinstance(caveat, ResourceIn) for caveat in grant.caveats)
    return f"{what}, on anything" if anything else what


def _restriction(caveat: Caveat) -> str:
    """Return the words that follow `only`. Every value is given in full: a person signs what they read."""
    match caveat:
        case ResourceIn(ids=ids):
            return f"on {_all(ids)}"
        case ArgumentEquals(name=name, value=value):
            said = str(value).lower() if isinstance(value, bool) else value
            return f"with {shown(name)} exactly {shown(said, 500)}"
        case ArgumentAtMost(name=name, maximum=maximum):
            return f"with {shown(name)} at most {maximum}"
        case EnvironmentIs(environment=environment):
            return f"in environment {shown(environment)}"
        case DestinationIn(type=kind, allowed=allowed):
            what = {"email": "by mail to", "host": "to host", "name": "to"}[kind]
            return f"{what} {_all(allowed)}"
        case SensitivityAtMost(ceiling=ceiling):
            return f"with data that is {ceiling} at most"
        case KindIn(kinds=kinds):
            return f"to {_some([*kinds], 'or')}"
    return f"on system {_all(caveat.servers)}"


def _all(values: tuple[str, ...]) -> str:
    return ", ".join(shown(value, 500) for value in values)


def _instant(at: UnixMillis) -> str:
    return datetime.fromtimestamp(min(at, END_OF_TIME - 1) / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
