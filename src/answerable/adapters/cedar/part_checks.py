"""Check what a policy set declares beside its policies: approver groups have members, trackers have events, and every
declaration is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.rules import can_match
from answerable.core.decision.facts import OR
from answerable.core.decision.obligation import duties_of
from answerable.core.registry.documents.look_alike import meant
from answerable.core.registry.policy_sets.policy_fault import PolicyFault
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from answerable.adapters.cedar.registered import Registered
    from answerable.adapters.cedar.rules import Rule
    from answerable.core.approval.assurance_level import AssuranceLevel
    from answerable.core.decision.facts import Requirement
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.policy_parts import EventMatch, PolicyParts, Tracker
    from answerable.core.registry.parsing.set_head import SetHead

_WANTED: Final[Mapping[AssuranceLevel, str]] = {
    "chat": "key",
    "any": "key",
    "passkey": "passkey",
    "hardware": "passkey that cannot be copied, with a maker who vouches for it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The declarations of `set.yaml`. line_of: return the line of a JSON pointer in the file. parts: of this set.
    all_parts: of every set in force."""

    file: str
    head: SetHead
    line_of: Callable[[str], int]
    parts: PolicyParts
    all_parts: PolicyParts

    def fault(self, path: str, code: str, message: str) -> PolicyFault:
        """Return a fault at a JSON pointer in `set.yaml`."""
        return PolicyFault(file=self.file, line=self.line_of(path), code=code, message=message)


def check_groups(
    rules: Sequence[Rule], registered: Registered, declared: Declared
) -> tuple[PolicyFault, ...]:
    """Return faults of groups: each group that a policy names must be declared, and each declared group must be named
    by a policy and have enough people."""
    faults: list[PolicyFault] = []
    names = [group.name for group in declared.head.groups]
    asked: set[str] = set()
    told: set[str] = set()
    for rule in rules:
        if not rule.source.own:
            continue
        for name in duties_of(rule.policy.note.oblige).notify:
            told.add(name)
            if name not in names:
                faults.append(_undeclared(rule, f"tells group {shown(name)}", name, f":{name}", declared))
        need = rule.policy.note.approve
        if need is None:
            continue
        glass = tuple(one for one in rule.policy.note.break_glass.split(OR) if one)
        asked.update(need.groups, glass)
        for one in glass:
            if one not in names:
                faults.append(
                    _undeclared(rule, f"allows break-glass to group {shown(one)}", one, one, declared)
                )
        undeclared = [one for one in need.groups if one not in names]
        for one in undeclared:
            at = f"{need.group}:{need.count}"
            faults.append(_undeclared(rule, f"asks group {shown(one)}", one, at, declared))
        if not undeclared and (few := nobody_to_ask(rule, need, registered)) is not None:
            faults.append(few)
        elif not undeclared:
            faults += _too_weak(rule, need, registered)
    for index, group in enumerate(declared.head.groups):
        path = f"/groups/{index}/name"
        if group.name not in asked | told:
            hint = _hint(group.name, sorted((asked | told) - set(names)))
            message = (
                f"group {shown(group.name)} is not used by any policy{hint}; remove it, or "
                "name it in an `@approve`"
            )
            faults.append(declared.fault(path, "group.unused", message))
        if group.name in told - asked:
            have, who = registered.told.get(group.name, 0), "active people"
        else:
            have, who = registered.answering.count([group.name]), "active people with a key"
        if not have:
            hint = _hint(group.name, sorted(registered.told))
            message = f"group {shown(group.name)} has no {who}{hint}"
            faults.append(declared.fault(path, "group.empty", message))
        elif have < group.members_min:
            message = f"group {shown(group.name)} has {have} {who}, expected at least {group.members_min}"
            faults.append(declared.fault(path, "group.too_few", message))
    return tuple(faults)


def nobody_to_ask(rule: Rule, need: Requirement, registered: Registered) -> PolicyFault | None:
    """Return a fault if fewer people can answer than the rule requires; None if there are enough."""
    have = registered.answering.count(need.groups)
    if have >= need.count:
        return None
    message = (
        f"requires {need.count} people of group {shown(need.group)}, but only {have} of them can "
        "answer: it could never be approved"
    )
    return rule.fault("group.too_few", message, at=f"{need.group}:{need.count}")


def _too_weak(rule: Rule, need: Requirement, registered: Registered) -> Iterator[PolicyFault]:
    """Yield a fault if enough people can answer, but too few can sign at the level that a tier of the rule's actions
    requires."""
    signatures = registered.answering.signatures
    tiers = sorted({one.tier for one in registered.capabilities if can_match(rule, one)}, reverse=True)
    for tier in tiers:
        asks = signatures[tier]
        have = registered.answering.count(need.groups, asks=asks)
        if have < need.count:
            message = (
                f"requires {need.count} people of group {shown(need.group)}, and an action of "
                f"tier {tier} needs a {_WANTED[asks]}, which only {have} of them have: invite "
                "them with `answerable person invite`"
            )
            yield rule.fault("group.too_weak", message, at=f"{need.group}:{need.count}")
            return


