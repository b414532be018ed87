"""What tests of tool definitions share: an upstream that describes its tools as the test says, and owners who sign."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.tools.tool_approval import signed_approval
from answerable.flows.walk.pin_tools import approve_tool, offered_text
from answerable.testing.clock import START
from answerable.testing.recording_upstream import RecordingUpstream
from answerable.testing.samples import signing_key
from answerable.testing.tool_pins import ApprovedAsSeen
from tests.worlds.parts import to_approve

if TYPE_CHECKING:
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability
    from answerable.testing.builders import Bench
    from answerable.wiring.walk import Walk


def described(name: str = "get_case", **members: JSONValue) -> dict[str, JSONValue]:
    """A tool as a server would list it."""
    return {
        "name": name,
        "description": f"The tool {name}",
        "inputSchema": {
            "type": "object",
            "properties": {"case": {"type": "string"}},
            "required": ["case"],
        },
        **members,
    }


@dataclass(slots=True, kw_only=True)
class DescribingUpstream(RecordingUpstream):
    """As its parent, but that tools are what `says` holds, by name. takes_anything: whatever arguments come. gone: what
    it does not offer any more."""

    says: dict[str, dict[str, JSONValue]] = field(default_factory=dict)
    takes_anything: bool = False
    gone: set[str] = field(default_factory=set)

    def definition(self, capability: Capability) -> ToolDefinition | None:
        """As the port says."""
        found = RecordingUpstream.definition(self, capability) if capability.target not in self.gone else None
        said = self.says.get(capability.target)
        if found is None or said is None:
            return found
        text = encode(said)
        violations = (lambda _: ()) if self.takes_anything else found.violations
        return replace(found, text=text, digest=sha256(text).hexdigest(), violations=violations)


def describing(bench: Bench, **says: dict[str, JSONValue]) -> DescribingUpstream:
    """Put it behind a bench."""
    own = bench.upstream
    upstream = DescribingUpstream(
        clock=own.clock, ledger=own.ledger, subject_keys=own.subject_keys, says=dict(says)
    )
    bench.upstream = upstream
    bench.walk.verification.upstream = upstream
    if isinstance(bench.walk.verification.pins, ApprovedAsSeen):
        bench.walk.verification.pins = ApprovedAsSeen(bench.authority.registry, upstream)
    return upstream


def described_by(bench: Bench) -> DescribingUpstream:
    """What `describing` put behind it."""
    assert isinstance(bench.upstream, DescribingUpstream)
    return bench.upstream


async def approve_offered(walk: Walk, server: str, tool: str, *, by: str = "alice") -> None:
    """An owner says yes to what a real server says now."""
    text, pin = (
        offered_text(walk.authority.registry, walk.verification.upstream, server, tool),
        walk.verification.pins.current(server, tool),
    )
    assert text is not None
    token = signed_approval(
        server,
        tool,
        definition=sha256(text).hexdigest(),
        previous=pin.definition if pin is not None else "",
        owner=PrincipalId(by),
        key=signing_key(by),
        at=walk.clock.now(),
    )
    await approve_tool(*to_approve(walk), token, by="operator")


def approval(
    tool: JSONValue,
    *,
    over: JSONValue = None,
    name: str = "get_case",
    by: str = "alice",
    key: str = "",
    at: int = 0,
) -> str:
    """A person's signed yes. over: the definition in force. at: milliseconds after the start of the tests' clock."""
    return signed_approval(
        "crm",
        name,
        definition=sha256(encode(tool)).hexdigest(),
        previous=sha256(encode(over)).hexdigest() if over is not None else "",
        owner=PrincipalId(by),
        key=signing_key(key or by),
        at=UnixMillis(START + at),
    )
