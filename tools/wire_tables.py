"""Tables of claims in the pages under docs/reference/wire, which are written by hand but for these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from answerable.core.approval.batch_answer import BATCH
from answerable.core.approval.deputy_statement import DUTY
from answerable.core.approval.review import REVIEW
from answerable.core.approval.token import ANSWER
from answerable.core.containment.lift import LIFT
from answerable.core.incident.incident_statement import INCIDENT
from answerable.core.ledger.warrant_token import WARRANT
from answerable.core.mandate.token import MANDATE
from answerable.core.registry.manifests.manifest_token import MANIFEST
from answerable.core.registry.policy_sets.publication import PUBLICATION
from answerable.core.registry.tools.tool_approval import TOOL
from answerable.core.statement import Kind

KINDS: tuple[Kind[Any], ...] = (
    ANSWER,
    BATCH,
    DUTY,
    INCIDENT,
    LIFT,
    MANDATE,
    MANIFEST,
    PUBLICATION,
    REVIEW,
    TOOL,
    WARRANT,
)
CLAIMS = re.compile(
    r"(?P<head><!-- Rows made by tools/reference.py from the claims of (?P<typ>\S+)\. Do not edit\. -->\n\n"
    r"\|[^\n]*\n\|[^\n]*\n)(?:\|[^\n]*\n)*"
)
"""What stands before the rows of a table, and the rows."""


def wire_pages(folder: Path) -> dict[str, str]:
    """The pages of a folder of references that have such tables, by name, with the rows that the forms say."""
    pages = {f"wire/{path.name}": path.read_text(encoding="utf-8") for path in (folder / "wire").glob("*.md")}
    return {name: CLAIMS.sub(_with_rows, text) for name, text in pages.items() if CLAIMS.search(text)}


def markdown_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The lines of a table in Markdown."""
    if not rows:
        return ["None."]
    escaped = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return [f"| {' | '.join(row)} |" for row in (columns, tuple("---" for _ in columns), *escaped)]


def _with_rows(found: re.Match[str]) -> str:
    kind = next(one for one in KINDS if one.typ == found["typ"])
    rows = [(f"`{one.name}`", one.type, one.meaning) for one in kind.table() if one.needed]
    return found["head"] + "".join(f"{line}\n" for line in markdown_table(("", "", ""), rows)[2:])
