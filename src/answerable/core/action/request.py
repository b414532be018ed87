"""An action as the caller sent it, frozen once at parsing.

Laws: the frozen action is the one value that is decided, presented, approved, logged and executed; it is made from the
bytes that the proof of possession covers; if policy narrows it, the original is stored beside it; no object of the
caller's is shared with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import structs

from answerable.core.action.reserved import RESERVED_PREFIX, refuse_reserved
from answerable.core.canonical import FrozenJSON, freeze, freeze_parsed
from answerable.errors.codes.action import ACTION_NAME_INVALID, ACTION_TARGET_INVALID, ARGUMENTS_NOT_OBJECT
from answerable.errors.codes.documents import JSON_SURROGATE

if TYPE_CHECKING:
    from answerable.core.action.prepared import Executed
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot.resolve import Resolved

REASON_CHARS_MAX: Final = 500
TARGET_CHARS_MAX: Final = 512
NAME_CHARS_MAX: Final = 64


class ActionRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A parsed request. Untrusted. `action` is the frozen `{"arguments", "method", "server", "target"}`; its digest is
    the action digest.

    mandate_id, delegation and reason are the agent's claims. delegation: hops, root first, joined by `~`.
    message_digest: SHA-256 of the message bytes it was parsed from. asked: the action as the caller sent it, if policy
    has narrowed it since. preview_of: the approval for whose card the gateway itself makes this request; empty for a
    caller's request. prepared: the id of the prepared object that has replaced its digest in the arguments; a caller
    cannot set it.
    """

    server: str
    method: str
    target: str
    action: FrozenJSON
    mandate_id: str
    reason: str
    message_digest: bytes
    delegation: str = ""
    asked: FrozenJSON | None = None
    preview_of: str = ""
    prepared: str = ""

    @property
    def arguments(self) -> dict[str, JSONValue]:
        """The frozen arguments, as a fresh copy at each access: changing the copy has no effect."""
        thawed: Any = self.action.thaw()
        return cast("dict[str, JSONValue]", thawed["arguments"])


def action_request(
    *,
    server: str,
    method: str,
    target: str,
    arguments: JSONValue,
    mandate_id: str,
    reason: str = "",
    message_digest: bytes,
    delegation: str = "",
    parsed: bool = False,
) -> ActionRequest:
    """Parse (step 1 of the walk): check and freeze.

    parsed: whether `arguments` and `target` are what `canonical.parse` returned, which is not checked again.

    Raises Malformed: `action.target_invalid`, `action.name_invalid`, `arguments.not_object`,
    `arguments.reserved_member`, `json.*`.
    """
    if not target or len(target) > TARGET_CHARS_MAX:
        raise ACTION_TARGET_INVALID(f"target must have 1 to {TARGET_CHARS_MAX} characters")
    if not (0 < len(server) <= NAME_CHARS_MAX and 0 < len(method) <= NAME_CHARS_MAX):
        what = "method" if 0 < len(server) <= NAME_CHARS_MAX else "server"
        raise ACTION_NAME_INVALID(f"the name of a {what} must have 1 to {NAME_CHARS_MAX} characters")
    if not isinstance(arguments, dict):
        raise ARGUMENTS_NOT_OBJECT()
    try:
        # The claims are recorded too, so they must be encodable.
        f"{mandate_id}{reason}".encode()
    except UnicodeEncodeError:
        raise JSON_SURROGATE("mandate or reason has a lone surrogate") from None
    named: JSONValue = {"arguments": arguments, "method": method, "server": server, "target": target}
    frozen = freeze_parsed(named) if parsed else freeze(named)
    if RESERVED_PREFIX in frozen.bytes:
        refuse_reserved(frozen)
    return ActionRequest(
        server=server,
        method=method,
        target=target,
        action=frozen,
        mandate_id=mandate_id,
        reason=reason[:REASON_CHARS_MAX],
        message_digest=message_digest,
        delegation=delegation,
    )


def narrowed_request(request: ActionRequest, arguments: dict[str, JSONValue]) -> ActionRequest:
    """Return the request with other arguments, and with the original action in `asked`. Raises Malformed (`json.*`)."""
    frozen = _action_with(request, arguments)
    return structs.replace(request, action=frozen, asked=request.asked or request.action)


def executing_request(
    request: ActionRequest, arguments: dict[str, JSONValue], prepared: str
) -> ActionRequest:
    """Return the request with a prepared object in place of its digest. prepared: the object's id. Raises Malformed
    (`json.*`)."""
    return structs.replace(request, action=_action_with(request, arguments), prepared=prepared)


def _action_with(request: ActionRequest, arguments: dict[str, JSONValue]) -> FrozenJSON:
    return freeze(
        {
            "arguments": arguments,
            "method": request.method,
            "server": request.server,
            "target": request.target,
        }
    )


class VerifiedRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A verified request; only the verify step makes one. principals: the chain of who answers, the person first.

    arguments: the frozen arguments, thawed once for the decision, together with those that the capability names by a
    pointer. resource_id: the id of the touched resource, taken from the arguments or the target by the capability's
    mapping. subject: whose data it is, as in the names of the ledger's keys. definition: the upstream's definition of
    the target, against which the arguments were checked. destinations: every destination of the action, normalised;
    empty if its capability declares none. hops: the delegation from the mandate to the caller, root first; empty if the
    mandate is the caller's own. session: what the login that gave the mandate allows; empty if it states nothing.
    prepared: the prepared object that the action executes; None if it executes none.
    """

    request: ActionRequest
    caller: VerifiedCaller
    resolved: Resolved
    mandate: Mandate
    principals: tuple[PrincipalId, ...]
    arguments: dict[str, JSONValue]
    resource_id: str
    subject: str
    definition: ToolDefinition
    destinations: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()
    session: tuple[Authority, ...] = ()
    prepared: Executed | None = None
