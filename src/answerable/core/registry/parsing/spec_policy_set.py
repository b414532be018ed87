"""Parse the spec of a PolicySet document: its policies, and its trackers, windows, destination classes and risk
factors."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.registry.documents.capability import ActionKind, Sensitivity
from answerable.core.registry.documents.documents import PolicySetDocument
from answerable.core.registry.documents.fields import matching
from answerable.core.registry.documents.policy_parts import (
    CLASSES_MAX,
    EVENT_KINDS,
    FACTORS_MAX,
    STEPS_MAX,
    TRACKERS_MAX,
    WINDOWS_MAX,
    WITHIN_SECONDS_MAX,
    EventMatch,
    PolicyParts,
    TimeWindow,
    Tracker,
)
from answerable.core.registry.documents.time_rule import WEEKDAYS
from answerable.core.registry.parsing.spec_classes import CLASS_KEYS, classes_in
from answerable.core.registry.parsing.spec_parts import chosen_in, named_in, one_of, parts_listed
from answerable.core.registry.parsing.spec_risk import FACTOR_KEYS, factor_in
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME, TIME_OF_DAY, minutes_of, name_of
from answerable.errors import shown
from answerable.errors.codes.documents import DOCUMENT_DATE, DOCUMENT_PATTERN, DOCUMENT_RANGE, DOCUMENT_SIZE

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

POLICIES_CHARS_MAX: Final = 900_000
NAMED_MAX: Final = 100
"""Most capabilities, servers or environments that one match may name."""

PARTS_KEYS: Final = ("trackers", "windows", "destinations", "risk")
POLICY_SET_KEYS: Final = ("policies", *PARTS_KEYS)
MATCH_KEYS: Final = ("event", "capabilities", "kinds", "servers", "environments", "sensitivities")
TRACKER_KEYS: Final = ("name", "over", "within", "sameResource", "sum", "steps", *MATCH_KEYS)
WINDOW_KEYS: Final = ("name", "begins", "ends", "days", "startsAt", "stopsAt")

_OVER: Final[tuple[Literal["mandate", "agent"], ...]] = ("mandate", "agent")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WITHIN: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_WITHIN_MEANT: Final = re.compile(r"([1-9][0-9]{0,8}) ?(s|m|h|d)(?:ecs?|econds?|ins?|inutes?|rs?|ours?|ays?)")
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,3})?Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TRACKER: Final = "policy_set.tracker"
_WINDOW: Final = "policy_set.window"


def policy_set_in(spec: Fields, name: str) -> PolicySetDocument:
    """Read the spec. Records faults, and never raises."""
    return PolicySetDocument(
        name=name, policies=spec.text("policies", chars_max=POLICIES_CHARS_MAX), parts=parts_in(spec)
    )


def parts_in(spec: Fields) -> PolicyParts:
    """Read the four declaration lists of a mapping. Records faults, and never raises."""
    trackers = parts_listed(spec, "trackers", TRACKER_KEYS, TRACKERS_MAX)
    windows = parts_listed(spec, "windows", WINDOW_KEYS, WINDOWS_MAX)
    classes = parts_listed(spec, "destinations", CLASS_KEYS, CLASSES_MAX)
    factors = parts_listed(spec, "risk", FACTOR_KEYS, FACTORS_MAX)
    return PolicyParts(
        trackers=tuple(_tracker(item, name) for item, name in named_in(trackers, "tracker")),
        windows=tuple(_window(item, name) for item, name in named_in(windows, "window")),
        destinations=classes_in(named_in(classes, "class")),
        risk=tuple(factor_in(item, name) for item, name in named_in(factors, "factor")),
    )


def _tracker(item: Fields, name: str) -> Tracker:
    over = one_of(item, "over", _OVER)
    if over == "agent" and not item.has("within"):
        message = "a tracker over an agent needs a period: add `within`, such as `within: 24h`"
        item.fault(message, code=_TRACKER)
    sequence = item.has("steps")
    if sequence:
        for key in (key for key in ("sum", *MATCH_KEYS) if item.has(key)):
            where = (
                "a sequence has no sum: declare a tracker of its own for it"
                if key == "sum"
                else f"`{key}` must be in each of the `steps`"
            )
            item.fault(where, key, code=_TRACKER)
    return Tracker(
        name=name,
        over=over or "mandate",
        matches=_steps(item) if sequence else (_match(item),),
        sum=""
        if sequence
        else item.text("sum", default="", check=matching(ARGUMENT_NAME, "an argument name")),
        sequence=sequence,
        within_seconds=within_in(item),
        same_resource=item.flag("sameResource", default=False),
    )


def _steps(item: Fields) -> tuple[EventMatch, ...]:
    steps = item.sections("steps", MATCH_KEYS)
    if not 2 <= len(steps) <= STEPS_MAX:
        message = f"a sequence has 2 to {STEPS_MAX} steps, got {len(steps)}; for one event leave out `steps`"
        item.fault(message, "steps", code=DOCUMENT_SIZE.id)
        return ()
    return tuple(_match(step) for step in steps)


def _match(item: Fields) -> EventMatch:
    kinds: tuple[ActionKind, ...] = get_args(ActionKind)
    sensitivities: tuple[Sensitivity, ...] = get_args(Sensitivity)
    return EventMatch(
        event=(one_of(item, "event", EVENT_KINDS) if item.has("event") else None) or "started",
        capabilities=_names(item, "capabilities", "capability"),
        kinds=chosen_in(item, "kinds", kinds),
        servers=_names(item, "servers", "server"),
        environments=_names(item, "environments", "environment"),
        sensitivities=chosen_in(item, "sensitivities", sensitivities),
    )


def _names(item: Fields, key: str, what: str) -> tuple[str, ...]:
    names = item.texts(key, check=name_of(what))
    if len(names) > NAMED_MAX:
        item.fault(f"expected at most {NAMED_MAX} names, got {len(names)}", key, code=DOCUMENT_SIZE.id)
        return ()
    return names


def within_in(item: Fields) -> int:
    """Read `within` in seconds; 0 if it is absent or faulty."""
    text = item.text("within", default="")
    if not text:
        return 0
    found = _WITHIN.fullmatch(text)
    if found is None:
        meant = _WITHIN_MEANT.fullmatch(text)
        hint = f"; did you mean `{meant[1]}{meant[2]}`?" if meant is not None else ""
        message = f"{shown(text)} is not a duration such as `90s`, `15m`, `24h` or `7d`{hint}"
        item.fault(message, "within", code=DOCUMENT_PATTERN.id)
        return 0
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > WITHIN_SECONDS_MAX:
        most = f"`{WITHIN_SECONDS_MAX // _SECONDS['d']}d`"
        item.fault(f"expected at most {most}, got {shown(text)}", "within", code=DOCUMENT_RANGE.id)
        return 0
    return seconds


def _window(item: Fields, name: str) -> TimeWindow:
    begins, ends = _instant(item, "begins"), _instant(item, "ends")
    if begins and ends and ends <= begins:
        item.fault("`ends` is not after `begins`: the window would never be open", "ends", code=_WINDOW)
    days = chosen_in(item, "days", WEEKDAYS)
    if item.count("days") == 0:
        item.fault("name at least one day, or leave `days` out for all", "days", code=DOCUMENT_SIZE.id)
    hour = matching(TIME_OF_DAY, "a time of day in UTC like `18:00`; midnight is `00:00`")
    starts, stops = (item.text(key, default="", check=hour) for key in ("startsAt", "stopsAt"))
    if item.has("startsAt") != item.has("stopsAt"):
        said, lacks = ("startsAt", "stopsAt") if item.has("startsAt") else ("stopsAt", "startsAt")
        item.fault(f"`{said}` needs `{lacks}`: give both; midnight is `00:00`", said, code=_WINDOW)
    elif starts and starts == stops:
        message = "`startsAt` and `stopsAt` are the same: leave both out for whole days"
        item.fault(message, "stopsAt", code=_WINDOW)
    if not any(item.has(key) for key in WINDOW_KEYS[1:]):
        listed = ", ".join(f"`{key}`" for key in WINDOW_KEYS[1:])
        item.fault(f"the window would always be open: limit it by {listed}", code=_WINDOW)
    return TimeWindow(
        name=name,
        begins=begins,
        ends=ends,
        days=tuple(day for day in WEEKDAYS if day in days),
        starts_at=minutes_of(starts) if starts else 0,
        stops_at=minutes_of(stops) if stops else 0,
    )


def _instant(item: Fields, key: str) -> int:
    """Read an instant after 1970 as Unix milliseconds; 0 if absent."""
    text = item.text(key, default="", check=_millis)
    return _millis(text) if text else 0


def _millis(text: str) -> int:
    try:
        if not _INSTANT.fullmatch(text):
            raise ValueError
        since = datetime.fromisoformat(text) - _EPOCH
        if since <= timedelta(0):
            raise ValueError
    except ValueError:
        raise DOCUMENT_DATE(f"{shown(text)} is not a moment in UTC like `2027-01-31T18:00:00Z`") from None
    return since // timedelta(milliseconds=1)
