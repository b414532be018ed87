"""Propose a capability document for a tool, from the tool's definition. The owner reads, corrects and signs for the
proposal.

Laws: guesses assume the worst case, and are reported as notes; a server's hints raise the tier and never lower it;
nothing that the server wrote sets the ownership, and a capability without an owner is not active.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.capability import ActionKind
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME
from answerable.core.registry.tools.coaz_mapping import MEMBER, coaz_mappings
from answerable.core.registry.tools.tool_arguments import ARGUMENTS_MAX, arguments_in
from answerable.core.registry.tools.tool_hints import HINTS, hints_of
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import ArgumentType
    from answerable.core.registry.tools.coaz_mapping import CoazMapping
    from answerable.core.registry.tools.tool_arguments import ToolArgument, ToolArguments

TITLE_CHARS_MAX: Final = 120
DESTINATIONS_MAX: Final = 8
TYPE_CHARS_MAX: Final = 63
NAME_CHARS_MAX: Final = 63

_KIND_WORDS: Final[tuple[tuple[ActionKind, str], ...]] = (
    ("admin", "grant permission permissions role roles invite acl policy configure settings sudo"),
    ("delete", "delete remove drop purge destroy erase wipe truncate revoke cancel kill terminate"),
    ("pay", "pay payment transfer refund charge purchase buy order checkout invoice submit"),
    ("delegate", "delegate assign handoff spawn subagent"),
    ("communicate", "send mail email post reply notify message comment chat sms tweet publish share"),
    ("egress", "fetch browse crawl scrape download http request navigate url webhook curl"),
    ("execute", "exec execute run eval shell bash command script query sql call invoke"),
    (
        "write",
        "create add update set edit write put insert move rename upload append modify save merge commit push",
    ),
    ("read", "get list read search find show describe view count lookup status log diff"),
)
_TIERS: Final[dict[ActionKind, int]] = {
    "read": 0, "write": 1, "communicate": 1, "egress": 1, "delegate": 1, "delete": 2, "execute": 2, "pay": 2,
    "admin": 2,
}  # fmt: skip
"""Lowest tier of each kind, whatever the hints say."""
_TYPES: Final[dict[str, ArgumentType]] = {"string": "string", "boolean": "boolean", "integer": "integer"}
_RESOURCE_WORDS: Final = (
    "id",
    "uri",
    "path",
    "file",
    "name",
    "key",
    "number",
    "repository",
    "repo",
    "table",
    "database",
)
_MAIL_WORDS: Final = frozenset({"to", "cc", "bcc", "recipient", "recipients", "email", "emails", "mail"})
_HOST_WORDS: Final = frozenset(
    {"url", "uri", "host", "hostname", "endpoint", "webhook", "domain", "address", "link"}
)
_AMOUNT_WORDS: Final = frozenset({"amount", "total", "price", "sum", "value"})
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal. document: a Capability without ownership. notes: what to review, one line each, most important
    first."""

    document: dict[str, JSONValue]
    notes: tuple[str, ...]


def proposed(server: str, tool: Mapping[str, JSONValue], *, taken: Iterable[str] = ()) -> Proposal:
    """Propose a capability for a tool. taken: names of existing capabilities. Never raises."""
    target = str(tool.get("name", ""))
    schema = tool.get("inputSchema")
    known = arguments_in(schema)
    notes: list[str] = []
    arguments, names = _arguments(known, notes)
    kind = _kind(tool, target, names.values(), notes)
    mappings, fault = coaz_mappings(schema)
    if fault:
        notes.append(f"the server's own mapping is not understood: {fault}")
    spec: dict[str, JSONValue] = {
        "title": _title(tool, target),
        "server": server,
        "target": target,
        "kind": kind,
        "environment": "production",
        "tier": _tier(tool, kind, notes),
        "sensitivity": "restricted",
        "resource": _resource(server, known, names, mappings, notes),
    }
    if arguments:
        spec["arguments"] = arguments
    destination = _destination(known, names, notes)
    if destination:
        spec["destination"] = destination
    _note_amounts(names, known, notes)
    notes += _coaz_notes(mappings)
    notes.append("environment and sensitivity are guessed as the most careful: say what they are")
    notes.append("ownership is missing: until somebody answers for it, it is not active")
    document: dict[str, JSONValue] = {
        "apiVersion": "answerable/v1",
        "kind": "Capability",
        "metadata": {"name": _name(server, target, set(taken))},
        "spec": spec,
    }
    return Proposal(document=document, notes=tuple(notes))


