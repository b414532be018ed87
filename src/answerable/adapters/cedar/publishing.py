"""Publish a policy set: parse and validate it, report all its faults together, and prepare it for decisions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import cedarpy
import msgspec

from answerable.adapters.cedar.heads import Head, head_of
from answerable.adapters.cedar.mentions import Mentions, flattened, folded, mentions_of
from answerable.adapters.cedar.notes import annotations_of, narrowing_faults, note_of
from answerable.adapters.cedar.policy_groups import UnevenGroupsError, parsed_policies, validation_errors
from answerable.adapters.cedar.schema import schema_faults, schema_of
from answerable.core.decision.decision import RULE_PREFIXES
from answerable.core.registry.policy_sets.policy_statement import policy_statement
from answerable.core.registry.policy_sets.policy_text import Statement, statements
from answerable.errors import Malformed, MalformedCode, shown
from answerable.errors.codes.policy import POLICY_INVALID, POLICY_SYNTAX, POLICY_TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import PolicyNote
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

POLICIES_MAX: Final = 20_000
HANDLE_POLICIES: Final = 250
"""Policies that are loaded at once to test whether Cedar accepts their JSON form; about 4 ms."""
FAULTS_SHOWN_MAX: Final = 20
FAULT_CHARS_MAX: Final = 300

_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?")
_POSITIONAL: Final = re.compile(r"for policy `policy\d+`, ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One published policy. json: Cedar's JSON form without annotations. conditional: whether it has a `when` or
    `unless`. head, mentions, note: parsed from it."""

    id: str
    forbids: bool
    conditional: bool
    head: Head
    mentions: Mentions
    note: PolicyNote
    json: msgspec.Raw

    @property
    def may_be_lifted(self) -> bool:
        """Whether it is a forbid that an approval or an obligation may lift."""
        return self.forbids and self.note.liftable


@dataclass(frozen=True, slots=True, kw_only=True)
class CedarPolicySet:
    """A validated policy set and the registry that it was validated against.

    statement: the canonical text of the set, as `policy_statement` defines it. digest: SHA-256 of the statement, hex.
    """

    digest: str
    statement: bytes
    policies: tuple[Policy, ...]
    notes: Mapping[str, PolicyNote]
    registry: RegistrySnapshot
    schema: Mapping[str, JSONValue]


def published(policies_text: str, registry_snapshot: RegistrySnapshot) -> CedarPolicySet:
    """Validate a policy set against the registered capabilities and prepare it for decisions.

    Raises Malformed with all faults found: `policy.too_large`, `policy.syntax`, `policy.invalid`. Slow: 10 ms for 50
    policies, 2 s for 10,000.
    """
    faults = schema_faults(registry_snapshot)
    if faults:
        raise _malformed(faults)
    schema = schema_of(registry_snapshot)
    pieces = statements(policies_text)
    read = _read(policies_text, pieces, registry_snapshot)
    policies, faults = read.policies, [*_unfinished(registry_snapshot), *read.faults]
    faults += _validation_faults(policies_text, pieces, schema, read.names)
    if not faults:
        faults = _handle_faults(policies)
    if faults:
        raise _malformed(faults)
    statement = policy_statement(policies_text, parts=registry_snapshot.parts, schema=schema)
    return CedarPolicySet(
        digest=statement.hex,
        statement=statement.bytes,
        policies=tuple(policies),
        notes=MappingProxyType({policy.id: policy.note for policy in policies}),
        registry=registry_snapshot,
        schema=MappingProxyType(schema),
    )


def specialised(policy: Policy, facts: Mapping[str, JSONValue]) -> Policy:
    """Return the policy with the facts of one capability written into its conditions as literals."""
    ast = msgspec.json.decode(policy.json)
    conditions = folded(ast.get("conditions"), member="capability", facts=facts)
    written = msgspec.Raw(msgspec.json.encode({**ast, "conditions": conditions}))
    return replace(policy, mentions=mentions_of(conditions), json=written)


def engine_form(policy: Policy, flat: Collection[str]) -> Policy:
    """Return the policy as slices evaluate it. Members of the records `flat` become separate attributes. A forbid that
    may be lifted becomes a permit: when Cedar names that permit, the forbid applies."""
    ast = msgspec.json.decode(policy.json)
    effect = "permit" if policy.may_be_lifted else ast["effect"]
    conditions = flattened(ast.get("conditions"), flat)
    written = msgspec.Raw(msgspec.json.encode({**ast, "effect": effect, "conditions": conditions}))
    return replace(policy, json=written)


def engine_policies(policies: tuple[Policy, ...]) -> cedarpy.PolicySet:
    """Load these policies into Cedar under their own ids."""
    static = {policy.id: policy.json for policy in policies}
    text = msgspec.json.encode({"templates": {}, "staticPolicies": static, "templateLinks": []})
    return cedarpy.PolicySet.from_json_str(text.decode())


