"""Pin tools to the definition that their owner approved, and block any other definition.

Laws: a definition that nobody let through is neither listed nor called. A definition named in a capability's document
takes precedence over a signed approval. An approval does not count once its signer has been revoked. A definition is
pinned at first sight only if the settings allow it, once, and with a ledger entry.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.containment.hold import HoldTarget, first_in_force
from answerable.core.ledger.records_tools import tool_approved, tool_first_seen
from answerable.core.ledger.subject import LOG_SUBJECT, principal_subject
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.registry.tools.tool_approval import capabilities_of, verified_approval
from answerable.core.registry.tools.tool_hints import raised
from answerable.core.registry.tools.tool_pin import (
    ToolPin,
    check_order,
    definition_text,
    is_pinned,
)
from answerable.errors import Malformed, Refused, RefusedCode, shown
from answerable.errors.codes.registry import (
    TOOL_APPROVER_REVOKED,
    TOOL_CHANGED,
    TOOL_DECLARED,
    TOOL_FUTURE,
    TOOL_MAPPING,
    TOOL_NOT_PINNED,
    TOOL_OTHER_DEFINITION,
    TOOL_RISKIER,
    TOOL_UNREADABLE,
    TOOL_UNSEEN,
)
from answerable.flows.recording.name_keys import key_file
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.refuse_revoked import signer_fault
from answerable.flows.validity.verify_lineage import admit_receivers

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.tools.tool_approval import ToolApproval
    from answerable.core.registry.tools.tool_fit import ToolFits
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, InProgress, Recorder
    from answerable.flows.state.steps import Planning
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.state.worlds import Verification
    from answerable.flows.validity.refuse_revoked import Ends
    from answerable.ports.clock import Clock
    from answerable.ports.parts_in_force import CurrentPins
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.tool_pins import ToolPinRegister
    from answerable.ports.upstream import Upstream

CLOCK_AHEAD_MS_MAX: Final = 60_000
"""How far a signer's clock may run ahead of the gateway's."""


class Pinning(NamedTuple):
    """What pins are checked with, beside what is in force. `at_first_sight`: whether the settings pin a definition at
    first sight."""

    at_first_sight: bool
    now: UnixMillis


def pinning_now(limits: WalkLimits, clock: Clock) -> Pinning:
    """Return the settings of the walk, and the present time."""
    return Pinning(limits.pin_tools_at_first_sight, clock.now())


def pin_fault(
    authority: Ends,
    pins: CurrentPins,
    fits: ToolFits,
    capability: Capability,
    definition: ToolDefinition,
    pinning: Pinning,
) -> Refused | None:
    """Return why this definition of a capability's tool is not let through, or None. Does no I/O.

    Codes: `tool.not_pinned`, `tool.changed`, `tool.approver_revoked`, `tool.riskier`, `tool.mapping`,
    `tool.unreadable`.

    A definition that nobody has judged passes if the settings pin at first sight; the caller must then call
    `pin_first_seen` before use. Raises Unavailable if revocations cannot be read.
    """
    if not is_pinned(capability):
        return None
    fault = _unlike_pinned(authority, pins, capability, definition.digest, pinning)
    return fault if fault is not None else _misdescribed(fits, capability, definition)


async def admit_first(
    recorder: Recorder, planning: Planning, asking: AskingState, verified: VerifiedRequest
) -> bool:
    """Count each receiver of the request's chain, and pin a tool seen first. Return whether this waited, so that
    the request must be verified again. Raises as `admit_receivers` and `pin_first_seen`."""
    if await admit_receivers(planning.authority, verified.mandate, verified.hops):
        return True
    return await pin_first_seen(recorder, planning, asking.under_way, asking.limits, verified)


async def pin_first_seen(
    recorder: Recorder,
    planning: Planning,
    under_way: InProgress,
    limits: WalkLimits,
    verified: VerifiedRequest,
) -> bool:
    """Pin the definition that a request was checked against, if the settings pin at first sight and none is pinned yet.

    Returns whether a pin is in force now, so that the request must be verified again. Raises Refused (`tool.changed`)
    if another process pinned another definition meanwhile, and Unavailable.
    """
    capability, definition = verified.resolved.capability, verified.definition
    if not limits.pin_tools_at_first_sight or not is_pinned(capability) or capability.definition:
        return False
    place = capability.server, capability.target
    if planning.verification.pins.current(*place) is not None or planning.verification.pins.is_unreadable(
        *place
    ):
        return False
    async with under_way.applying:
        if planning.verification.pins.current(*place) is None:
            now = recorder.clock.now()
            pin = ToolPin(
                server=capability.server,
                tool=capability.target,
                definition=definition.digest,
                text=definition.text,
                at=now,
            )
            # 1. Ledger first. After a crash here the pin is recorded but not in force; the next use records it again.
            entry = tool_first_seen(pin, at=now, sealing=sealing_for(recorder, LOG_SUBJECT))
            _, left = await record_entry(recorder, entry)
            # 2. In force, unless another process was faster: then its definition counts.
            with suppress(Malformed):
                planning.verification.pins.put(pin, over="")
            if left is not None:
                raise left
    fault = _unlike_pinned(
        planning.authority,
        planning.verification.pins,
        capability,
        definition.digest,
        pinning_now(limits, recorder.clock),
    )
    if fault is not None:
        raise fault
    return planning.verification.pins.current(*place) is not None


async def approve_tool(
    recorder: Recorder, planning: Planning, under_way: InProgress, token: str, *, by: str
) -> ToolPin:
    """Verify an owner's signed approval of the definition offered now, record it and put it into force.

    An approval that is already in force changes nothing and is not recorded again. `by`: who submits it. Raises as
    `verified_approval`; Unverified (`tool.future`); Refused (`tool.declared`, `tool.unseen`, `tool.other_definition`,
    `revoked.*`); Malformed (`tool.pin_outdated`, `tool.older`); Unavailable.
    """
    approval = verified_approval(token, current=planning.authority.registry.current)
    # Serialised with other approvals and with applied documents: the tool's owner must not change meanwhile.
    async with under_way.applying:
        # 0. Record the signing key if the ledger lacks it; everything else is checked after that wait.
        signed_with = await key_file(
            recorder,
            planning.authority.registry,
            under_way,
            approval.signed_by,
            approval.key,
            applying=True,
        )
        now = recorder.clock.now()
        kept = planning.verification.pins.current(approval.server, approval.tool)
        if kept is not None and kept.token == approval.token:
            return kept
        pin = _approved(planning.authority, planning.verification.upstream, approval, now)
        check_order(pin, kept, over=approval.previous)
        # 1. Ledger first. After a crash here the approval is recorded but not in force; submit it again.
        entry = tool_approved(
            pin,
            at=now,
            previous=approval.previous,
            sealing=sealing_for(recorder, principal_subject(approval.signed_by)),
            signer=pseudonym_of(recorder, approval.signed_by),
            by=by,
            person=pseudonym_of(recorder, by),
            key_file=signed_with,
        )
        _, left = await record_entry(recorder, entry)
        # 2. In force.
        planning.verification.pins.put(pin, over=approval.previous)
    if left is not None:
        raise left
    return pin


def offered_text(registry: RegistryStore, upstream: Upstream, server: str, tool: str) -> bytes | None:
    """Return a tool's definition as its server offers it now, in pinned form; None if not offered. Does no I/O."""
    for capability in capabilities_of(registry.current, server, tool):
        definition = upstream.definition(capability)
        if definition is not None:
            return definition.text
    listed = (upstream.tools(server) or {}).get(tool)
    try:
        return None if listed is None else definition_text(listed)
    except Malformed:
        return None


