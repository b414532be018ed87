"""How things out of entries are written for people: one line, printable, cut, in nobody's quotation marks but ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

VALUE_CHARS_MAX: Final = 160


def named(member: str, leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    """A person: by name where the fields can be opened, else by the pseudonym of the leaf."""
    name = payload.get(member)
    return plain(name) if isinstance(name, str) else short(leaf.get(member))


def listed(value: JSONValue) -> str:
    """Several of them, or `default` where there is none."""
    return ", ".join(plain(v) for v in value) if isinstance(value, list) and value else "default"


def short(value: JSONValue) -> str:
    """An id or a digest; of a long one its beginning."""
    text = str(value)
    return shown(text if len(text) <= 26 else f"{text[:12]}…")[1:-1]


def plain(value: JSONValue) -> str:
    """As a person reads it. An upstream's answer may hold what our own canonical form refuses."""
    try:
        text = (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        )
    except RecursionError:
        text = "something nested too deeply to show"
    # Our own reasons quote with backticks, which would be taken for somebody's attempt to end a quotation.
    return shown(text.replace("`", "'"), VALUE_CHARS_MAX)[1:-1]


def proof_told(leaf: Mapping[str, JSONValue]) -> str:
    """How the caller proved who it is."""
    proof = leaf.get("proof")
    if not isinstance(proof, dict):
        return "nothing on record"
    return f"{proof.get('kind')} of {short(proof.get('binding'))}, message {proof.get('sequence')}"


def for_card(leaf: Mapping[str, JSONValue]) -> str:
    """That it was the gateway who asked, for people who were about to be asked; empty where the agent did."""
    approval = leaf.get("preview_of")
    return f", asked by the gateway for the card of approval {short(approval)}," if approval else ""


def instance_told(leaf: Mapping[str, JSONValue]) -> list[str]:
    """What is known of the running instance, in one line; none where nothing is."""
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
    """Which fields of a manifest were measured, and by whom. An entry from before that was told says only how well the
    worst that matched was known, which is not how well the rest was."""
    fields = leaf.get("manifest_fields")
    if not isinstance(fields, dict) or not fields:
        known = leaf.get("manifest_grade") == "claimed" or fields is not None
        return "all of it claimed" if known else "which of its fields were measured was not written down"
    told = ", ".join(f"{plain(name)} by {measurer(fields[name])}" for name in sorted(fields))
    return f"measured: {told}, all else claimed"


def measurer(grade: JSONValue) -> str:
    """Who measured a process."""
    words = {"kernel": "the kernel", "sidecar": "its sidecar", "gateway": "the gateway", "claimed": "nobody"}
    return words.get(str(grade), short(grade))
