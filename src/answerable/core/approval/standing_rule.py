"""Derive a policy exception from many similar approvals, narrower than the requests that people approved.

The rule that requires approval gets an exception, as Cedar text: this agent acting directly, this capability and use
case, exactly the approved resources and argument values, numbers between the smallest and the largest seen, until a
date.

Laws: the exception allows only what is like something approved, in each member that policy sees; what cannot be bounded
is not proposed, with the reason; nothing comes into force here: the proposal takes the path of every policy change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from answerable.core.registry.documents.pointing import named_arguments
from answerable.core.registry.policy_sets.policy_text import statements
from answerable.errors import Malformed, shown
from answerable.errors.codes.approval import STANDING_RULE_RULE, STANDING_RULE_UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import ArgumentMapping, Capability

VALUES_MAX: Final = 10
"""Maximum number of different texts of one argument, or of resources; more have nothing evident in common."""
TEXT_CHARS_MAX: Final = 200
CRITICAL: Final = 3
_KNOWN: Final = frozenset(
    {
        "agent", "amounts", "arguments", "by_click", "capability", "chain", "destinations", "effects", "expires_at",
        "manifest", "mandate", "method", "narrowed_from", "not_before", "noted", "obligations", "policy_set",
        "principals", "purpose", "requirements", "resource", "rules", "server", "subject", "target", "title",
        "tool", "txn", "use_case", "v",
    }
)  # fmt: skip
"""Members of an action object that are bounded here, or that follow from bounded ones."""
_ID: Final = re.compile(r'@id\s*\(\s*"((?:[^"\\]|\\.)*)"\s*\)')
_FORBIDS: Final = re.compile(r"\bforbid\s*\(")
_COMMENT: Final = re.compile(r"//[^\n\r]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingException:
    """An exception to a rule, derived from past approvals. condition: the body of the `unless`. notes: what a reviewer
    should check."""

    condition: str
    notes: tuple[str, ...]


def exception_from(
    approved: Sequence[Mapping[str, JSONValue]], capability: Capability, *, until: int
) -> StandingException:
    """Build the exception that covers all these action objects. until: Unix milliseconds.

    Raises Malformed (`standing_rule.unbounded`), in words, for what cannot be bounded.
    """
    if not approved:
        raise _unbounded("nothing was approved")
    if capability.tier >= CRITICAL:
        raise _unbounded("critical actions are always asked about")
    other = sorted({name for one in approved for name in one} - _KNOWN)
    if other:
        raise _unbounded(f"of what people saw, policy does not see {shown(other[0])}")
    if any(one.get("chain") for one in approved):
        raise _unbounded("it came through other agents")
    arguments = [cast("dict[str, JSONValue]", one["arguments"]) for one in approved]
    hidden = sorted({name for one in arguments for name in one} - {one.name for one in capability.arguments})
    if hidden or any(one.pointer for one in capability.arguments):
        what = f"argument {shown(hidden[0])}" if hidden else "arguments inside of others"
        raise _unbounded(f"policy does not see the whole of what was sent: {what}")
    named = [named_arguments(capability.arguments, one) for one in arguments]
    terms = [
        f"principal == Agent::{_text(_only(approved, 'agent'))}",
        f"action == Action::{_text(_only(approved, 'capability'))}",
        f"context.task.use_case == {_text(_only(approved, 'use_case'))}",
        "context.chain.depth == 0",
        "!context.agent.drifted",
        _resource(approved, capability),
        *(term for one in capability.arguments for term in _argument(one, named)),
        f"context.now < {until}",
    ]
    notes = (
        "arguments of the tool that the capability does not name are not bounded by it: see that there are none",
    )
    return StandingException(condition=" &&\n  ".join(terms), notes=notes)


def with_exception(policies: str, rule: str, condition: str, *, why: str) -> str:
    """Return the text of a policy set with the exception added to this forbid. why: one line, for readers.

    Raises Malformed (`standing_rule.rule`) unless exactly one forbid of that id is there, and `policy.too_large`.
    """
    found = [one for one in statements(policies) if _is_forbid(one.text, rule)]
    if len(found) != 1:
        raise STANDING_RULE_RULE(f"{len(found)} `forbid` policies have the id {shown(rule)}, expected one")
    text = found[0].text
    end = text.rindex(";")
    line = " ".join("".join(c if c.isprintable() else " " for c in why).split())
    changed = f"{text[:end].rstrip()}\n// {line}\nunless {{\n  {condition}\n}}{text[end:]}"
    whole = policies.replace(text, changed)
    statements(whole)
    return whole


def _is_forbid(text: str, rule: str) -> bool:
    """Comments are ignored."""
    bare = _COMMENT.sub("", text)
    ids = _ID.findall(bare)
    return ids == [rule] and _FORBIDS.search(bare) is not None and bare.rstrip().endswith(";")


def _only(approved: Sequence[Mapping[str, JSONValue]], member: str) -> JSONValue:
    values = {str(one.get(member)) for one in approved}
    if len(values) != 1:
        raise _unbounded(f"they are of more than one {member}")
    return values.pop()


def _resource(approved: Sequence[Mapping[str, JSONValue]], capability: Capability) -> str:
    names = sorted({str(cast("dict[str, JSONValue]", one["resource"])["id"]) for one in approved})
    if len(names) > VALUES_MAX:
        raise _unbounded(f"it was of {len(names)} different resources")
    kind = capability.resource.type
    listed = [f"{kind}::{_text(name)}" for name in names]
    return f"resource == {listed[0]}" if len(listed) == 1 else f"[{', '.join(listed)}].contains(resource)"


def _argument(mapping: ArgumentMapping, named: Sequence[Mapping[str, JSONValue]]) -> Iterator[str]:
    """Yield the condition that holds for this argument in all of them."""
    seen = [one[mapping.name] for one in named if mapping.name in one]
    where, has = f"context.arguments.{mapping.name}", f"context.arguments has {mapping.name}"
    if not seen:
        yield f"!({has})"
        return
    condition = _bounds(mapping, where, seen)
    if mapping.required:
        yield condition
    elif len(seen) == len(named):
        yield f"{has} && {condition}"
    else:
        yield f"(!({has}) || {condition})"


def _bounds(mapping: ArgumentMapping, where: str, seen: Sequence[JSONValue]) -> str:
    match mapping.type:
        case "integer" | "minor_units":
            numbers = [one for one in seen if type(one) is int]
            if len(numbers) == len(seen):
                return f"({where} >= {min(numbers)} && {where} <= {max(numbers)})"
        case "boolean":
            told = sorted({"true" if one else "false" for one in seen})
            return f"({' || '.join(f'{where} == {one}' for one in told)})"
        case "string":
            return f"[{', '.join(_texts(mapping, seen))}].contains({where})"
        case "string_set":
            if all(isinstance(one, list) for one in seen):
                inside = [text for one in seen for text in cast("list[JSONValue]", one)]
                return f"[{', '.join(_texts(mapping, inside))}].containsAll({where})"
    raise _unbounded(f"argument {shown(mapping.name)} is of a type that cannot be bounded")


def _texts(mapping: ArgumentMapping, values: Sequence[JSONValue]) -> list[str]:
    texts = sorted({one for one in values if isinstance(one, str)})
    if len(texts) > VALUES_MAX or not texts or any(not isinstance(one, str) for one in values):
        raise _unbounded(f"argument {shown(mapping.name)} had {len(texts)} different values")
    return [_text(one) for one in texts]


def _text(value: JSONValue) -> str:
    """Write a printable text as Cedar."""
    text = str(value)
    if not text.isascii() or not text.isprintable() or len(text) > TEXT_CHARS_MAX:
        raise _unbounded("a value cannot be written plainly")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unbounded(why: str) -> Malformed:
    return STANDING_RULE_UNBOUNDED(f"no narrower rule can be suggested: {why}")
