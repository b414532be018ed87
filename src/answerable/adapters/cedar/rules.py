"""Parse the policies of a directory into rules, each with its file and line, its head and its conditions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cedarpy
import msgspec

from answerable.adapters.cedar.publishing import published
from answerable.adapters.cedar.rule_hints import head_meant, syntax_place
from answerable.adapters.cedar.schema import ACTION, AGENT, KINDS, USE_CASE
from answerable.core.decision.policy_context import members_of
from answerable.core.registry.documents.look_alike import meant
from answerable.core.registry.policy_sets.policy_fault import PolicyFault
from answerable.core.registry.policy_sets.policy_text import statements
from answerable.errors import Malformed, shown
from answerable.errors.codes.policy import POLICY_SYNTAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.adapters.cedar.publishing import CedarPolicySet, Policy
    from answerable.adapters.cedar.satisfiable import Requirement
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.policy_sets.policy_text import Statement
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

_LEADING: Final = re.compile(r"(?:\s+|//[^\n]*)*")
_NUMBERED: Final = re.compile(r"^policy on line \d+ has")
"""The line is one of the compiled text, not of the file."""
_PREFIX: Final = re.compile(r"policy (?:`[^`]*`|on line \d+)(?: has no|:) ?")
_QUOTED: Final = re.compile(r"`([^`]+)`|'([^' ]+)'|: (\w+)$")
_OPERATOR: Final = re.compile(r"[=!<>&|]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """The text of one policy file. own: whether it belongs to the checked directory and not to another set."""

    file: str
    text: str
    own: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One policy and its place. first_line: line of the text's first character. line: line of the policy's first
    annotation or word. text: as written, with the comments before it."""

    source: PolicySource
    first_line: int
    line: int
    text: str
    policy: Policy
    conditions: tuple[Requirement, ...]

    @property
    def place(self) -> str:
        """`file:line`, for a message about another rule."""
        return f"{self.source.file}:{self.line}"

    def line_of(self, word: str) -> int:
        """Return the line of a piece of the policy's text; the policy's own line if it is not found."""
        return _line_of(self.text, word, self.first_line) or self.line

    def fault(self, code: str, message: str, *, at: str = "") -> PolicyFault:
        """Return a fault of this rule. at: the piece of its text that the fault is about."""
        line = self.line_of(at) if at else self.line
        what = f"policy {shown(self.policy.id)} {message}"
        return PolicyFault(file=self.source.file, line=line, code=code, message=what)


def rules_of(
    sources: Sequence[PolicySource], snapshot: RegistrySnapshot
) -> tuple[tuple[Rule, ...], tuple[PolicyFault, ...]]:
    """Return all rules, or every fault that prevents publishing, each with its place. Never raises for a fault.

    The sources of one set must be adjacent. All of them are published as one text, as `PolicyCompiler` does.
    """
    pieces: list[tuple[PolicySource, Statement]] = []
    faults: list[PolicyFault] = []
    for source in sources:
        found, wrong = _apart(source)
        pieces += [(source, piece) for piece in found]
        faults += wrong
    if faults:
        return (), tuple(faults)
    try:
        whole = published("\n".join(source.text for source in sources), snapshot)
    except Malformed as error:
        return (), tuple(_placed(pieces, snapshot) or [_unplaced(sources, error)])
    if len(whole.policies) != len(pieces):
        message = "the files parse differently one by one than together: end each policy in its own file"
        return (), (PolicyFault(file=sources[0].file, line=1, code=POLICY_SYNTAX.id, message=message),)
    return tuple(_rules(pieces, whole)), ()


def can_match(rule: Rule, capability: Capability) -> bool:
    """Whether the head of a rule can match an action of this capability on some resource."""
    head = rule.policy.head
    if not head.fits(capability.resource.type, None, any_id=True):
        return False
    names = {("", ""), (ACTION, capability.name), (ACTION, capability.kind)}
    return any(action in names for action in head.actions)


def head_requirements(rule: Rule) -> tuple[Requirement, ...]:
    """Return the head's limits on principal and resource as conditions. Its actions are part of the scene."""
    head = rule.policy.head
    found: list[Requirement] = []
    if head.principal[0] in (AGENT, USE_CASE):
        found.append((_is_in("principal", *head.principal), True))
    if head.resource_type is not None and head.resource_id is not None:
        found.append((_is_in("resource", head.resource_type, head.resource_id), True))
    return tuple(found)


def is_kind(action: tuple[str, str]) -> bool:
    """Whether an action of a head is a kind of actions and not a single action."""
    return action[0] == ACTION and action[1] in KINDS


def _is_in(variable: str, kind: str, name: str) -> dict[str, object]:
    entity = {"__entity": {"type": kind, "id": name}}
    return {"in": {"left": {"Var": variable}, "right": {"Value": entity}}}


def _apart(source: PolicySource) -> tuple[tuple[Statement, ...], list[PolicyFault]]:
    """Split one file into statements, each of which Cedar must be able to parse on its own."""
    try:
        pieces = statements(source.text)
    except Malformed as error:
        line = re.match(r"policy on line (\d+)", error.message)
        at = int(line[1]) if line else 1
        fault = PolicyFault(file=source.file, line=at, code=error.code, message=error.message)
        return (), [fault]
    faults = []
    for piece in pieces:
        try:
            read = msgspec.json.decode(cedarpy.policies_to_json_str(piece.text))
        except (ValueError, RecursionError) as error:
            message = " ".join(str(error).split())[:300]
            found, hint = syntax_place(piece.text, message)
            faults.append(_at(source, piece, "policy.syntax", message, hint=hint, line=found))
            continue
        if len(read.get("staticPolicies", {})) + len(read.get("templates", {})) != 1:
            faults.append(_at(source, piece, "policy.syntax", "expected one policy up to the semicolon"))
    return pieces, faults