def _approved(
    authority: AuthorityRegisters, upstream: Upstream, approval: ToolApproval, now: UnixMillis
) -> ToolPin:
    """Return the pin that an approval puts into force. Raises if it must not be in force."""
    if approval.signed_at > now + CLOCK_AHEAD_MS_MAX:
        ahead = approval.signed_at - now
        raise TOOL_FUTURE(f"the approval was signed {ahead} ms from now: look at the signer's clock")
    tool, server = shown(approval.tool), shown(approval.server)
    for capability in capabilities_of(authority.registry.current, approval.server, approval.tool):
        if capability.definition:
            raise TOOL_DECLARED(
                f"capability {shown(capability.name)} declares the definition of tool {tool} itself: "
                "change `definition` there and apply it"
            )
    unsigned = signer_fault(authority, approval.signed_by, approval.key)
    if unsigned is not None:
        raise unsigned
    text = offered_text(authority.registry, upstream, approval.server, approval.tool)
    if text is None:
        raise TOOL_UNSEEN(
            f"server {server} does not offer tool {tool} now, so there is nothing to approve: see "
            "`answerable server list`"
        )
    if sha256(text).hexdigest() != approval.definition:
        raise TOOL_OTHER_DEFINITION(
            f"tool {tool} of server {server} is no longer what was approved: look at it again with "
            "`answerable tool diff`"
        )
    return ToolPin(
        server=approval.server,
        tool=approval.tool,
        definition=approval.definition,
        text=text,
        at=approval.signed_at,
        signed_by=approval.signed_by,
        key=approval.key,
        token=approval.token,
    )


