"""Describe ledger entries as plain sentences: who, for whom, why, what, how it was decided, and the result.

Laws: a sentence states only what its entry states and names its index; anything missing is left out, never guessed;
text by others is printable, cut and on one line, and between quotation marks where it could be taken for a part of the
sentence; an argument named like a secret is described without its value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import schedule_of
from answerable.core.identity.names.spiffe_id import AGENT_PREFIX, SCHEME
from answerable.core.incident.circumstances import circumstances, set_aside
from answerable.core.incident.describe_answers import answer_told, canary_told, glass_reviewed_told, void_told
from answerable.core.incident.describe_drills import drill_told
from answerable.core.incident.describe_holds import containment_told, hold_lifted_told, hold_placed_told
from answerable.core.incident.describe_incidents import incident_told
from answerable.core.incident.describe_keys import changed_told, describe_keys
from answerable.core.incident.describe_leases import lease_told, session_told
from answerable.core.incident.describe_on_call import DUTIES_TOLD
from answerable.core.incident.describe_passkeys import passkey_removed_told, passkey_told
from answerable.core.incident.describe_policy import policy_changed_told, policy_proposed_told, withdrawn_told
from answerable.core.incident.describe_prepared import executed_told, kept_told
from answerable.core.incident.describe_revocations import authority_told, revoked_told
from answerable.core.incident.describe_rules import rule_fired_told
from answerable.core.incident.describe_tools import tool_pinned_told
from answerable.core.incident.describe_workloads import ended_told, enrolled_told, manifest_told, svid_told
from answerable.core.incident.doors_told import DOORS_TOLD
from answerable.core.incident.handed_on import (
    cited_sentence,
    hop_detail,
    hop_sentence,
    hops_of,
    through,
    traced_hop,
)
from answerable.core.incident.hiding import payload_to_show
from answerable.core.incident.streams_told import stream_told
from answerable.core.incident.wording import (
    arguments_told,
    denied_told,
    for_card,
    instance_told,
    listed,
    named,
    plain,
    proof_told,
    quoted,
    short,
)
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.budget import unit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.handed_on import TracedHop

# Position of the instance in `spiffe://TD/agent/NAME/INSTANCE`, split at its slashes.
_INSTANCE_SEGMENT: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One decoded entry: its leaf and, if any, its payload (None when the payload was withheld)."""

    index: int
    tag: int
    leaf: Mapping[str, JSONValue]
    payload: Mapping[str, JSONValue] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a timeline. at: Unix milliseconds. text: one sentence. details: further short lines, most important
    first."""

    index: int
    at: int
    kind: str
    text: str
    details: tuple[str, ...] = ()

    def when(self) -> str:
        """Return the time as ISO 8601 UTC with milliseconds."""
        return (
            datetime.fromtimestamp(self.at / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )


KEYS: Final = (
    "action",
    "approval",
    "mandate",
    "agent",
    "principal",
    "owner",
    "person",
    "digest",
    "capability",
    "key",
    "by",
    "manifest",
    "authority",
    "hop",
    "lease",
    "agent_named",
    "mandate_named",
)
OVER: Final = ("instance", "parent")
"""Members whose value is a path: a name also matches its sub-agents."""


def concerns(moment: Moment, names: frozenset[str]) -> bool:
    """Whether the entry names any of `names` (ids of actions, approvals, mandates, agents, instances or people, digests
    of manifests), or is one of them by index."""
    if str(moment.index) in names:
        return True
    # Names of people and digests of actions are in the fields; leaves have pseudonyms of them.
    fields = moment.payload or {}
    values = [part.get(key) for part in (moment.leaf, fields) for key in KEYS]
    if any(isinstance(value, str) and value in names for value in values):
        return True
    if any(str(hop.get("id")) in names for hop in hops_of(moment.leaf)):
        return True
    return any(
        isinstance(value, str) and any(is_within(value, name) for name in names)
        for value in map(moment.leaf.get, OVER)
        if value
    )


def is_within(instance: str, name: str) -> bool:
    """Whether a SPIFFE ID is `name` or below it. An instance of ours also matches by its random part."""
    if name.startswith(SCHEME):
        return instance == name or instance.startswith(f"{name}/")
    return (
        AGENT_PREFIX in instance and [name] == instance.split("/")[_INSTANCE_SEGMENT : _INSTANCE_SEGMENT + 1]
    )


def linked(moment: Moment) -> frozenset[str]:
    """Return the ids that link other entries to the same timeline: action and approval."""
    values = (moment.leaf.get(key) for key in ("action", "approval"))
    return frozenset(value for value in values if isinstance(value, str) and value)


def denied_by_stop(moment: Moment) -> frozenset[str]:
    """Return the approvals that a hold, a revocation or the close of a mandate denied, as far as its entry names them.
    They bring the stop into their timelines, and not each other."""
    names = moment.leaf.get("approvals")
    return frozenset(one for one in names if isinstance(one, str)) if isinstance(names, list) else frozenset()


def story(moments: Sequence[Moment], *names: str) -> tuple[Moment, ...]:
    """Return the entries that belong to the names, in order: those that have one, those linked to them at any distance,
    the states of their leases, and the beginning and end of every mandate they are under, but not the other actions
    under it."""
    found = {m.index: m for m in moments if concerns(m, frozenset(names))}
    ids: frozenset[str] = frozenset()
    while (more := ids.union(*(linked(m) for m in found.values()))) != ids:
        ids = more
        found.update((m.index, m) for m in moments if linked(m) & ids)
    found.update((m.index, m) for m in moments if denied_by_stop(m) & ids.union(names))
    # Leases do not link entries: a task's lease serves many actions with timelines of their own.
    leases = {_text(m, "lease") for m in found.values()} - {""}
    stood = (m for m in moments if m.tag == Tag.LEASE and _text(m, "lease") in leases)
    found.update((m.index, m) for m in stood)
    mandates = {_text(m, "mandate") for m in found.values()} - {""}
    beside = (m for m in moments if m.tag != Tag.LEASE and not linked(m))
    found.update((m.index, m) for m in beside if _text(m, "mandate") in mandates)
    return tuple(found[index] for index in sorted(found))


def _text(moment: Moment, member: str) -> str:
    value = moment.leaf.get(member)
    return value if isinstance(value, str) else ""


def told(moment: Moment, hops: Sequence[TracedHop] = ()) -> Line:
    """Describe one entry in a sentence. Unknown types are named by their tag and kept. hops: of the same timeline."""
    known = _TELLERS.get(moment.tag)
    leaf = moment.leaf
    at = leaf.get("at")
    kind = Tag(moment.tag).name.lower() if moment.tag in Tag._value2member_map_ else f"tag {moment.tag}"
    hop = traced_hop(leaf, moment.payload) if moment.tag == Tag.CITED else None
    if hop is not None:
        text, details = hop_sentence(hop, hops)
    else:
        text, details = (
            known(leaf, moment.payload or {}) if known else (f"An entry of type {moment.tag}.", ())
        )
    return Line(
        index=moment.index, at=at if isinstance(at, int) else 0, kind=kind, text=text, details=details
    )


_Told = tuple[str, tuple[str, ...]]


def _intent(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    decision = leaf.get("decision")
    decision = decision if isinstance(decision, dict) else {}
    text = (
        f"Agent {leaf.get('agent')} set out to {_what(leaf, payload)} for {_principal(leaf, payload)}"
        f"{through(leaf)}{for_card(leaf)} under mandate {short(leaf.get('mandate'))}."
    )
    details = [
        *circumstances(payload),
        f"allowed by {listed(decision.get('by'))} of policy set {short(decision.get('policy_set'))}"
        + set_aside(decision, leaf.get("approval")),
        *executed_told(payload),
        f"identity proved by {proof_told(leaf)}; call {leaf.get('call')} of this mandate",
        *hop_detail(leaf),
        *instance_told(leaf),
    ]
    return text, tuple(details)


def _end(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    status = leaf.get("status")
    said = {
        "succeeded": "It succeeded.",
        "failed": "The upstream said that it failed.",
        "not_started": "It was not started.",
        "indeterminate": "Whether it took effect is not known.",
    }.get(str(status), f"It ended as {status}.")
    details = [f"detail: {plain(payload['detail'])}"] if payload.get("detail") else []
    if "result" in payload:
        details.append(f"result: {plain(payload['result'])}")
    return said, (*kept_told(payload), *details, *session_told(leaf))


def _refusal(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    reasons = payload.get("reasons")
    why = "; ".join(plain(r) for r in reasons) if isinstance(reasons, list) else short(leaf.get("code"))
    mandate = leaf.get("mandate")
    under = f" under mandate {short(mandate)}" if mandate else " without a mandate"
    text = f"Agent {leaf.get('agent')} tried to {_what(leaf, payload)}{through(leaf)}{under} and was refused: {why}."
    details = [
        *circumstances(payload),
        f"decided by {listed(leaf.get('by'))}; nothing was done",
        f"identity proved by {proof_told(leaf)}",
        *hop_detail(leaf),
        *instance_told(leaf),
    ]
    return text, tuple(details)


def _asked(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    wanted = leaf.get("requirements")
    groups = [f"{r[1]} of {r[0]}" for r in wanted if isinstance(r, list)] if isinstance(wanted, list) else []
    text = (
        f"Agent {leaf.get('agent')} asked to {_what(leaf, payload)} for {_principal(leaf, payload)};"
        f" it waits for {' and '.join(groups)} (approval {short(leaf.get('approval'))})."
    )
    reasons = payload.get("reasons")
    because = [f"because {plain(r)}" for r in reasons] if isinstance(reasons, list) else []
    return text, (*because, *circumstances(payload))


def _issued(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    text = (
        f"{_giver(leaf, payload)} gave agent {leaf.get('agent')} mandate {short(leaf.get('mandate'))}"
        f" for use case {leaf.get('use_case')}, at most {leaf.get('calls_max')} calls{_limits(leaf)}."
    )
    details = [f"purpose: {plain(payload['purpose'])}"] if payload.get("purpose") else []
    if payload.get("intent_hash") and payload.get("authority_hash"):
        details.append(
            f"intent {plain(payload['intent_hash'])}, authority {plain(payload['authority_hash'])}"
        )
    return text, tuple(details)


def _limits(leaf: Mapping[str, JSONValue]) -> str:
    budgets = leaf.get("budgets")
    return (
        "".join(f", {budgets[name]} {unit_of(name)}" for name in sorted(budgets))
        if isinstance(budgets, dict)
        else ""
    )


def _closed(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    text = f"Mandate {short(leaf.get('mandate'))} was closed by {named('by', leaf, payload)}."
    return text, denied_told(leaf)


def _counted(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    agents, strangers = plain(leaf.get("agents")), plain(leaf.get("strangers"))
    return f"Refusals that were only counted: agents {agents}, strangers {strangers}.", ()


def _cited(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    return cited_sentence(leaf)


def _genesis(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    return f"The log {leaf.get('origin')} began.", ()


def _recovered(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    return "The log was reopened.", tuple(f"{k}: {v}" for k, v in leaf.items() if k not in ("v", "tag", "at"))


_TELLERS: Final[dict[int, Callable[[Mapping[str, JSONValue], Mapping[str, JSONValue]], _Told]]] = {
    Tag.GENESIS: _genesis,
    Tag.INTENT: _intent,
    Tag.OUTCOME: _end,
    Tag.INDETERMINATE: _end,
    Tag.REFUSAL: _refusal,
    Tag.REFUSALS_COUNTED: _counted,
    **DOORS_TOLD,
    Tag.APPROVAL_ASKED: _asked,
    Tag.APPROVAL_ANSWER: answer_told,
    Tag.APPROVAL_VOID: void_told,
    Tag.MANDATE_ISSUED: _issued,
    Tag.MANDATE_CLOSED: _closed,
    Tag.REGISTRY_CHANGE: changed_told,
    Tag.POLICY_CHANGE: policy_changed_told,
    Tag.RECOVERY: _recovered,
    Tag.CITED: _cited,
    Tag.MANIFEST_REGISTERED: manifest_told,
    Tag.WORKLOAD_ENROLLED: enrolled_told,
    Tag.WORKLOAD_ENDED: ended_told,
    Tag.SVID_ISSUED: svid_told,
    Tag.AUTHORITY_CHANGED: authority_told,
    Tag.REVOKED: revoked_told,
    Tag.TOOL_PINNED: tool_pinned_told,
    Tag.HOLD_PLACED: hold_placed_told,
    Tag.HOLD_LIFTED: hold_lifted_told,
    Tag.RULE_FIRED: rule_fired_told,
    Tag.CONTAINMENT_REPORT: containment_told,
    Tag.POLICY_PROPOSED: policy_proposed_told,
    Tag.POLICY_WITHDRAWN: withdrawn_told,
    Tag.DRILL: drill_told,
    Tag.LEASE: lease_told,
    Tag.PASSKEY: passkey_told,
    Tag.PASSKEY_REMOVED: passkey_removed_told,
    Tag.GLASS_REVIEWED: glass_reviewed_told,
    **DUTIES_TOLD,
    Tag.CANARY_TOLD: canary_told,
    Tag.PEOPLES_KEYS: describe_keys,
    Tag.EVENT_STREAM: stream_told,
    Tag.INCIDENT: incident_told,
}


def _principal(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    """Return the principal of a task; of a schedule also its owner."""
    name = named("principal", leaf, payload)
    schedule = schedule_of(name)
    if schedule is None:
        return name
    owner = payload.get("owner")
    return f"schedule {schedule}" + (f", owned by {plain(owner)}" if isinstance(owner, str) else "")


def _giver(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    through = f", through application {plain(leaf['application'])}," if leaf.get("application") else ""
    text = f"{_principal(leaf, payload)}{through}"
    return text[:1].upper() + text[1:] if text.startswith("schedule ") else text


def _what(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    action = payload_to_show(payload).get("action")
    if not isinstance(action, dict):
        return f"use {leaf.get('capability') or 'something unknown'}"
    arguments = action.get("arguments")
    told = arguments_told(arguments) if isinstance(arguments, dict) else ""
    return f"call {quoted(action.get('target'))}({told}) on {quoted(action.get('server'))}"