def _name(server: str, target: str, taken: set[str]) -> str:
    words = "-".join(_words(target)) or "tool"
    name = f"{server}.{words}"[:NAME_CHARS_MAX].rstrip(".-_")
    number = 2
    while name in taken:
        tail = f"-{number}"
        name = f"{server}.{words}"[: NAME_CHARS_MAX - len(tail)].rstrip(".-_") + tail
        number += 1
    return name


def _title(tool: Mapping[str, JSONValue], target: str) -> str:
    given = tool.get("title")
    said = given if isinstance(given, str) and given else " ".join(_words(target)) or "use it"
    printable = "".join(c if c.isprintable() else " " for c in said)
    return " ".join(printable.split())[:TITLE_CHARS_MAX] or "use it"


def _kind(
    tool: Mapping[str, JSONValue], target: str, arguments: Iterable[str], notes: list[str]
) -> ActionKind:
    words = _words(target)
    kind: ActionKind = "execute"
    for candidate, listed in _KIND_WORDS:
        word = next((one for one in words if one in listed.split()), "")
        if word:
            kind = candidate
            notes.append(
                f"kind is guessed from the word `{word}` in its name: say what the tool can do at worst"
            )
            break
    else:
        notes.append(
            "nothing says what kind of action it is, so it counts as execute: say what it can do at worst"
        )
    hints = hints_of(dict(tool))
    if kind == "read" and hints.read_only is False:
        kind = "write"
        notes.append("the server says that it changes things, so its kind is not read")
    if kind in ("read", "write") and hints.destructive and not hints.read_only:
        kind = "delete"
        notes.append("the server says that it can destroy, so its kind is delete")
    if kind == "read" and any(_HOST_WORDS & set(_words(name)) for name in arguments):
        kind = "egress"
        notes.append("it takes an address, and whoever calls one sends what it holds: its kind is egress")
    return kind


def _tier(tool: Mapping[str, JSONValue], kind: ActionKind, notes: list[str]) -> int:
    hints = hints_of(dict(tool)).believed(kind)
    unsaid = [name for name in HINTS if name not in hints.said()]
    tier = max(_TIERS[kind], hints.tier_at_least(unsaid_is_worst=True))
    if unsaid:
        notes.append(
            f"tier {tier}: what the server does not say ({', '.join(unsaid)}) counts as the worst; if you know better, "
            "lower it and add `unhinted: accepted`"
        )
    else:
        notes.append(
            f"tier {tier} by the server's hints and the kind; hints are its word, raise it if you know better"
        )
    return tier


def _arguments(known: ToolArguments, notes: list[str]) -> tuple[list[JSONValue], dict[str, str]]:
    """Return the argument mappings, and the name of each mapped path."""
    found: list[JSONValue] = []
    names: dict[str, str] = {}
    left_out: list[str] = []
    for path, argument in known.items():
        types = set(argument.type.split(" or ")) - {"null"}
        kind = _TYPES.get(next(iter(types))) if len(types) == 1 else None
        if types == {"array"} and known.get(f"{path}/*") is not None and known[f"{path}/*"].type == "string":
            kind = "string_set"
        if path.endswith("/*") or types == {"object"}:
            continue
        if "/*/" in path:
            kind = "string_set" if kind == "string" else None
        name = _argument_name(path, set(names.values()))
        if kind is None or not name:
            left_out.append(path)
            continue
        names[path] = name
        mapping: dict[str, JSONValue] = {"name": name, "type": kind}
        if argument.required and path.count("/") == 1:
            mapping["required"] = True
        if path != f"/{name}":
            mapping["pointer"] = path
        found.append(mapping)
    if left_out:
        listed = ", ".join(shown(path) for path in left_out[:8])
        notes.append(f"policies cannot see {listed}: no type of theirs fits")
    if len(known) >= ARGUMENTS_MAX:
        notes.append(f"it has more than {ARGUMENTS_MAX} arguments: the rest is not looked at")
    elif known.cut:
        below = ", ".join(shown(path or "/") for path in sorted(known.cut)[:8])
        notes.append(f"its arguments are nested too deep: what is below {below} is not looked at")
    return found, names


