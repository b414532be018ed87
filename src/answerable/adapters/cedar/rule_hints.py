"""Improve Cedar's error messages: find the line that a message is about and suggest what was probably meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import cedarpy

from answerable.adapters.cedar.schema import AGENT, KINDS, USE_CASE
from answerable.core.registry.documents.look_alike import meant

if TYPE_CHECKING:
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

WORDS: Final = ("permit", "forbid", "when", "unless")
NAMES_SHOWN_MAX: Final = 8
TRIES_MAX: Final = 100
"""Limit of positions of one token that are tried."""

_TOKEN: Final = re.compile(r"unexpected token `([^`]+)`$")
_WORDY: Final = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_CURLY: Final = re.compile("[\u201c\u201d\u2018\u2019]")
_STARTS: Final = ("@", "permit", "forbid")
_ARGUMENT: Final = re.compile(r'attribute `arguments\.(\w+)` in context for Action::"([^"]+)" not found')
_ACTION: Final = re.compile(r"unrecognized action `")
_EQUAL_KIND: Final = re.compile(r'\baction\s*==\s*Action\s*::\s*"([^"]*)"')
_TYPE: Final = re.compile(r"unrecognized entity type `([^`]+)`")


def syntax_place(text: str, message: str) -> tuple[int | None, str]:
    """Return the line of `text`, from 0, where Cedar stopped parsing, and a hint. The line is None if unknown: Cedar
    names the unexpected token, but not its position."""
    if message == "invalid token" and (curly := _CURLY.search(text)) is not None:
        return text.count("\n", 0, curly.start()), "; use straight quotes"
    token = _TOKEN.search(message)
    if token is None:
        last = re.search(r"\b(?:effect|condition): (\w+)$", message)
        found = meant(last[1], WORDS) if last else None
        return None, f"; did you mean `{found[1]}`?" if found else ""
    at = _first_unexpected(text, token[1], message)
    if at is None:
        return None, ""
    return text.count("\n", 0, at), _token_meant(text[:at], token[1])


def _first_unexpected(text: str, token: str, message: str) -> int | None:
    """Return the position of the first occurrence of a token for which the text up to it gives the same error
    message."""
    around = r"\w" if token[:1].isalnum() or token[:1] == "_" else r"(?!)"
    places = re.finditer(rf"(?<!{around}){re.escape(token)}(?!{around})", text)
    for _, place in zip(range(TRIES_MAX), places, strict=False):
        try:
            cedarpy.policies_to_json_str(text[: place.end()])
        except (ValueError, RecursionError) as error:
            if " ".join(str(error).split()) == message:
                return place.start()
    return None


def _token_meant(before: str, token: str) -> str:
    if token in _WORDY:
        return f"; did you mean `{_WORDY[token]}`?"
    code = re.sub(r"//[^\n]*", "", before).rstrip()
    if token in _STARTS and code.endswith((")", "}")):
        return "; end the policy before it with `;`"
    if (word := re.search(r"\b(and|or|not)$", code)) is not None:
        return f"; did you mean `{_WORDY[word[1]]}` instead of `{word[1]}`?"
    return ""


def head_meant(text: str, message: str, snapshot: RegistrySnapshot) -> tuple[int | None, str]:
    """Return the line of `text`, from 0, and a hint for a validation error about a policy's head."""
    if (kind := _TYPE.search(message)) is not None:
        used = re.search(rf"\b{re.escape(kind[1])}\s*::", text)
        line = None if used is None else text.count("\n", 0, used.start())
        return line, _type_meant(kind[1], text, snapshot)
    if "unable to find an applicable action" in message:
        named = _EQUAL_KIND.search(text)
        if named is not None and named[1] in KINDS:
            hint = f'; `{named[1]}` is a kind of actions: write `action in Action::"{named[1]}"`'
            return text.count("\n", 0, named.start()), hint
    if (argument := _ARGUMENT.search(message)) is not None:
        return None, _argument_meant(argument[1], argument[2], snapshot)
    if _ACTION.search(message) is not None:
        return None, f"; kinds of actions are {', '.join(KINDS)}"
    return None, ""


def _argument_meant(name: str, action: str, snapshot: RegistrySnapshot) -> str:
    """Return a hint for an unknown argument: the capabilities that declare it, or the arguments that the action
    declares."""
    known = {**snapshot.capabilities, **snapshot.idle}
    having = sorted(one.name for one in known.values() if any(name == each.name for each in one.arguments))
    if having:
        listed = ", ".join(having[:NAMES_SHOWN_MAX]) + (", …" if len(having) > NAMES_SHOWN_MAX else "")
        return (
            f"; only {listed} declare it: name those in the head, or ask `context.arguments has {name}` first"
        )
    declared = [each.name for each in known[action].arguments] if action in known else []
    return f"; `{action}` declares {', '.join(declared[:NAMES_SHOWN_MAX]) or 'no arguments'}"


def _type_meant(name: str, text: str, snapshot: RegistrySnapshot) -> str:
    touched = sorted({one.resource.type for one in snapshot.capabilities.values()})
    if (found := meant(name, (AGENT, USE_CASE, *touched))) is not None:
        return f"; did you mean `{found[1]}`?"
    if re.search(rf"\bprincipal\s*(?:==|in|is)\s*{re.escape(name)}\b", text):
        return "; who acts is an `Agent` or is in a `UseCase`; who gave the task is `context.task.principal`"
    return f"; known here: {', '.join(touched)}" if touched else ""
