"""Which commands print JSON where a script asks for it, and which ask a question that a script answers beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from answerable.main.commands import application

DOCUMENTS = {"policy compile", "policy schema", "trust bundle", "witness policy"}
"""What they print is a document of its own."""
WORDLESS = {
    "agent up",
    "broker",
    "mcp shim",
    "up",
    "witness accept-ledger",
    "witness add-log",
    "witness serve",
}
"""They run until they are stopped, or print no result."""
ASKING = {
    "": "apply panic revoke stop",
    "agent": "end resume retire suspend",
    "agent manifest": "sign write",
    "approval": "approve break-glass deny narrow review",
    "duty": "delegate end",
    "hold": "lift",
    "mandate": "close issue new",
    "person": "remove-passkey",
    "policy": "propose publish rollback withdraw",
    "tool": "approve",
    "trust": "remove rotate",
    "witness": "accept-ledger add-log",
}


def options_of(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Every command with its options."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from options_of(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), {option for one in command.params for option in one.opts}


def test_every_command_prints_json_but_those_that_print_a_document_or_no_result() -> None:
    without = {name for name, options in options_of(application()) if "--json" not in options}
    assert without == DOCUMENTS | WORDLESS


def test_what_asks_before_it_is_done_takes_the_answer_beforehand_and_nothing_else_does() -> None:
    asking = {f"{noun} {verb}".strip() for noun, verbs in ASKING.items() for verb in verbs.split()}
    assert {name for name, options in options_of(application()) if "--yes" in options} == asking