def _undeclared(rule: Rule, says: str, group: str, at: str, declared: Declared) -> PolicyFault:
    hint = _hint(group, [one.name for one in declared.head.groups])
    return rule.fault("group.undeclared", f"{says}, which {declared.file} does not declare{hint}", at=at)


def check_parts(rules: Sequence[Rule], registered: Registered, declared: Declared) -> tuple[PolicyFault, ...]:
    """Return faults of trackers that no event can update, and of declarations that no policy of any set reads."""
    faults: list[PolicyFault] = []
    read = _Read(rules, declared.all_parts)
    lifted = any(rule.policy.note.approve is not None for rule in rules)
    for index, tracker in enumerate(declared.parts.trackers):
        faults += _unfed(tracker, f"/trackers/{index}", registered, declared, lifted=lifted)
        if not read.names("history", tracker.name, "history"):
            faults.append(_unread(declared, f"/trackers/{index}/name", "tracker", tracker.name, "history"))
    for index, window in enumerate(declared.parts.windows):
        if not read.names("windows", window.name, "window"):
            faults.append(_unread(declared, f"/windows/{index}/name", "window", window.name, "windows"))
    if declared.parts.destinations and not read.member("destination", "destination_class"):
        message = "no policy reads `context.destination`: remove the classes, or use them"
        faults.append(declared.fault("/destinations", "destination.unread", message))
    if declared.parts.risk and not read.member("risk", ""):
        message = "no policy reads `context.risk`: remove the factors, or use them"
        faults.append(declared.fault("/risk", "risk.unread", message))
    return tuple(faults)


class _Read:
    """What policies and risk factors read."""

    def __init__(self, rules: Sequence[Rule], parts: PolicyParts) -> None:
        self._mentions = [rule.policy.mentions for rule in rules]
        self._factors = parts.risk

    def names(self, member: str, name: str, fact: str) -> bool:
        if any(factor.fact == fact and factor.of == name for factor in self._factors):
            return True
        return any(
            (inside := mentions.inside(member)) is None or name in inside for mentions in self._mentions
        )

    def member(self, member: str, fact: str) -> bool:
        if fact and any(factor.fact == fact for factor in self._factors):
            return True
        return any(mentions.inside(member) != frozenset() for mentions in self._mentions)


def _unread(declared: Declared, path: str, what: str, name: str, member: str) -> PolicyFault:
    message = f"no policy reads `context.{member}.{name}`: remove the {what}, or use it"
    return declared.fault(path, f"{what}.unread", message)


def _unfed(
    tracker: Tracker, path: str, registered: Registered, declared: Declared, *, lifted: bool
) -> Iterator[PolicyFault]:
    for index, match in enumerate(tracker.matches):
        at = f"{path}/steps/{index}" if tracker.sequence else path
        step = f"step {index + 1} of tracker" if tracker.sequence else "tracker"
        if match.event == "approved" and not lifted:
            message = f"nothing advances {step} {shown(tracker.name)}: no policy requires an approval"
            yield declared.fault(at, "tracker.unfed", message)
        elif not any(_feeds(match, tracker, one) for one in registered.capabilities):
            hint = _why_unfed(match, tracker, registered)
            message = (
                f"nothing advances {step} {shown(tracker.name)}: no capability has everything "
                f"that it matches{hint}"
            )
            yield declared.fault(at, "tracker.unfed", message)


def _feeds(match: EventMatch, tracker: Tracker, capability: Capability) -> bool:
    if tracker.sum and not any(argument.name == tracker.sum for argument in capability.arguments):
        return False
    return match.covers(capability)


def _why_unfed(match: EventMatch, tracker: Tracker, registered: Registered) -> str:
    """Return a hint for the first list none of whose names is registered: the name that was probably meant."""
    known = registered.capabilities
    arguments = {argument.name for one in known for argument in one.arguments}
    for wanted, have in (
        (match.capabilities, {one.name for one in known}),
        (match.kinds, {str(one.kind) for one in known}),
        (match.servers, {one.server for one in known}),
        (match.environments, {one.environment for one in known}),
        (match.sensitivities, {str(one.sensitivity) for one in known}),
        ((tracker.sum,) if tracker.sum else (), arguments),
    ):
        if wanted and not have & set(wanted):
            return _hint(wanted[0], sorted(have)) or f"; there is no {shown(wanted[0])}"
    return ""


def _hint(word: str, known: Sequence[str]) -> str:
    found = meant(word, known)
    return f"; did you mean {shown(found[1])}?" if found else ""
