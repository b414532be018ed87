"""Policy tests: parse tables of cases, each with a given action and the expected decision.

    defaults: {agent: desk-agent, capability: crm.refund, arguments: {case: "4711", amount: 100}}
    cases:
      - {name: small refunds go through, expect: allow, by: [refunds]}
      - {name: large ones wait, given: {arguments: {amount: 600000}}, expect: defer, approvers: ["finance:2"]}

`given` overrides `defaults`, member by member. Laws: an unknown member is a fault; a member not given has a default
that the reference documents, and none of these defaults bypasses a policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.decision.decision import Effect
from answerable.core.identity.names.principal import UnixMillis, checked_name, issuer_id
from answerable.core.identity.proof.caller import ProofKind
from answerable.core.identity.workload.evidence import GRADES, Grade, Source
from answerable.core.registry.documents.fields import Fault, Fields
from answerable.errors import shown
from answerable.errors.codes.documents import (
    DOCUMENT_DUPLICATE,
    DOCUMENT_MISSING,
    DOCUMENT_PATTERN,
    DOCUMENT_RANGE,
    DOCUMENT_SIZE,
    DOCUMENT_TIME,
    DOCUMENT_TYPE,
)
from answerable.errors.codes.policy import CASE_CHAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

COUNT_MAX: Final = 2**53 - 1
CHAIN_MAX: Final = 16
APPROVERS_MAX: Final = 9

FILE_KEYS: Final = ("defaults", "cases")
CASE_KEYS: Final = ("name", "given", "expect", "by", "approvers", "obligations", "reason")
GIVEN_KEYS: Final = (
    "agent", "capability", "arguments", "resource", "at", "windows", "task", "chain", "budget", "history", "identity",
    "proof", "approval", "tier",
)  # fmt: skip
TASK_KEYS: Final = (
    "principal", "useCase", "purpose", "mandate", "callsMax", "callsUsed", "startedAt", "expiresAt", "state",
)  # fmt: skip
IDENTITY_KEYS: Final = (
    "source", "grade", "instance", "manifest", "manifestGrade", "kernel", "measured", "drifted",
)  # fmt: skip
BUDGET_KEYS: Final = (
    "callsLeft",
    "leftPercent",
    "bytesLeft",
    "moneyLeft",
    "rowsLeft",
    "tokensLeft",
    "wallMsLeft",
)
"""As in `context.budget`; an optional member that is not given is unlimited."""

_MERGED: Final = ("arguments", "windows", "task", "budget", "history", "identity", "approval")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,3})?Z")
_APPROVERS: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?:[1-9]")

DEFAULT_AT: Final = UnixMillis(1_781_784_000_000)
"""2026-06-18T12:00:00Z, a Thursday: the time of a case that names none. An ordinary day, so that the usual windows (a
freeze at the end of the year, nights, weekends) are closed unless a case says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTask:
    """The mandate. principal: empty for anybody who may give it. use_case: empty for the agent's own."""

    principal: str = ""
    use_case: str = ""
    purpose: str = "a task of a policy test"
    mandate: str = "m-test"
    calls_max: int = 100
    calls_used: int = 0
    started_at: UnixMillis | None = None
    expires_at: UnixMillis | None = None
    state: Literal["open", "closed"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenIdentity:
    """What is known of the running instance."""

    source: Source = "registered_key"
    grade: Grade = "claimed"
    instance: str = ""
    manifest: str = ""
    manifest_grade: Grade | Literal[""] = ""
    kernel: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    drifted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One action and everything it is decided on.

    resource: None to take it from the arguments. at: None for the default, or where `windows` determines the time.
    chain: the delegation chain, the mandate's own agent first and the acting agent last; empty for none. approval:
    people who approved, by group; empty for no approval. history: trackers that are not 0. tier: to which the tool's
    hints raise the capability; None for the registered tier.
    """

    agent: str
    capability: str
    arguments: Mapping[str, JSONValue] = field(default_factory=dict)
    resource: str | None = None
    at: UnixMillis | None = None
    windows: tuple[tuple[str, bool], ...] = ()
    task: GivenTask = GivenTask()
    chain: tuple[str, ...] = ()
    budget: tuple[tuple[str, int], ...] = ()
    history: tuple[tuple[str, int], ...] = ()
    identity: GivenIdentity = GivenIdentity()
    proof: ProofKind = "signature"
    approval: tuple[tuple[str, int], ...] = ()
    tier: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCase:
    """One case of a policy test. document, path: where the case is written. by, approvers, obligations: None where the
    table does not say.

    by: exactly the ids that must determine or be lifted. reason: part of a reason's text.
    """

    document: int
    path: str
    name: str
    given: Given
    expect: Effect
    by: tuple[str, ...] | None = None
    approvers: tuple[str, ...] | None = None
    obligations: tuple[str, ...] | None = None
    reason: str = ""


def cases_in(value: JSONValue, faults: list[Fault], *, document: int = 0) -> tuple[PolicyCase, ...]:
    """Parse one table; faults are appended, never raised."""
    before = len(faults)
    top = Fields(value, known=FILE_KEYS, document=document, path="", faults=faults)
    if isinstance(value, dict) and "cases" not in value:
        top.fault("`cases` is missing", code=DOCUMENT_MISSING.id)
    shared = value.get("defaults", {}) if isinstance(value, dict) else {}
    top.section("defaults", GIVEN_KEYS, needed=False)
    cases: list[PolicyCase] = []
    names: set[str] = set()
    written = top.items("cases")
    for index, item in enumerate(top.sections("cases", CASE_KEYS)):
        name = item.text("name")
        if name and name in names:
            item.fault(f"case {shown(name)} is written twice", "name", code=DOCUMENT_DUPLICATE.id)
        names.add(name)
        own = written[index]
        given = own.get("given", {}) if isinstance(own, dict) else {}
        item.section("given", GIVEN_KEYS, needed=False)
        merged = _over(shared, given)
        # A fault in the defaults is reported once, at the defaults.
        noted: list[Fault] = []
        fields = Fields(merged, known=GIVEN_KEYS, document=document, path=f"{item.path}/given", faults=noted)
        read = _given(fields)
        faults += [_where_written(fault, item.path, given, shared) for fault in noted]
        cases.append(_case(item, document, name, read))
    unique = list(dict.fromkeys(faults[before:]))
    faults[before:] = unique
    return tuple(cases)


def _case(item: Fields, document: int, name: str, given: Given) -> PolicyCase:
    effects: tuple[Effect, ...] = get_args(Effect)
    return PolicyCase(
        document=document,
        path=item.path,
        name=name,
        given=given,
        expect=item.choice("expect", effects),
        by=item.texts("by") if item.has("by") else None,
        approvers=item.texts("approvers", check=_checked_approvers) if item.has("approvers") else None,
        obligations=item.texts("obligations") if item.has("obligations") else None,
        reason=item.text("reason", default=""),
    )


def _over(shared: JSONValue, given: JSONValue) -> dict[str, JSONValue]:
    """Merge one mapping over another; mappings inside member by member. `null` removes a default."""
    below = dict(shared) if isinstance(shared, dict) else {}
    for key, value in (given if isinstance(given, dict) else {}).items():
        under = below.get(key)
        if key in _MERGED and isinstance(value, dict) and isinstance(under, dict):
            below[key] = {name: one for name, one in {**under, **value}.items() if one is not None}
        else:
            below[key] = value
    return {key: value for key, value in below.items() if value is not None}


def _where_written(fault: Fault, case: str, given: JSONValue, shared: JSONValue) -> Fault:
    """Move a fault to the defaults where its value is from there."""
    inner = fault.path.removeprefix(f"{case}/given")
    steps = inner.split("/")[1:]
    if steps and not _has(given, steps) and _has(shared, steps):
        return Fault(
            document=fault.document,
            path=f"/defaults{inner}",
            code=fault.code,
            message=fault.message,
            kind=fault.kind,
        )
    return fault


def _has(value: JSONValue, steps: list[str]) -> bool:
    for step in steps:
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True


def _given(fields: Fields) -> Given:
    agent = fields.text("agent", check=lambda text: checked_name(text, what="agent"))
    return Given(
        agent=agent,
        capability=fields.text("capability", check=lambda text: checked_name(text, what="capability")),
        arguments=dict(fields.pairs("arguments")),
        resource=fields.text("resource") if fields.has("resource") else None,
        at=_time(fields, "at"),
        windows=_flags(fields, "windows"),
        task=_task(fields),
        chain=_chain(fields, agent),
        budget=_budget(fields),
        history=_counts(fields, "history", COUNT_MAX),
        identity=_identity(fields),
        proof=fields.choice("proof", get_args(ProofKind), default="signature"),
        approval=_counts(fields, "approval", APPROVERS_MAX),
        tier=fields.integer("tier", minimum=0, maximum=3) if fields.has("tier") else None,
    )


def _task(fields: Fields) -> GivenTask:
    task = fields.section("task", TASK_KEYS, needed=False)
    usual = GivenTask()
    return GivenTask(
        principal=task.text("principal", default="", check=issuer_id),
        use_case=task.text("useCase", default="", check=lambda text: checked_name(text, what="use case")),
        purpose=task.text("purpose", default=usual.purpose),
        mandate=task.text("mandate", default=usual.mandate),
        calls_max=task.integer("callsMax", minimum=1, maximum=COUNT_MAX, default=usual.calls_max),
        calls_used=task.integer("callsUsed", minimum=0, maximum=COUNT_MAX, default=0),
        started_at=_time(task, "startedAt"),
        expires_at=_time(task, "expiresAt"),
        state=task.choice("state", ("open", "closed"), default="open"),
    )


def _identity(fields: Fields) -> GivenIdentity:
    identity = fields.section("identity", IDENTITY_KEYS, needed=False)
    grades: tuple[Grade | Literal[""], ...] = ("", *GRADES)
    return GivenIdentity(
        source=identity.choice("source", get_args(Source), default="registered_key"),
        grade=identity.choice("grade", GRADES, default="claimed"),
        instance=identity.text("instance", default=""),
        manifest=identity.text("manifest", default=""),
        manifest_grade=identity.choice("manifestGrade", grades, default=""),
        kernel=identity.texts("kernel"),
        measured=identity.texts("measured"),
        drifted=identity.flag("drifted", default=False),
    )


def _chain(fields: Fields, agent: str) -> tuple[str, ...]:
    chain = fields.texts("chain", check=lambda text: checked_name(text, what="agent"), unique=False)
    if len(chain) > CHAIN_MAX:
        fields.fault(f"expected at most {CHAIN_MAX} agents, got {len(chain)}", "chain", code=DOCUMENT_SIZE.id)
    if chain and agent and chain[-1] != agent:
        message = f"the last agent of a chain acts: expected {shown(agent)}, got {shown(chain[-1])}"
        fields.fault(message, "chain", code=CASE_CHAIN.id)
    return chain


def _budget(fields: Fields) -> tuple[tuple[str, int], ...]:
    budget = fields.section("budget", BUDGET_KEYS, needed=False)
    found: list[tuple[str, int]] = []
    for key in BUDGET_KEYS:
        if budget.has(key):
            most = 100 if key == "leftPercent" else COUNT_MAX
            member = re.sub(r"([A-Z])", lambda letter: f"_{letter[1].lower()}", key)
            found.append((member, budget.integer(key, minimum=0, maximum=most)))
    return tuple(found)


def _counts(fields: Fields, name: str, most: int) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for key, value in fields.pairs(name):
        if type(value) is not int or not 0 <= value <= most:
            fields.fault(f"expected 0 to {most}", name, key, code=DOCUMENT_RANGE.id)
        else:
            found.append((key, value))
    return tuple(found)


def _flags(fields: Fields, name: str) -> tuple[tuple[str, bool], ...]:
    found: list[tuple[str, bool]] = []
    for key, value in fields.pairs(name):
        if not isinstance(value, bool):
            fields.fault("expected true or false", name, key, code=DOCUMENT_TYPE.id)
        else:
            found.append((key, value))
    return tuple(found)


def _time(fields: Fields, name: str) -> UnixMillis | None:
    if not fields.has(name):
        return None
    text = fields.text(name, check=_moment)
    return _moment(text) if text else None


def _moment(text: str) -> UnixMillis:
    """Parse a time. Raises Malformed (`document.time`)."""
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        return UnixMillis(round(datetime.fromisoformat(text).timestamp() * 1000))
    except ValueError:
        raise DOCUMENT_TIME(f"{shown(text)} is not a time like `2026-12-24T12:00:00Z`") from None


def _checked_approvers(text: str) -> None:
    if not _APPROVERS.fullmatch(text):
        raise DOCUMENT_PATTERN(f"{shown(text)} is not a group and a count, such as `finance:2`")
