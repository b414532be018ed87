"""Format values from entries for people: one line, printable, cut, quoted only by our own quotation marks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from answerable.core.incident.hiding import HIDDEN
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

VALUE_CHARS_MAX: Final = 160
DENIED_TOLD_MAX: Final = 20
"""Approvals that the line of a stop names."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/@+-]+")
"""Texts that cannot be taken for words of our own sentences."""


def named(member: str, leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    """Return a person's name where the fields can be decrypted, else the pseudonym in the leaf."""
    name = payload.get(member)
    return plain(name) if isinstance(name, str) else short(leaf.get(member))


def listed(value: JSONValue) -> str:
    """Join several values, or return `default` for none."""
    return ", ".join(plain(v) for v in value) if isinstance(value, list) and value else "default"


def denied_told(leaf: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Return which waiting approvals a stop denied; nothing for none."""
    names = leaf.get("approvals")
    if not isinstance(names, list) or not names:
        return ()
    told, count = [short(one) for one in names[:DENIED_TOLD_MAX]], leaf.get("approvals_count", len(names))
    more = f" and {count - len(told)} more" if isinstance(count, int) and count > len(told) else ""
    return (f"waiting approvals that it denied: {', '.join(told)}{more}",)


def short(value: JSONValue) -> str:
    """Return an id or a digest; of a long one its beginning."""
    text = str(value)
    return shown(text if len(text) <= 26 else f"{text[:12]}…")[1:-1]


def plain(value: JSONValue) -> str:
    """Return a value as text. An upstream's answer may contain what our own canonical form refuses."""
    try:
        text = (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        )
    except RecursionError:
        text = "something nested too deeply to show"
    # Our own reasons quote with backticks, which would look like an attempt to end a quotation.
    return shown(text.replace("`", "'"), VALUE_CHARS_MAX)[1:-1]


def quoted(value: JSONValue) -> str:
    """Return a value that somebody else chose, inside of a sentence of ours: a text with anything but letters, digits
    and a few signs stands between quotation marks, and has none of its own."""
    text = plain(value)
    if not isinstance(value, str) or value == HIDDEN or _PLAIN.fullmatch(text):
        return text
    inner = text.replace('"', "'")
    return f'"{inner}"'


def arguments_told(arguments: Mapping[str, JSONValue]) -> str:
    """Return arguments, each with its name. Both are chosen by whoever called."""
    return ", ".join(f"{quoted(short(name))}={quoted(value)}" for name, value in arguments.items())


def proof_told(leaf: Mapping[str, JSONValue]) -> str:
    """Describe how the caller proved its identity."""
    proof = leaf.get("proof")
    if not isinstance(proof, dict):
        return "nothing on record"
    return f"{proof.get('kind')} of {short(proof.get('binding'))}, message {proof.get('sequence')}"


def for_card(leaf: Mapping[str, JSONValue]) -> str:
    """State that the gateway made the call, to show people what they would approve; empty where the agent did."""
    approval = leaf.get("preview_of")
    return f", asked by the gateway for the card of approval {short(approval)}," if approval else ""


def instance_told(leaf: Mapping[str, JSONValue]) -> list[str]:
    """Describe what is known of the running instance, in one line; none where nothing is."""
    evidence, parts = leaf.get("evidence"), []
    if leaf.get("instance"):
        parts.append(f"instance {plain(leaf.get('instance'))}")
    if isinstance(evidence, dict):
        parts.append(f"shown by {evidence.get('source')}, measured by {measurer(evidence.get('grade'))}")
    if leaf.get("manifest"):
        differs = isinstance(evidence, dict) and evidence.get("drifted") is True
        known = f", {fields_told(leaf)}" if leaf.get("manifest_grade") else ""
        parts.append(
            f"manifest {short(leaf.get('manifest'))}{known}{', from which it differs' if differs else ''}"
        )
    return ["; ".join(parts)] if parts else []


def fields_told(leaf: Mapping[str, JSONValue]) -> str:
    """Describe which fields of a manifest were measured, and by whom. An old entry states only the worst grade among
    the matching fields, which is not the grade of the others."""
    fields = leaf.get("manifest_fields")
    if not isinstance(fields, dict) or not fields:
        known = leaf.get("manifest_grade") == "claimed" or fields is not None
        return "all of it claimed" if known else "which of its fields were measured was not written down"
    told = ", ".join(f"{plain(name)} by {measurer(fields[name])}" for name in sorted(fields))
    return f"measured: {told}, all else claimed"


def measurer(grade: JSONValue) -> str:
    """Return who measured a process."""
    words = {"kernel": "the kernel", "sidecar": "its sidecar", "gateway": "the gateway", "claimed": "nobody"}
    return words.get(str(grade), short(grade))
