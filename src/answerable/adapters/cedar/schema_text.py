"""Write the generated schema in Cedar's human-readable syntax, and check that a stored copy is current."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING, Final

import cedarpy
import msgspec

from answerable.adapters.cedar.schema import schema_of
from answerable.core.registry.policy_sets.policy_fault import PolicyFault
from answerable.errors.codes.documents import SCHEMA_MISSING, SCHEMA_STALE
from answerable.errors.codes.policy import POLICY_INVALID

if TYPE_CHECKING:
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

HEADING: Final = "// Made by `answerable policy schema` from the registry. Do not edit.\n"


def schema_text(snapshot: RegistrySnapshot) -> str:
    """Return the schema in Cedar's syntax; deterministic for a registry. Raises Malformed (`policy.invalid`)."""
    try:
        schema = cedarpy.Schema.from_json_str(msgspec.json.encode(schema_of(snapshot)).decode())
    except ValueError as error:
        message = f"schema of the registered capabilities: {' '.join(str(error).split())[:300]}"
        raise POLICY_INVALID(message) from None
    # Cedar writes names in sorted order.
    return f"{HEADING}{str(schema).strip()}\n"


def schema_fault(file: str, stored: str | None, snapshot: RegistrySnapshot) -> PolicyFault | None:
    """Return the fault of a stored schema that is missing or belongs to another registry; None if it is current."""
    how = f"write it with `answerable policy schema --for DIR --output DIR/{file}`"
    if stored is None:
        message = f"{file} is missing, from which editors and reviewers know what policies can use: {how}"
        return PolicyFault(file=file, line=1, code=SCHEMA_MISSING.id, message=message)
    made = schema_text(snapshot)
    if stored == made:
        return None
    changes = unified_diff(stored.splitlines(), made.splitlines(), lineterm="", n=0)
    first, *rest = [text for text in changes if not text.startswith(("---", "+++"))]
    line = max(1, int(first.split()[1].lstrip("-").partition(",")[0]))
    change = _first_change(rest)
    message = (
        f"the schema is not that of this registry: the first difference is {change}; {how}, "
        "and read what changed"
    )
    return PolicyFault(file=file, line=line, code=SCHEMA_STALE.id, message=message)


def _first_change(lines: list[str]) -> str:
    """Return the first name that only one of the two schemas has. Lines that differ only in brackets are skipped: an
    empty record closes on its own line, so adding a member to it changes that line too."""
    sides = {sign: {_bare(text) for text in lines if text[:1] == sign} for sign in "+-"}
    names = [text for text in lines if text[:1] in sides and _bare(text)]
    alone = [text for text in names if not all(_bare(text) in side for side in sides.values())]
    for text in (*alone, *names):
        return f"`{text[0]} {_bare(text)[:80]}`"
    return "line ends"


def _bare(line: str) -> str:
    return " ".join(line[1:].split()).strip(" {},;")
