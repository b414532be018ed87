"""An upstream in memory that records effects and checks that the ledger has the intent of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.action.outcome import Outcome
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.canonical import encode, parse
from answerable.core.ledger.opened import payload_of
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.warrant import Warrant
    from answerable.core.registry.documents.capability import Capability
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.subject_keys import SubjectKeys
    from answerable.ports.upstream import Progress

_ARGUMENTS: Final[dict[str, dict[str, type]]] = {
    "get_case": {"case": str},
    "refund": {"case": str, "amount": int},
    "crm://cases/{case}": {},
}


_TYPES: Final = {str: "string", int: "integer"}
HINTS: Final[dict[str, JSONValue]] = {
    "get_case": {"readOnlyHint": True, "openWorldHint": False},
    "refund": {
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": False,
        "openWorldHint": True,
    },
}


def sample_tools(hints: Mapping[str, JSONValue] = HINTS) -> dict[str, JSONValue]:
    """Return the tools listed by a bench's server. hints: annotations by tool."""
    return {
        name: {
            "name": name,
            "description": f"The tool {name}",
            "inputSchema": {
                "type": "object",
                "properties": {argument: {"type": _TYPES[kind]} for argument, kind in known.items()},
                "required": [*known],
            },
            "annotations": hints[name],
        }
        for name, known in _ARGUMENTS.items()
        if "{" not in name
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One effect at the upstream. intent: ledger index. arguments: as received."""

    intent: int
    action_id: str
    key: str
    digest: str
    arguments: JSONValue


@dataclass(slots=True, kw_only=True)
class RecordingUpstream:
    """Implements ports.upstream.Upstream: records effects, and checks the ledger for the intent of each.

    before, after: awaited around the effect, once the warrant is redeemed. answer: returns the outcome of an effect.
    violations: violations of the first two laws of the walk, one line each. listed: the tools of each server; change
    them with `lists`. hints: annotations of their definitions, by tool.
    """

    clock: Clock
    ledger: Ledger
    subject_keys: SubjectKeys
    effects: list[Effect] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    before: Callable[[Effect], Awaitable[None]] | None = None
    after: Callable[[Effect], Awaitable[None]] | None = None
    answer: Callable[[Effect], Outcome] | None = None
    listed: dict[str, dict[str, JSONValue]] = field(default_factory=lambda: {"crm": sample_tools()})
    hints: dict[str, JSONValue] = field(default_factory=lambda: dict(HINTS))
    generation: int = 0
    is_running: bool = True

    def lists(self, server: str, tools: dict[str, JSONValue] | None) -> None:
        """List these tools for the server from now on; None: the server is unknown from now on."""
        self.generation += 1
        if tools is None:
            self.listed.pop(server, None)
        else:
            self.listed[server] = tools

    def tools(self, server: str) -> Mapping[str, JSONValue] | None:
        return self.listed.get(server)

    def is_unread(self, capability: Capability) -> bool:
        """Whether the server is unknown."""
        return capability.server not in self.listed

    def definition(self, capability: Capability) -> ToolDefinition | None:
        """Return the definition with closed objects."""
        known = _ARGUMENTS.get(capability.target)
        if known is None:
            return None
        text = encode(sample_tools(self.hints).get(capability.target, capability.target))
        return ToolDefinition(
            text=text, digest=sha256(text).hexdigest(), violations=lambda arguments: _unfit(known, arguments)
        )

    async def perform(self, warrant: Warrant, *, progress: Progress | None = None) -> Outcome:
        frozen = warrant.redeem(now=self.clock.now())
        action = frozen.thaw()
        effect = Effect(
            intent=warrant.intent.index,
            action_id=warrant.action_id,
            key=warrant.idempotency_key,
            digest=frozen.hex,
            arguments=action["arguments"] if isinstance(action, dict) else None,
        )
        if self.before is not None:
            await self.before(effect)
        self._check(effect)
        self.effects.append(effect)
        if self.after is not None:
            await self.after(effect)
        return (
            self.answer(effect)
            if self.answer is not None
            else Outcome(status="succeeded", result={"ok": True})
        )

    def _check(self, effect: Effect) -> None:
        stored = next(iter(self.ledger.replay(effect.intent)), None)
        leaf = parse(stored.leaf) if stored is not None else None
        if stored is None or not isinstance(leaf, dict) or stored.tag != Tag.INTENT:
            self.violations.append(f"effect {effect.key} without a durable intent at {effect.intent}")
            return
        payload = payload_of(stored, leaf, self.subject_keys.find) or {}
        said = {
            "key": leaf.get("key", leaf["action"]),
            "action": leaf["action"],
            "digest": payload.get("digest"),
        }
        for name, wanted in (("key", effect.key), ("digest", effect.digest), ("action", effect.action_id)):
            if said[name] != wanted:
                self.violations.append(f"intent {effect.intent} has another {name} than effect {effect.key}")
        if any(earlier.key == effect.key for earlier in self.effects):
            self.violations.append(f"effect {effect.key} happened twice")


def _unfit(known: dict[str, type], arguments: dict[str, JSONValue]) -> tuple[str, ...]:
    unknown = [f"{name} is not known" for name in arguments if name not in known]
    missing = [f"{name} is missing" for name, kind in known.items() if type(arguments.get(name)) is not kind]
    return (*unknown, *missing)
