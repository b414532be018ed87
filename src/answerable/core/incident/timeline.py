"""From ledger entries to plain sentences: who, for whom, why, what, decided how, with what result.

Laws: a sentence says only what an entry says; what an entry does not say is left out, never guessed; every sentence
names the index of its entry; what somebody else wrote is printable, cut and on one line, so that nobody can write a
line of the story; an argument whose name says that it is a secret is told without its value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.core.identity.spiffe_id import AGENT_PREFIX, SCHEME
from answerable.core.incident.hiding import payload_to_show
from answerable.core.ledger.tags import Tag
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.core.canonical import JSONValue

VALUE_CHARS_MAX: Final = 160
# Of `spiffe://TD/agent/NAME/INSTANCE`, split at its slashes.
_INSTANCE_SEGMENT: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One entry, opened: its leaf and, when it has one, its payload (None when the payload was withheld)."""

    index: int
    tag: int
    leaf: Mapping[str, JSONValue]
    payload: Mapping[str, JSONValue] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """at: Unix milliseconds. text: one sentence. details: further short lines, most important first."""

    index: int
    at: int
    kind: str
    text: str
    details: tuple[str, ...] = ()

    def when(self) -> str:
        """The time as ISO 8601 UTC with milliseconds."""
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
    "person",
    "digest",
    "capability",
    "key",
    "by",
    "manifest",
    "authority",
)
OVER: Final = ("instance", "parent")
"""Members whose value has what belongs to it below: a name stands for its sub-agents, too."""


def concerns(moment: Moment, names: frozenset[str]) -> bool:
    """Whether the entry names any of `names` (ids of actions, approvals, mandates, agents, instances or people, digests
    of manifests), or is one."""
    if str(moment.index) in names:
        return True
    # Names of people and digests of actions stand in the fields; leaves have pseudonyms of them.
    fields = moment.payload or {}
    values = [part.get(key) for part in (moment.leaf, fields) for key in KEYS]
    if any(isinstance(value, str) and value in names for value in values):
        return True
    return any(
        isinstance(value, str) and any(_is_within(value, name) for name in names)
        for value in map(moment.leaf.get, OVER)
        if value
    )


def _is_within(instance: str, name: str) -> bool:
    """Whether a SPIFFE ID is this one or below it. An instance of ours is known by its random part, too."""
    if name.startswith(SCHEME):
        return instance == name or instance.startswith(f"{name}/")
    return (
        AGENT_PREFIX in instance and [name] == instance.split("/")[_INSTANCE_SEGMENT : _INSTANCE_SEGMENT + 1]
    )


def linked(moment: Moment) -> frozenset[str]:
    """The ids through which other entries belong to the same story: action and approval."""
    values = (moment.leaf.get(key) for key in ("action", "approval"))
    return frozenset(value for value in values if isinstance(value, str) and value)


def story(moments: Sequence[Moment], name: str) -> tuple[Moment, ...]:
    """The entries that belong to `name`, in order: those that name it, those linked to them however far, and the
    beginning and end of every mandate they are under, but not the other actions under it."""
    found = {m.index: m for m in moments if concerns(m, frozenset((name,)))}
    ids: frozenset[str] = frozenset()
    while (more := ids.union(*(linked(m) for m in found.values()))) != ids:
        ids = more
        found.update((m.index, m) for m in moments if linked(m) & ids)
    mandates = {_mandate(m) for m in found.values()} - {""}
    found.update((m.index, m) for m in moments if not linked(m) and _mandate(m) in mandates)
    return tuple(found[index] for index in sorted(found))


def _mandate(moment: Moment) -> str:
    mandate = moment.leaf.get("mandate")
    return mandate if isinstance(mandate, str) else ""


def told(moment: Moment) -> Line:
    """One entry as a sentence. Entries of unknown types are named by their tag and kept."""
    known = _TELLERS.get(moment.tag)
    leaf = moment.leaf
    at = leaf.get("at")
    kind = Tag(moment.tag).name.lower() if moment.tag in Tag._value2member_map_ else f"tag {moment.tag}"
    text, details = known(leaf, moment.payload or {}) if known else (f"An entry of type {moment.tag}.", ())
    return Line(
        index=moment.index, at=at if isinstance(at, int) else 0, kind=kind, text=text, details=details
    )


_Told = tuple[str, tuple[str, ...]]


