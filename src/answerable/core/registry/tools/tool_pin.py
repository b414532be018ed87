"""Which definition of a tool is let through, and by whose word.

Laws: a tool is used as it was when somebody who answers for it said yes to it, and never otherwise; a definition that a
capability's document names is the only one that counts for it, so that there is one place to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.canonical import encode, parse
from answerable.errors import shown
from answerable.errors.codes.registry import TOOL_MALFORMED, TOOL_OLDER, TOOL_PIN_OUTDATED

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.registry.documents.capability import Capability

TOOLS_CALL: Final = "tools/call"
"""The method whose definitions are pinned: what models choose by and programs are called by."""

PinSource = Literal["owner", "first_sight"]
ToolStanding = Literal["pinned", "changed", "new", "away", "unregistered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPin:
    """A definition that came into force. definition: SHA-256 of text, hex. text: canonical JSON, as the server said it.

    at: when the owner signed, or when it was first seen. signed_by, key, token: of the owner; empty at first sight.
    """

    server: str
    tool: str
    definition: str
    text: bytes
    at: UnixMillis
    signed_by: PrincipalId | Literal[""] = ""
    key: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        if sha256(self.text).hexdigest() != self.definition:
            raise TOOL_MALFORMED("the text of a definition is not the one of its digest")

    @property
    def source(self) -> PinSource:
        """By whose word."""
        return "owner" if self.token else "first_sight"


def check_order(pin: ToolPin, kept: ToolPin | None, *, over: str) -> None:
    """Raises Malformed unless `pin` may come after `kept`: `tool.pin_outdated`, `tool.older`."""
    if (kept.definition if kept is not None else "") != over:
        raise TOOL_PIN_OUTDATED(
            f"another definition of tool {shown(pin.tool)} is in force meanwhile than the one this was to replace: "
            "look at it again with `answerable tool diff`, and sign anew"
        )
    if kept is not None and pin.at <= kept.at:
        raise TOOL_OLDER(
            f"the definition of tool {shown(pin.tool)} in force was signed at the same time or later: sign anew"
        )


def definition_text(tool: JSONValue) -> bytes:
    """What is pinned of a tool: all that its server says of it. Raises Malformed (`json.*`)."""
    return encode(tool)


def read_definition(text: bytes) -> JSONValue:
    """A definition again as it was said."""
    return parse(text)


def is_pinned(capability: Capability) -> bool:
    """Whether what a capability stands for is a tool."""
    return capability.method == TOOLS_CALL
