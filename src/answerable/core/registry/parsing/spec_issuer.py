"""Parse the specs of mandate givers other than people with keys: applications, schedules, people of an OpenID
issuer."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.registry.documents.documents import Application, Schedule
from answerable.core.registry.documents.fields import matching, nearest, type_name
from answerable.core.registry.documents.placeholders import placeholders_in
from answerable.core.registry.documents.time_rule import MINUTES_OF_A_DAY, WEEKDAYS, TimeRule
from answerable.core.registry.parsing.spec_shared import (
    TIME_OF_DAY,
    checked_date,
    keys_in,
    minutes_of,
    name_of,
    ownership_in,
)
from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import DOCUMENT_CHOICE, DOCUMENT_MISSING, DOCUMENT_SIZE, DOCUMENT_TYPE
from answerable.errors.codes.registry import SCHEDULE_RULE, TEMPLATE_PLACEHOLDER

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

OIDC_KEYS: Final = ("issuer", "subject")
APPLICATION_KEYS: Final = ("useCases", "keys", "status", "ownership")
SCHEDULE_KEYS: Final = ("template", "values", "rule", "keys", "status", "ownership")
RULE_KEYS: Final = ("at", "everyMinutes", "withinMinutes", "days", "from", "until")
NAME_CHARS_MAX: Final = 40
"""Maximum length of a schedule's name, which is part of the ids of its mandates."""
TIMES_MAX: Final = 96
"""Most due times in one day."""
VALUE_CHARS_MAX: Final = 200
DATE_PLACEHOLDER: Final = "date"

_ISSUER: Final = re.compile(r"https?://[!-~]{1,500}")
_SUBJECT: Final = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")
_STATUSES: Final[tuple[Literal["active", "disabled"], ...]] = ("active", "disabled")


def oidc_in(spec: Fields) -> tuple[str, str] | None:
    """Read issuer and subject by which an OpenID provider identifies a person (OpenID Connect Core, section 2)."""
    if not spec.has("oidc"):
        return None
    section = spec.section("oidc", OIDC_KEYS)
    issuer = section.text("issuer", check=matching(_ISSUER, "the address of an issuer"))
    subject = section.text("subject", check=matching(_SUBJECT, "a subject: 1 to 255 characters of ASCII"))
    return issuer, subject


def application_in(spec: Fields, name: str) -> Application:
    """Read the spec of an application. Records every fault."""
    use_cases = spec.texts("useCases", check=name_of("use case"))
    if not use_cases:
        spec.fault(
            "an application needs the use cases that it may sign for", "useCases", code=DOCUMENT_MISSING.id
        )
    return Application(
        name=name,
        use_cases=use_cases,
        keys=keys_in(spec),
        status=spec.choice("status", _STATUSES, default="active"),
        ownership=ownership_in(spec),
    )


def schedule_in(spec: Fields, name: str) -> Schedule:
    """Read the spec of a schedule. Records every fault."""
    if len(name) > NAME_CHARS_MAX:
        message = f"a schedule's name has at most {NAME_CHARS_MAX} characters, got {len(name)}"
        spec.fault(message, code=DOCUMENT_SIZE.id)
    return Schedule(
        name=name,
        template=spec.text("template", check=name_of("mandate template")),
        rule=_rule(spec.section("rule", RULE_KEYS)),
        values=_values(spec),
        keys=keys_in(spec),
        status=spec.choice("status", _STATUSES, default="active"),
        ownership=ownership_in(spec),
    )


def _values(spec: Fields) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for name, value in spec.pairs("values"):
        if not isinstance(value, str) or not 0 < len(value) <= VALUE_CHARS_MAX:
            got = f"{len(value)} characters" if isinstance(value, str) else f"{type_name(value)}; quote it"
            message = f"expected text of 1 to {VALUE_CHARS_MAX} characters, got {got}"
            spec.fault(message, "values", name, code=DOCUMENT_TYPE.id)
            continue
        try:
            odd = [one for one in placeholders_in(value) if one != DATE_PLACEHOLDER]
        except Malformed as error:
            spec.fault(error.message, "values", name, code=error.code)
            continue
        if odd:
            message = f"placeholder {shown(odd[0])} is not known here; `{{date}}` is the day it is due"
            spec.fault(message, "values", name, code=TEMPLATE_PLACEHOLDER.id)
        found.append((name, value))
    return tuple(found)


def _rule(section: Fields) -> TimeRule:
    at = _times(section)
    every = section.integer("everyMinutes", minimum=1, maximum=7 * MINUTES_OF_A_DAY, default=0)
    if section.has("at") == section.has("everyMinutes"):
        section.fault("a rule must have either times in `at` or `everyMinutes`", code=SCHEDULE_RULE.id)
    first = _day(section, "from", default="1970-01-01")
    last = _day(section, "until", default=None)
    if section.has("until") and last < first:
        section.fault("`until` is before `from`", "until", code=SCHEDULE_RULE.id)
    days = section.texts("days", check=_checked_weekday)
    return TimeRule(
        first=first,
        last=last,
        at=at,
        every=every,
        within=section.integer("withinMinutes", minimum=1, maximum=MINUTES_OF_A_DAY, default=15),
        days=tuple(day for day in WEEKDAYS if day in days),
    )


def _times(section: Fields) -> tuple[int, ...]:
    texts = section.texts("at", check=matching(TIME_OF_DAY, "a time of day in UTC like `02:30`"))
    if section.has("at") and not 1 <= len(texts) <= TIMES_MAX:
        section.fault(f"expected 1 to {TIMES_MAX} times", "at", code=DOCUMENT_SIZE.id)
    return tuple(sorted(minutes_of(text) for text in texts))


def _day(section: Fields, name: str, *, default: str | None) -> date:
    """Read a date. The last day has no default: a rule without an end would never be reviewed."""
    text = section.text(name, default=default, check=checked_date)
    return date.fromisoformat(text) if text else date(1970, 1, 1)


def _checked_weekday(text: str) -> None:
    if text not in WEEKDAYS:
        raise DOCUMENT_CHOICE(f"{shown(text)} is not a day of the week{nearest(text, WEEKDAYS)}")
