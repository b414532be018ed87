"""Parse the annotations of a policy (`@id`, `@reason`, `@approve`, `@oblige`, …) and report their faults."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.heads import ANY
from answerable.adapters.cedar.schema import ACTION
from answerable.core.decision.decision import PolicyNote
from answerable.core.decision.facts import Requirement
from answerable.core.decision.obligation import duties_of, obligations_in
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.adapters.cedar.heads import Head
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.obligation import Narrowing
    from answerable.core.registry.documents.capability import ArgumentType, Capability
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

REASON_CHARS_MAX: Final = 300
APPROVERS_MAX: Final = 9
ANNOTATIONS: Final = ("id", "reason", "internal", "approve", "oblige", "break_glass")

GROUPS_MAX: Final = 4
"""Limit of alternative groups in one `@approve`."""
_GROUP: Final = r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?"
_APPROVE: Final = re.compile(rf"({_GROUP}(?:\|{_GROUP}){{0,{GROUPS_MAX - 1}}}):([1-{APPROVERS_MAX}])")
_BREAK_GLASS: Final = re.compile(rf"{_GROUP}(?:\|{_GROUP}){{0,{GROUPS_MAX - 1}}}")
_NUMBERS: Final[frozenset[ArgumentType]] = frozenset({"integer", "minor_units"})
_TEXTS: Final[frozenset[ArgumentType]] = frozenset({"string", "decimal"})


def annotations_of(ast: Mapping[str, object]) -> dict[str, str | None]:
    """Return the annotations of a policy in Cedar's JSON form."""
    found = ast.get("annotations")
    return dict(found) if isinstance(found, dict) else {}


def note_of(name: str, ast: Mapping[str, object]) -> tuple[PolicyNote, list[str]]:
    """Return the note that the annotations of a policy define, and every fault in them."""
    annotations = annotations_of(ast)
    forbids = ast.get("effect") == "forbid"
    faults = [
        f"policy {shown(name)}: unknown annotation {shown('@' + key)}{_near(key)}"
        for key in annotations
        if key not in ANNOTATIONS
    ]
    texts = {"reason": f"policy {name}", "internal": ""}
    for key in texts.keys() & annotations.keys():
        texts[key] = annotations[key] or ""
        if not _is_line(texts[key]):
            faults.append(
                f"policy {shown(name)}: `@{key}` must be one line of 1 to {REASON_CHARS_MAX} characters"
            )
    faults += [
        f"policy {shown(name)}: `@{key}` is allowed only on a forbid: it says what may lift it"
        for key in ("approve", "oblige", "break_glass")
        if key in annotations and not forbids
    ]
    approve: Requirement | None = None
    oblige: tuple[str, ...] = ()
    if "approve" in annotations:
        match = _APPROVE.fullmatch(annotations["approve"] or "")
        if match is None:
            faults.append(
                f"policy {shown(name)}: `@approve` must be a group and a count from 1 to "
                f"{APPROVERS_MAX}, such as `finance:2`, or up to {GROUPS_MAX} alternative groups, "
                "such as `finance|board:2`"
            )
        else:
            approve = Requirement(group=match[1], count=int(match[2]))
    if "oblige" in annotations:
        try:
            oblige = obligations_in(annotations["oblige"] or "")
        except Malformed as fault:
            faults.append(f"policy {shown(name)}: `@oblige`: {fault.message}")
    glass = annotations.get("break_glass") or ""
    if "break_glass" in annotations and not _BREAK_GLASS.fullmatch(glass):
        faults.append(
            f"policy {shown(name)}: `@break_glass` must be a group, such as `on-call`, or up to "
            f"{GROUPS_MAX} joined by `|`, whose members may run the action without the approval"
        )
    elif glass and approve is None:
        faults.append(f"policy {shown(name)}: `@break_glass` needs an `@approve` on the same policy")
    note = PolicyNote(
        reason=texts["reason"],
        approve=approve,
        oblige=oblige,
        internal=texts["internal"],
        break_glass=glass,
    )
    return note, faults


def narrowing_faults(name: str, note: PolicyNote, head: Head, registry: RegistrySnapshot) -> list[str]:
    """Return a fault for each argument that a policy narrows and that no capability it can match declares with a
    suitable type."""
    narrowings = duties_of(note.oblige).narrow
    if not narrowings:
        return []
    capabilities = (*registry.capabilities.values(), *registry.idle.values())
    declared = [mapping for one in _reached(head, capabilities) for mapping in one.arguments]
    return [
        (
            f"policy {shown(name)}: `@oblige`: no capability that it can match has an argument "
            f"{shown(narrowing.argument)} of a type that can be narrowed like this"
        )
        for narrowing in narrowings
        if not any(
            mapping.name == narrowing.argument and mapping.type in _types_for(narrowing)
            for mapping in declared
        )
    ]


def _reached(head: Head, capabilities: Iterable[Capability]) -> list[Capability]:
    return [
        one
        for one in capabilities
        if {ANY, (ACTION, one.name), (ACTION, one.kind)} & set(head.actions)
        and head.fits(one.resource.type, None, any_id=True)
    ]


def _types_for(narrowing: Narrowing) -> frozenset[ArgumentType]:
    """Return the declared argument types that this narrowing can apply to."""
    if narrowing.how == "at_most":
        return _NUMBERS | {"decimal"}
    if isinstance(narrowing.bound, list) and narrowing.how == "exactly":
        return frozenset({"string_set"})
    members = narrowing.bound if isinstance(narrowing.bound, list) else [narrowing.bound]
    lists: frozenset[ArgumentType] = frozenset({"string_set"} if narrowing.how == "one_of" else ())
    return frozenset().union(*(_types_of(one, lists) for one in members))


def _types_of(member: JSONValue, lists: frozenset[ArgumentType]) -> frozenset[ArgumentType]:
    if isinstance(member, bool):
        return frozenset({"boolean"})
    return _NUMBERS if isinstance(member, int) else _TEXTS | lists


def _is_line(text: str) -> bool:
    return bool(text.strip()) and len(text) <= REASON_CHARS_MAX and text.isprintable()


def _near(key: str) -> str:
    near = difflib.get_close_matches(key, ANNOTATIONS, n=1)
    return f", did you mean `@{near[0]}`" if near else ""
