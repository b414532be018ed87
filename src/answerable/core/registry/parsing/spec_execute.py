"""Parse `executes` of a Capability document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.capability import ExecuteMapping
from answerable.core.registry.documents.fields import matching
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME, name_of
from answerable.errors import shown

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

EXECUTES_KEYS: Final = ("preparedBy", "argument", "digestArgument")
CODE: Final = "capability.executes"


def execute_in(spec: Fields, method: str, credentials: tuple[str, ...]) -> ExecuteMapping | None:
    """Read `executes`; None if absent. Records faults. credentials: arguments in which a credential may pass."""
    if not spec.has("executes"):
        return None
    executes = spec.section("executes", EXECUTES_KEYS)
    if method != "tools/call":
        executes.fault("only a tool can execute a prepared object", code=CODE)
    is_argument = matching(ARGUMENT_NAME, "an argument name")
    found = ExecuteMapping(
        prepared_by=executes.text("preparedBy", check=name_of("capability")),
        argument=executes.text("argument", check=is_argument),
        digest_argument=executes.text("digestArgument", default="", check=is_argument),
    )
    if found.digest_argument and found.digest_argument == found.argument:
        executes.fault("the bytes and their digest need two different arguments", "digestArgument", code=CODE)
    if found.argument in credentials:
        message = f"{shown(found.argument)} carries what people are shown, and must not carry a credential"
        executes.fault(message, "argument", code=CODE)
    return found