@dataclass(slots=True)
class _Read:
    """The state of parsing a text. names: id of each policy, by its position. taken: ids already used."""

    snapshot: RegistrySnapshot
    pieces: tuple[Statement, ...]
    policies: list[Policy] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def take(self, position: str, ast: Mapping[str, object] | None) -> None:
        """Add one policy, or report a template."""
        if ast is None:
            self.faults.append(f"policy {shown(position)} is a template, which is not used here")
            return
        name = self._name(position, ast)
        note, faults = note_of(name, ast)
        self.policies.append(_policy(name, ast, note))
        head = self.policies[-1].head
        self.faults += faults + narrowing_faults(name, note, head, self.snapshot)

    def _name(self, position: str, ast: Mapping[str, object]) -> str:
        """Return the `@id`, or the position if there is none. Record any fault of the id."""
        name = annotations_of(ast).get("id")
        if not name:
            number = int(position.removeprefix("policy"))
            line = self.pieces[min(number, len(self.pieces) - 1)].line
            self.faults.append(f"policy on {_place(line, self.snapshot)} has no `@id`")
        elif not _ID.fullmatch(name):
            self.faults.append(
                f"policy id {shown(name)}: use 1 to 128 letters, digits and ._/- between letters or digits"
            )
        elif name.startswith(RULE_PREFIXES):
            taken = ", ".join(RULE_PREFIXES)
            self.faults.append(f"policy id {shown(name)} begins like the code of a rule: {taken}")
        elif name in self.taken:
            self.faults.append(f"policy id {shown(name)} is used twice")
        self.names[position] = name or position
        self.taken.add(self.names[position])
        return self.names[position]


def _read(text: str, pieces: tuple[Statement, ...], snapshot: RegistrySnapshot) -> _Read:
    """Parse every policy, in groups, or all at once if Cedar finds another number of policies than the text was split
    into."""
    if len(pieces) > POLICIES_MAX:
        raise POLICY_TOO_LARGE(f"the sets have {len(pieces)} policies, expected at most {POLICIES_MAX}")
    try:
        for whole in (False, True):
            read = _Read(snapshot, pieces)
            try:
                for position, ast in parsed_policies(text, pieces, whole=whole):
                    read.take(position, ast)
                break
            except UnevenGroupsError:
                continue
    except RecursionError:
        raise POLICY_SYNTAX("a policy's expression is nested too deeply") from None
    except ValueError as error:
        # Cedar's error has no position: parse each policy alone to find it.
        faults = [
            f"policy on {_place(piece.line, snapshot)}: {fault}"
            for piece in pieces
            if (fault := _syntax(piece.text))
        ]
        raise _malformed(faults or [_line(str(error))], code=POLICY_SYNTAX) from None
    return read


def _place(line: int, snapshot: RegistrySnapshot) -> str:
    """Return the set and the line within it for a line of the combined text, which holds all sets one after the other,
    by name."""
    number = line
    for name in sorted(snapshot.policy_sets):
        length = snapshot.policy_sets[name].policies.count("\n") + 1
        if number <= length:
            return f"line {number} of PolicySet {shown(name)}"
        number -= length
    return f"line {line}"


def _unfinished(registry_snapshot: RegistrySnapshot) -> list[str]:
    """Return a fault for each set whose text is not complete on its own: an open construct, such as an annotation,
    would continue in the next set."""
    sets = registry_snapshot.policy_sets.values()
    if len(sets) < 2:
        return []
    return [
        f"policy set {shown(one.name)} is not whole by itself: {fault}"
        for one in sets
        if (fault := _syntax_of_set(one.policies))
    ]


def _syntax_of_set(text: str) -> str | None:
    # Text that is quoted after another set may be brackets on its own: the nesting bound holds for each set alone.
    pieces = statements(text)
    for whole in (False, True):
        try:
            for _ in parsed_policies(text, pieces, whole=whole):
                pass
            break
        except UnevenGroupsError:
            continue
        except ValueError as error:
            return _line(str(error))
    return None


def _syntax(text: str) -> str | None:
    try:
        cedarpy.policies_to_json_str(text)
    except ValueError as error:
        return _line(str(error))
    return None


def _policy(name: str, ast: Mapping[str, object], note: PolicyNote) -> Policy:
    bare = {key: value for key, value in ast.items() if key != "annotations"}
    conditions = ast.get("conditions")
    return Policy(
        id=name,
        forbids=ast.get("effect") != "permit",
        conditional=bool(conditions),
        head=head_of(ast),
        mentions=mentions_of(conditions),
        note=note,
        json=msgspec.Raw(msgspec.json.encode(bare)),
    )


def _validation_faults(
    text: str, pieces: tuple[Statement, ...], schema: JSONValue, names: Mapping[str, str]
) -> list[str]:
    """Validate strictly with Cedar: unknown names, wrong types, unsafe access, heads that can match nothing."""
    written = msgspec.json.encode(schema).decode()
    try:
        return [
            f"policy {shown(names.get(position, position))}: {_POSITIONAL.sub('', _line(error))}"
            for position, error in validation_errors(text, pieces, len(names), written)
        ]
    except ValueError as error:
        return [f"schema of the registered capabilities: {_line(str(error))}"]


def _handle_faults(policies: list[Policy]) -> list[str]:
    """Return a fault for each policy that is nested too deeply. Cedar's JSON form has a depth limit that its text form
    lacks; without this check the first decision would fail."""
    try:
        for first in range(0, len(policies), HANDLE_POLICIES):
            engine_policies(tuple(policies[first : first + HANDLE_POLICIES]))
    except ValueError:
        return [fault for policy in policies if (fault := _handle_fault(policy))]
    return []


def _handle_fault(policy: Policy) -> str | None:
    try:
        engine_policies((policy,))
    except ValueError as error:
        return f"policy {shown(policy.id)} is nested too deeply: {_line(str(error))}"
    return None


def _line(text: str) -> str:
    return " ".join(text.split())[:FAULT_CHARS_MAX]


def _malformed(faults: list[str], *, code: MalformedCode = POLICY_INVALID) -> Malformed:
    more = len(faults) - FAULTS_SHOWN_MAX
    told = "; ".join(faults[:FAULTS_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
    return code(told)