def _unlike_pinned(
    authority: Ends, pins: CurrentPins, capability: Capability, digest: str, pinning: Pinning
) -> Refused | None:
    server, tool = capability.server, capability.target
    if capability.definition:
        if capability.definition == digest:
            return None
        return TOOL_CHANGED(
            f"tool {shown(tool)} of server {shown(server)} differs from the definition that "
            f"capability {shown(capability.name)} declares: it is blocked until its owner has "
            "reviewed it"
        )
    pin = pins.current(server, tool)
    if pin is None:
        if pins.is_unreadable(server, tool):
            return TOOL_UNREADABLE(
                f"the stored approval of tool {shown(tool)} of server {shown(server)} cannot be read: the "
                "tool is blocked until its owner approves it again, see `answerable doctor`"
            )
        if pinning.at_first_sight:
            return None
        return TOOL_NOT_PINNED(
            f"tool {shown(tool)} of server {shown(server)} is not approved yet: it is blocked until "
            "its owner approves it"
        )
    if pin.definition != digest:
        return TOOL_CHANGED(
            f"tool {shown(tool)} of server {shown(server)} has changed since it was approved: it is "
            "blocked until its owner approves it again"
        )
    if pin.signed_by and _is_revoked(authority, pin, pinning.now):
        return TOOL_APPROVER_REVOKED(
            f"the approver of tool {shown(tool)} of server {shown(server)} is revoked or held: the "
            "tool is blocked until its owner approves it again"
        )
    return None


def _is_revoked(authority: Ends, pin: ToolPin, now: UnixMillis) -> bool:
    """Whether the approver is revoked, or held at this time."""
    key, owner = pin.key, pin.signed_by
    if (
        authority.revocations.find((RevocationTarget("key", key), RevocationTarget("owner", owner)))
        is not None
    ):
        return True
    holds = authority.holds.standing((HoldTarget("key", key), HoldTarget("owner", owner)))
    return bool(holds) and first_in_force(holds, now) is not None


def approver_names(pins: CurrentPins, capability: Capability) -> tuple[HoldTarget, ...]:
    """Return the names under which a capability's tool is let through: those of the person who approved it; empty where
    no approval counts."""
    if not is_pinned(capability) or capability.definition:
        return ()
    pin = pins.current(capability.server, capability.target)
    if pin is None or not pin.signed_by:
        return ()
    return HoldTarget("key", pin.key), HoldTarget("owner", pin.signed_by)


def at_hinted_tier(fits: ToolFits, capability: Capability, definition: ToolDefinition) -> Capability:
    """Return the capability at the tier that the server's hints, or missing hints, raise it to; never lower."""
    if not is_pinned(capability):
        return capability
    return fits.of(capability, definition.text, definition.digest).raised


def tier_in_force(verification: Verification, capability: Capability) -> int:
    """Return the tier at which an action of this capability would be decided now.

    An unknown or unreadable tool counts as a tool without hints. Never raises; does no I/O.
    """
    if not is_pinned(capability):
        return capability.tier
    definition = verification.upstream.definition(capability)
    if definition is not None:
        with suppress(Malformed):
            return verification.fits.of(capability, definition.text, definition.digest).raised.tier
    return raised(capability, None).tier


def pin_outdated(
    authority: AuthorityRegisters, pins: ToolPinRegister, limits: WalkLimits, verified: VerifiedRequest
) -> Refused | None:
    """Return why a verified request's definition is no longer let through, right before it is performed; None if it is.

    Raises Unavailable as `pin_fault` does.
    """
    capability = verified.resolved.capability
    if not is_pinned(capability):
        return None
    return _unlike_pinned(
        authority, pins, capability, verified.definition.digest, pinning_now(limits, authority.clock)
    )


def _misdescribed(fits: ToolFits, capability: Capability, definition: ToolDefinition) -> Refused | None:
    try:
        fit = fits.of(capability, definition.text, definition.digest)
    except Malformed as error:
        # The gateway wrote this text itself, so it can only exceed the reader's limits on size or depth.
        return _blocked(capability, error.message, TOOL_UNREADABLE)
    if fit.kind_fault:
        return _blocked(capability, fit.kind_fault, TOOL_RISKIER)
    return _blocked(capability, fit.type_fault, TOOL_MAPPING) if fit.type_fault else None


def _blocked(capability: Capability, why: str, code: RefusedCode) -> Refused:
    tool = f"tool {shown(capability.target)} of server {shown(capability.server)}"
    return code(f"{tool} is blocked: {why}")