def _intent(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    decision = leaf.get("decision")
    decision = decision if isinstance(decision, dict) else {}
    text = (
        f"Agent {leaf.get('agent')} set out to {_what(leaf, payload)} for {_named('principal', leaf, payload)}"
        f" under mandate {_short(leaf.get('mandate'))}."
    )
    lifted, approval = decision.get("lifted"), leaf.get("approval")
    aside = f"set {_names(lifted)} aside" if lifted else "was used up"
    details = [
        *_claims(payload),
        f"allowed by {_names(decision.get('by'))} of policy set {_short(decision.get('policy_set'))}"
        + (f", after approval {_short(approval)} {aside}" if approval else ""),
        f"identity proved by {_proof(leaf)}; call {leaf.get('call')} of this mandate",
        *_instance(leaf),
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
    details = [f"detail: {_value(payload['detail'])}"] if payload.get("detail") else []
    if "result" in payload:
        details.append(f"result: {_value(payload['result'])}")
    return said, tuple(details)


def _refusal(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    reasons = payload.get("reasons")
    why = "; ".join(_value(r) for r in reasons) if isinstance(reasons, list) else _short(leaf.get("code"))
    mandate = leaf.get("mandate")
    under = f" under mandate {_short(mandate)}" if mandate else " without a mandate"
    text = f"Agent {leaf.get('agent')} tried to {_what(leaf, payload)}{under} and was refused: {why}."
    details = [
        *_claims(payload),
        f"decided by {_names(leaf.get('by'))}; nothing was done",
        f"identity proved by {_proof(leaf)}",
        *_instance(leaf),
    ]
    return text, tuple(details)


def _asked(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    wanted = leaf.get("requirements")
    groups = [f"{r[1]} of {r[0]}" for r in wanted if isinstance(r, list)] if isinstance(wanted, list) else []
    text = (
        f"Agent {leaf.get('agent')} asked to {_what(leaf, payload)} for {_named('principal', leaf, payload)};"
        f" it waits for {' and '.join(groups)} (approval {_short(leaf.get('approval'))})."
    )
    reasons = payload.get("reasons")
    because = [f"because {_value(r)}" for r in reasons] if isinstance(reasons, list) else []
    return text, (*because, *_claims(payload))


def _answer(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    verb = {"approve": "approved", "deny": "denied"}.get(str(leaf.get("verdict")), "answered")
    person, approval = _named("person", leaf, payload), _short(leaf.get("approval"))
    text = f"{person} {verb} approval {approval}, which is now {leaf.get('state')}."
    comment = payload.get("comment")
    signed = f"signed over action digest {_short(payload.get('digest', leaf.get('digest')))}"
    return text, (f"comment: {_value(comment)}", signed) if comment else (signed,)


def _issued(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    text = (
        f"{_named('principal', leaf, payload)} gave agent {leaf.get('agent')} mandate {_short(leaf.get('mandate'))}"
        f" for use case {leaf.get('use_case')}, at most {leaf.get('calls_max')} calls."
    )
    return text, (f"purpose: {_value(payload['purpose'])}",) if payload.get("purpose") else ()


def _closed(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    return f"Mandate {_short(leaf.get('mandate'))} was closed by {_named('by', leaf, payload)}.", ()


def _counted(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    agents, strangers = _value(leaf.get("agents")), _value(leaf.get("strangers"))
    return f"Refusals that were only counted: agents {agents}, strangers {strangers}.", ()


def _changed(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    changes = payload.get("changes", payload)
    names = ", ".join(changes) if isinstance(changes, dict) and "policies" not in payload else "policies"
    before, after = _short(leaf.get("before")), _short(leaf.get("after"))
    return f"{_named('by', leaf, payload)} changed {_value(names)}: {before} to {after}.", ()


def _cited(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    what = {"mandate": "mandate", "policy_set": "policy set", "tool": "tool definition"}.get(
        str(leaf.get("kind")), "statement"
    )
    return f"The {what} {_short(leaf.get('name'))} was written down, to be referred to.", ()


def _genesis(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    return f"The log {leaf.get('origin')} began.", ()


def _recovered(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    return "The log was reopened.", tuple(f"{k}: {v}" for k, v in leaf.items() if k not in ("v", "tag", "at"))


def _manifest(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    text = f"{_named('by', leaf, payload)} signed manifest {_short(leaf.get('manifest'))} of agent {leaf.get('agent')}."
    return text, ()


def _enrolled(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    parent = f", a sub-agent of {_value(leaf.get('parent'))}" if leaf.get("parent") else ""
    text = f"An instance of agent {leaf.get('agent')} was enrolled: {_value(leaf.get('instance'))}{parent}."
    drift, measured = leaf.get("drift"), payload.get("selectors")
    details = [f"shown by {leaf.get('source')}, measured by {_measurer(leaf.get('grade'))}"]
    if isinstance(measured, list):
        details.append(f"measured: {_names(measured)}")
    if leaf.get("manifest"):
        details.append(f"compared with manifest {_short(leaf.get('manifest'))}")
    if drift:
        details.append(f"differs from it in {_names(drift)}")
    return text, tuple(details)


def _ended(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    because = _value(leaf.get("because"))
    return f"Instance {_value(leaf.get('instance'))} of agent {leaf.get('agent')} ended: {because}.", ()


def _svid(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    kind = {"x509": "An X.509-SVID", "jwt": "A JWT-SVID", "wit": "A WIT-SVID"}.get(
        str(leaf.get("kind")), "An SVID"
    )
    return f"{kind} was issued to {_value(leaf.get('instance'))} ({_short(leaf.get('serial'))}).", ()


def _authority(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    name, domain = _value(leaf.get("authority")), _value(leaf.get("domain"))
    return f"Authority {name} of trust domain {domain} is now {_value(leaf.get('state'))}.", ()


def _revoked(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    kind = str(leaf.get("kind")).replace("_", " ")
    what = _named("person", leaf, payload) if leaf.get("kind") == "owner" else _value(leaf.get("name"))
    details = [f"reason: {_value(payload['reason'])}"] if payload.get("reason") else []
    if leaf.get("in_flight_count"):
        details.append(
            f"in flight at that moment: {leaf.get('in_flight_count')}, entries {leaf.get('in_flight')}"
        )
    return f"{_named('by', leaf, payload)} revoked {kind} {what}, for good.", tuple(details)


_TELLERS: Final[dict[int, Callable[[Mapping[str, JSONValue], Mapping[str, JSONValue]], _Told]]] = {
    Tag.GENESIS: _genesis,
    Tag.INTENT: _intent,
    Tag.OUTCOME: _end,
    Tag.INDETERMINATE: _end,
    Tag.REFUSAL: _refusal,
    Tag.REFUSALS_COUNTED: _counted,
    Tag.APPROVAL_ASKED: _asked,
    Tag.APPROVAL_ANSWER: _answer,
    Tag.MANDATE_ISSUED: _issued,
    Tag.MANDATE_CLOSED: _closed,
    Tag.REGISTRY_CHANGE: _changed,
    Tag.POLICY_CHANGE: _changed,
    Tag.RECOVERY: _recovered,
    Tag.CITED: _cited,
    Tag.MANIFEST_REGISTERED: _manifest,
    Tag.WORKLOAD_ENROLLED: _enrolled,
    Tag.WORKLOAD_ENDED: _ended,
    Tag.SVID_ISSUED: _svid,
    Tag.AUTHORITY_CHANGED: _authority,
    Tag.REVOKED: _revoked,
}


def _named(member: str, leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    """A person: by name where the fields can be opened, else by the pseudonym of the leaf."""
    name = payload.get(member)
    return _value(name) if isinstance(name, str) else _short(leaf.get(member))


def _what(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    action = payload_to_show(payload).get("action")
    if not isinstance(action, dict):
        return f"use {leaf.get('capability') or 'something unknown'}"
    arguments = action.get("arguments")
    listed = (
        ", ".join(f"{_short(k)}={_value(v)}" for k, v in arguments.items())
        if isinstance(arguments, dict)
        else ""
    )
    return f"call {_value(action.get('target'))}({listed}) on {_value(action.get('server'))}"


def _claims(payload: Mapping[str, JSONValue]) -> list[str]:
    lines = [f"purpose of the mandate: {_value(payload['purpose'])}"] if payload.get("purpose") else []
    if payload.get("reason"):
        lines.append(f"reason the agent claimed: {_value(payload['reason'])}")
    return lines


def _proof(leaf: Mapping[str, JSONValue]) -> str:
    proof = leaf.get("proof")
    if not isinstance(proof, dict):
        return "nothing on record"
    return f"{proof.get('kind')} of {_short(proof.get('binding'))}, message {proof.get('sequence')}"


def _instance(leaf: Mapping[str, JSONValue]) -> list[str]:
    """What is known of the running instance, in one line; none where nothing is."""
    evidence, parts = leaf.get("evidence"), []
    if leaf.get("instance"):
        parts.append(f"instance {_value(leaf.get('instance'))}")
    if isinstance(evidence, dict):
        parts.append(f"shown by {evidence.get('source')}, measured by {_measurer(evidence.get('grade'))}")
    if leaf.get("manifest"):
        differs = isinstance(evidence, dict) and evidence.get("drifted") is True
        parts.append(f"manifest {_short(leaf.get('manifest'))}{', from which it differs' if differs else ''}")
    return ["; ".join(parts)] if parts else []


def _measurer(grade: JSONValue) -> str:
    words = {"kernel": "the kernel", "sidecar": "its sidecar", "gateway": "the gateway", "claimed": "nobody"}
    return words.get(str(grade), _short(grade))


def _names(value: JSONValue) -> str:
    return ", ".join(_value(v) for v in value) if isinstance(value, list) and value else "default"


def _short(value: JSONValue) -> str:
    text = str(value)
    return shown(text if len(text) <= 26 else f"{text[:12]}…")[1:-1]


def _value(value: JSONValue) -> str:
    """As a person reads it. An upstream's answer may hold what our own canonical form refuses."""
    try:
        text = (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        )
    except RecursionError:
        text = "something nested too deeply to show"
    # Our own reasons quote with backticks, which would be taken for somebody's attempt to end a quotation.
    return shown(text.replace("`", "'"), VALUE_CHARS_MAX)[1:-1]
