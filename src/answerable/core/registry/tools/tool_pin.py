"""Tool pins: which definition of a tool is in force, and who approved it.

Laws: a tool is used only with the definition that an answerable person approved; if a capability's document names a
definition, only that one counts, so that there is one authoritative place.
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
"""The method whose definitions are pinned: models choose tools and programs call them by these definitions."""

PinSource = Literal["owner", "first_sight"]
ToolStanding = Literal["pinned", "changed", "new", "away", "unregistered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPin:
    """A definition that came into force. definition: SHA-256 of text, hex. text: canonical JSON, as the server sent it.
    at: when the owner signed, or when it was first seen. signed_by, key, token: of the owner; empty at first sight."""

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
            raise TOOL_MALFORMED("the text of the definition does not match its digest")

    @property
    def source(self) -> PinSource:
        """Who approved: the owner, or first sight."""
        return "owner" if self.token else "first_sight"


def check_order(pin: ToolPin, kept: ToolPin | None, *, over: str) -> None:
    """Check that `pin` may replace `kept`. Raises Malformed: `tool.pin_outdated`, `tool.older`."""
    if (kept.definition if kept is not None else "") != over:
        raise TOOL_PIN_OUTDATED(
            f"the definition of tool {shown(pin.tool)} that this approval replaces is no longer in "
            "force: look at the tool again with `answerable tool diff`, and sign anew"
        )
    if kept is not None and pin.at <= kept.at:
        raise TOOL_OLDER(
            f"the definition of tool {shown(pin.tool)} in force was signed at the same time or later: sign anew"
        )


def definition_text(tool: JSONValue) -> bytes:
    """Return the text that is pinned: the tool's whole definition. Raises Malformed (`json.*`)."""
    return encode(tool)


def read_definition(text: bytes) -> JSONValue:
    """Parse a pinned definition."""
    return parse(text)


def is_pinned(capability: Capability) -> bool:
    """Whether the capability is for a tool, whose definition is pinned."""
    return capability.method == TOOLS_CALL