def _argument_name(path: str, taken: set[str]) -> str:
    """Return the last step of the path if that name is free, else the whole path."""
    steps = [step for step in path.split("/")[1:] if step != "*"]
    for name in (steps[-1] if steps else "", "_".join(steps)):
        if ARGUMENT_NAME.fullmatch(name) and name not in taken:
            return name
    return ""


def _resource(
    server: str,
    known: Mapping[str, ToolArgument],
    names: Mapping[str, str],
    mappings: tuple[CoazMapping, ...],
    notes: list[str],
) -> JSONValue:
    for mapping in mappings[:1]:
        term, kind = mapping.term("resource.id"), mapping.term("resource.type")
        if term is not None and term.pointer in names:
            notes.append(
                "the resource is what the server's own mapping says: see whether that is what is touched"
            )
            said = kind.fixed if kind is not None else ""
            return {"type": _type(said or names[term.pointer]), "argument": names[term.pointer]}
    for word in _RESOURCE_WORDS:
        for path, name in names.items():
            single = known[path].type.removesuffix(" or null") in ("string", "integer") and "*" not in path
            if single and known[path].required and _words(name)[-1:] == [word]:
                notes.append(f"the resource is guessed to be what `{name}` names: say what is touched")
                return {"type": _type(name), "argument": name}
    notes.append(
        "no argument was found that names what is touched, so it is the whole server: say what is touched"
    )
    return {"type": _type(server), "fixed": server}


def _destination(known: Mapping[str, ToolArgument], names: Mapping[str, str], notes: list[str]) -> JSONValue:
    for kind, words in (("email", _MAIL_WORDS), ("host", _HOST_WORDS)):
        found: list[JSONValue] = [
            name
            for path, name in names.items()
            if (words & set(_words(name)) or known[path].bounds.get("format") in _FORMATS[kind])
            and known[path].type not in ("boolean", "integer")
        ]
        if found:
            listed = ", ".join(f"`{name}`" for name in found[:DESTINATIONS_MAX])
            notes.append(f"it is guessed to send to what {listed} names: say where it sends")
            return {"type": kind, "arguments": found[:DESTINATIONS_MAX]}
    return None


_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "email": ("email", "idn-email"),
    "host": ("uri", "url", "hostname", "uri-reference", "iri"),
}


def _note_amounts(names: Mapping[str, str], known: Mapping[str, ToolArgument], notes: list[str]) -> None:
    for path, name in names.items():
        if known[path].type == "integer" and _AMOUNT_WORDS & set(_words(name)):
            notes.append(
                f"`{name}` may be money: then its type is `minor_units`, and `amount` names it with its currency"
            )


def _coaz_notes(mappings: tuple[CoazMapping, ...]) -> list[str]:
    notes = []
    for mapping in mappings:
        for term in mapping.terms:
            read = "an expression over more than the arguments: read it"
            if term.pointer:
                read = f"argument {shown(term.pointer)}"
            elif term.fixed:
                read = "plain text"
            notes.append(f"the server's `{MEMBER}` says {shown(term.place)} is {shown(term.text)}: {read}")
    return notes[:20]


def _type(text: str) -> str:
    """Make a Cedar entity type name from any text."""
    words = [word for word in _words(text) if word not in ("id", "uri", "path", "name")] or _words(text)
    name = "".join(word.capitalize() for word in words)[:TYPE_CHARS_MAX]
    name = name if name[:1].isalpha() else f"Thing{name}"[:TYPE_CHARS_MAX]
    return f"{name}Resource" if name in ("Action", "Agent", "Principal", "UseCase") else name


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]
