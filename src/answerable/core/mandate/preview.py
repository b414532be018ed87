"""What a mandate will and will not let an agent do, in sentences for the person who is about to sign it.

Laws: every grant and every caveat is said; what is not said is not allowed, and the last sentences say so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.budget import unit_of
from answerable.core.mandate.caveat import ArgumentAtMost, ArgumentEquals, EnvironmentIs, ResourceIn
from answerable.core.registry.budget_name import BYTES, MONEY, ROWS, TOKENS
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.identity.principal import UnixMillis
    from answerable.core.mandate.caveat import Caveat
    from answerable.core.mandate.mandate import Grant, MandateTerms

# Decimal places of minor units (ISO 4217), of the currencies that are shown in whole units too.
_PLACES: Final = {"CHF": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3, "USD": 2}


def preview(terms: MandateTerms, *, titles: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Plain sentences. titles: what capabilities are called for people, by name; others are called by their name."""
    titles = titles or {}
    start, end = _instant(terms.not_before), _instant(terms.expires_at)
    actions = "1 action" if terms.calls_max == 1 else f"{terms.calls_max} actions"
    lines = [f"Agent {shown(terms.agent)} gets this task from {terms.principal}: {terms.purpose}."]
    lines += [f"It can {_allowed(grant, titles)}." for grant in terms.grants]
    lines += [f"All of it only {_restriction(caveat)}." for caveat in terms.caveats]
    lines.append(
        f"It can start {actions} in all, from {start} until {end}; then, or once you close it, nothing."
    )
    lines += budget_sentences(terms)
    lines.append("It cannot use any other capability, and policy can still refuse or ask for an approval.")
    if not any(isinstance(caveat, EnvironmentIs) for caveat in terms.caveats):
        lines.append("It is not limited to one environment.")
    return tuple(lines)


def budget_sentences(terms: MandateTerms) -> list[str]:
    """What it may spend in all, one sentence for each budget."""
    return [
        f"It can {_spent(name, limit)} in all; then it starts nothing more." for name, limit in terms.budgets
    ]


def _spent(name: str, limit: int) -> str:
    if name.startswith(MONEY):
        currency = name.removeprefix(MONEY)
        places = _PLACES.get(currency)
        # A currency whose minor unit is not known here is not guessed: whoever signs would be shown another sum.
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


def _allowed(grant: Grant, titles: Mapping[str, str]) -> str:
    title = titles.get(grant.capability, "")
    name = f"{title} ({shown(grant.capability)})" if title else f"use {shown(grant.capability)}"
    if not grant.caveats:
        return f"{name}, on anything and with any arguments"
    what = f"{name}, only {' and only '.join(_restriction(caveat) for caveat in grant.caveats)}"
    anything = not any(isinstance(caveat, ResourceIn) for caveat in grant.caveats)
    return f"{what}, on anything" if anything else what


def _restriction(caveat: Caveat) -> str:
    """What is left after `only`. Every value is shown in full: a person signs what they see."""
    match caveat:
        case ResourceIn(ids=ids):
            return f"on {', '.join(shown(resource, 500) for resource in ids)}"
        case ArgumentEquals(name=name, value=value):
            said = str(value).lower() if isinstance(value, bool) else value
            return f"with {shown(name)} exactly {shown(said, 500)}"
        case ArgumentAtMost(name=name, maximum=maximum):
            return f"with {shown(name)} at most {maximum}"
    return f"in environment {shown(caveat.environment)}"


def _instant(at: UnixMillis) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