def _placed(pieces: list[tuple[PolicySource, Statement]], snapshot: RegistrySnapshot) -> list[PolicyFault]:
    """Return the fault of each policy that is refused on its own. Halves of the list without a fault are not searched
    further."""
    twice = _twice(pieces)
    if twice:
        return twice
    faults: list[PolicyFault] = []
    pending = [pieces]
    while pending:
        part = pending.pop()
        try:
            published("\n".join(piece.text for _, piece in part), snapshot)
        except Malformed as error:
            if len(part) > 1:
                half = len(part) // 2
                pending += [part[half:], part[:half]]
                continue
            if part:
                message = _NUMBERED.sub("this policy has", error.message)
                line, hint = head_meant(part[0][1].text, message, snapshot)
                hint = _name_meant(message, snapshot) or hint
                faults.append(_at(*part[0], error.code, message, hint=hint, line=line))
    return faults


def _twice(pieces: list[tuple[PolicySource, Statement]]) -> list[PolicyFault]:
    """Return a fault for each policy id used twice, which no policy alone would show."""
    first: dict[str, str] = {}
    faults: list[PolicyFault] = []
    for source, piece in pieces:
        name = _id_of(piece.text)
        if not name:
            continue
        if name in first:
            message = f"policy id {shown(name)} is used twice, first at {first[name]}: give this one its own"
            faults.append(_at(source, piece, "policy.id_twice", message))
        first.setdefault(name, f"{source.file}:{_start(piece)}")
    return faults


def _id_of(text: str) -> str:
    read = msgspec.json.decode(cedarpy.policies_to_json_str(text))
    for ast in read.get("staticPolicies", {}).values():
        return (ast.get("annotations") or {}).get("id") or ""
    return ""


def _rules(pieces: list[tuple[PolicySource, Statement]], whole: CedarPolicySet) -> Iterator[Rule]:
    for (source, piece), policy in zip(pieces, whole.policies, strict=True):
        ast = msgspec.json.decode(policy.json)
        yield Rule(
            source=source,
            first_line=_first(piece),
            line=_start(piece),
            text=piece.text,
            policy=policy,
            conditions=tuple((one["body"], one["kind"] == "when") for one in ast.get("conditions") or ()),
        )


def _first(piece: Statement) -> int:
    """Return the line of the text's first character, which may be blank."""
    return piece.line - piece.text[: len(piece.text) - len(piece.text.lstrip())].count("\n")


def _start(piece: Statement) -> int:
    """Return the line of the policy's first word, after comments."""
    before = _LEADING.match(piece.text)
    return _first(piece) + piece.text.count("\n", 0, before.end() if before else 0)


def _at(
    source: PolicySource,
    piece: Statement,
    code: str,
    message: str,
    *,
    hint: str = "",
    line: int | None = None,
) -> PolicyFault:
    """Return a fault at the first word that the message quotes and the policy contains. line: line in the policy's
    text, from 0, if known."""
    if line is not None:
        return PolicyFault(file=source.file, line=_first(piece) + line, code=code, message=message + hint)
    body = _PREFIX.sub("", message, count=1)
    words = [word for quoted in _QUOTED.findall(body) for word in quoted if word]
    words += [word.rpartition(".")[2] for word in words]
    for word in words:
        if (found := _line_of(piece.text, word, _first(piece))) is not None:
            return PolicyFault(file=source.file, line=found, code=code, message=message + hint)
    return PolicyFault(file=source.file, line=_start(piece), code=code, message=message + hint)


def _name_meant(message: str, snapshot: RegistrySnapshot) -> str:
    """Return a hint with the registered name that was probably meant, unless Cedar's message already has one."""
    if "did you mean" in message:
        return ""
    if (action := re.search(r'unrecognized action `Action::"([^"]+)"`', message)) is not None:
        found = meant(action[1], (*snapshot.capabilities, *snapshot.idle, *KINDS))
        return f'; did you mean `Action::"{found[1]}"`?' if found else ""
    if (
        optional := re.search(r"optional attribute `(?:(\w+(?:\.\w+)*)\.)?(\w+)` in context", message)
    ) is not None:
        record = ".".join(part for part in ("context", optional[1]) if part)
        return f"; ask `{record} has {optional[2]}` first"
    if (attribute := re.search(r"attribute `(?:\w+\.)*(\w+)`", message)) is not None:
        known = {
            name
            for capability in (*snapshot.capabilities.values(), *snapshot.idle.values())
            for member, names in members_of(capability, snapshot.parts).items()
            for name in (member, *names)
        }
        found = meant(attribute[1], known - {attribute[1]})
        return f"; did you mean `{found[1]}`?" if found else ""
    return ""


def _line_of(text: str, word: str, first_line: int) -> int | None:
    before = _LEADING.match(text)
    around = r"\w" if word[:1].isalnum() else r"[=!<>&|]" if _OPERATOR.fullmatch(word) else r"(?!)"
    pattern = re.compile(rf"(?<!{around}){re.escape(word)}(?!{around})" if word else r"(?!)")
    found = pattern.search(text, before.end() if before else 0)
    return None if found is None else first_line + text.count("\n", 0, found.start())


def _unplaced(sources: Sequence[PolicySource], error: Malformed) -> PolicyFault:
    return PolicyFault(file=sources[0].file, line=1, code=error.code, message=error.message)
