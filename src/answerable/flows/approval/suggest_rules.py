"""Suggest standing rules from history: actions that people approved repeatedly, unchanged, and after reading them.

A suggestion changes nothing by itself. It is a policy set document that takes the path of every change: proposed by one
person's signature, published by another.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio.lowlevel

from answerable.core.approval.action_object import object_in
from answerable.core.approval.standing_rule import exception_from, with_exception
from answerable.core.canonical import FrozenJSON, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.describe_oversight import FAST_MS
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.oversight import WORKFLOW
from answerable.errors import AnswerableError, Malformed, shown
from answerable.errors.codes.approval import STANDING_RULE_DAYS, STANDING_RULE_UNBOUNDED
from answerable.flows.approval.report_oversight import read_oversight

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.oversight import Held, Oversight, Question
    from answerable.flows.state.figures_desk import StatisticsState
    from answerable.flows.state.parts import Recorder
    from answerable.ports.registry_store import RegistryStore

DAY_MS: Final = 86_400_000
APPROVED_MIN: Final = 40
DAYS_MAX: Final = 90
SUGGESTED_MAX: Final = 50
READ_SECONDS_MAX: Final = 2.0
OBJECTS_AT_ONCE: Final = 32
"""Objects opened before other tasks run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """What questions have in common so that one rule could answer them."""

    agent: str
    capability: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedRule:
    """A suggested rule, or why none is suggested. approved: how many of the questions were approved. entries: ledger
    indexes of the questions. people: how many people said yes. waited_ms: total waiting time of the approved questions.
    until: Unix milliseconds. document: the resulting PolicySet; None where nothing is suggested, and why_not says why.
    """

    of: Alike
    approved: int
    people: int
    waited_ms: int
    entries: tuple[int, ...]
    until: UnixMillis
    condition: str = ""
    document: JSONValue = None
    notes: tuple[str, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """The result of a search for rules. asked: number of questions in the period by capability, most first, without
    ended tests. entries: how many of the log were read, of size."""

    rules: tuple[SuggestedRule, ...]
    asked: tuple[tuple[str, int], ...]
    entries: int
    size: int


async def suggest_rules(
    recorder: Recorder,
    registry: RegistryStore,
    figures: StatisticsState,
    *,
    since: int = 0,
    approved_min: int = APPROVED_MIN,
    days: int = DAYS_MAX,
    seconds_max: float = READ_SECONDS_MAX,
) -> Suggestions:
    """Return the suggested rules, and the candidates with too little evidence together with the reason.

    since: Unix milliseconds. approved_min: questions. days: until the rule ends. seconds_max: time limit of reading.

    Raises Malformed (`standing_rule.days`), Unavailable, Broken (`ledger.*`).
    """
    if not 1 <= days <= DAYS_MAX or approved_min < 2:
        raise STANDING_RULE_DAYS(
            f"a standing rule must end after 1 to {DAYS_MAX} days and be based on 2 or more "
            f"approved requests, got {days} days and {approved_min}"
        )
    read = await read_oversight(recorder.ledger, figures, recorder.clock, seconds_max=seconds_max)
    until = UnixMillis(recorder.clock.now() + days * DAY_MS)
    missed = _who_missed(read, since)
    alike: dict[Alike, list[Question]] = {}
    asked: Counter[str] = Counter()
    for _, one in read.questions(since):
        asked[one.capability] += not one.test
        if one.test or len(one.rules) != 1 or (one.state == "pending" and recorder.clock.now() < one.expires):
            continue
        of = Alike(agent=one.agent, capability=one.capability, rule=one.rules[0])
        alike.setdefault(of, []).append(one)
    found = [
        await _suggested(recorder, registry, of, questions, missed, read.holds, until)
        for of, questions in alike.items()
        if len(questions) >= approved_min
    ]
    found.sort(key=lambda one: (bool(one.why_not), -one.approved))
    return Suggestions(
        rules=tuple(found[:SUGGESTED_MAX]),
        asked=tuple(asked.most_common(SUGGESTED_MAX)),
        entries=read.entries,
        size=recorder.ledger.size,
    )


def _who_missed(read: Oversight, since: int) -> frozenset[str]:
    """Return the people who let an attention check through: their yes is no evidence."""
    return frozenset(
        said.person for _, one in read.questions(since) if one.test == "let_through" for said in one.said
    )


async def _suggested(
    recorder: Recorder,
    registry: RegistryStore,
    of: Alike,
    questions: list[Question],
    missed: frozenset[str],
    stops: Sequence[Held],
    until: UnixMillis,
) -> SuggestedRule:
    people = frozenset(said.person for one in questions for said in one.said)
    told = SuggestedRule(
        of=of,
        approved=sum(one.state == "approved" for one in questions),
        people=len(people),
        waited_ms=sum(one.wait_ms for one in questions if one.state == "approved"),
        entries=tuple(one.entry for one in questions),
        until=until,
    )
    try:
        _check_evidence(questions, people & missed)
        first = min(one.at for one in questions)
        if any(held.at >= first and held.name in (of.agent, of.capability) for held in stops):
            raise _no("it was stopped in this period")
        capability = registry.current.capabilities.get(of.capability)
        if capability is None:
            raise _no("the capability is not active any more")
        exception = exception_from(await _objects(recorder, questions), capability, until=until)
        why = (
            f"until {datetime.fromtimestamp(until / 1000, UTC).date()}: {len(questions)} questions, all approved by "
            f"{len(people)} people"
        )
        document = _document_with(registry, of.rule, exception.condition, why)
    except AnswerableError as fault:
        return replace(told, why_not=fault.message.removeprefix("no narrower rule can be suggested: "))
    return replace(told, condition=exception.condition, document=document, notes=exception.notes)


def _check_evidence(questions: Iterable[Question], missed: frozenset[str]) -> None:
    """Check that people approved all of them after reading, and that none had a bad result. Raises Malformed."""
    for one in questions:
        if one.state != "approved":
            raise _no("not all were approved")
        if one.failed:
            raise _no("an approved action failed")
        if one.glass:
            raise _no("break-glass was used for one")
        if any(said.person.startswith(WORKFLOW) for said in one.said):
            raise _no("some were approved by a workflow, which needs no rule to continue")
        if any(said.unsigned for said in one.said):
            raise _no(
                "some were approved by a click in a chat, which is unsigned and does not "
                "show how long they were viewed"
            )
    fast = sum(any(said.at - one.at < FAST_MS for said in one.said) for one in questions)
    if fast:
        raise _no(
            f"{fast} were approved in less than {FAST_MS // 1000} s, which is no evidence that anybody looked"
        )
    if missed:
        raise _no(f"{len(missed)} of those who approved let a test through")


async def _objects(recorder: Recorder, questions: Sequence[Question]) -> list[dict[str, JSONValue]]:
    """Return the objects that people were shown, letting other tasks run in between. Raises as `_object`."""
    found = []
    for number, one in enumerate(questions, 1):
        found.append(_object(recorder, one))
        if number % OBJECTS_AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
    return found


def _object(recorder: Recorder, question: Question) -> dict[str, JSONValue]:
    """Return the object that people were shown. Raises Malformed where it can no longer be opened, or only its digest
    was recorded."""
    fields = disclosures_of(recorder.ledger.entry(question.entry), recorder.subject_keys.find) or ()
    shown_to_people = next((bytes(one.value) for one in fields if one.name == "object"), None)
    if shown_to_people is None:
        raise _no("what people were shown is no longer on record in clear text")
    return object_in(FrozenJSON.from_canonical(shown_to_people))


def _document_with(registry: RegistryStore, rule: str, condition: str, why: str) -> JSONValue:
    """Return the first policy set that has the rule, with the exception added. Raises Malformed (`standing_rule.*`)."""
    faults: list[Malformed] = []
    for key, text in registry.documents().items():
        if not key.startswith("PolicySet/"):
            continue
        document = parse(text)
        spec = document.get("spec") if isinstance(document, dict) else None
        policies = spec.get("policies") if isinstance(spec, dict) else None
        if not isinstance(document, dict) or not isinstance(spec, dict) or not isinstance(policies, str):
            continue
        try:
            changed = with_exception(policies, rule, condition, why=why)
        except Malformed as fault:
            faults.append(fault)
            continue
        return {**document, "spec": {**spec, "policies": changed}}
    raise faults[-1] if faults else _no(f"no policy set has the rule {shown(rule)}")


def _no(why: str) -> Malformed:
    return STANDING_RULE_UNBOUNDED(f"no narrower rule can be suggested: {why}")
