"""Freeze and store what a tool prepared, before its agent gets the answer.

1. Freeze the object from the tool's answer, before anything in the answer is hidden. If the agent gets an altered
   answer, the object is not stored: nobody may execute by digest an object that the agent saw differently.
2. Write its digest to the ledger with the outcome. After a crash here nothing is stored, and the agent has no answer.
3. Store it in the register. After a crash here it waits, and cannot be used without its digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.action.prepared import PREFIX, Prepared, PreparedText, prepared_text
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.action import PREPARED_ALTERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import Receipt
    from answerable.core.registry.documents.capability import Capability
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.prepared_register import PreparedRegister

ALTERED: Final = PREPARED_ALTERED()


def with_digest(
    executing: Sequence[Capability],
    prepared: PreparedRegister,
    limits: WalkLimits,
    clock: Clock,
    verified: VerifiedRequest,
    answered: Outcome,
    told: Outcome,
) -> Outcome:
    """Step 1: return the outcome with the digest of the prepared object, or with the reason why nothing is stored.

    `executing`: the capabilities that execute what this one prepares.
    """
    if verified.request.preview_of:
        # The gateway asked for this answer to make an approval card; no agent gets it.
        return told
    try:
        content = _frozen(limits, answered, told)
    except Malformed as fault:
        return _not_kept(told, fault.code, fault.message)
    waiting = _same(prepared, clock, verified, content)
    mandate, now = verified.mandate, clock.now()
    expires_at = min(now + limits.prepared_ttl_ms, mandate.expires_at)
    calls: list[JSONValue] = [
        {"argument": one.executes.argument, "tool": one.target}
        for one in executing
        if one.executes is not None and one.server == verified.resolved.capability.server
    ]
    said: dict[str, JSONValue] = {
        "bytes": len(content.text.encode()),
        "digest": f"{PREFIX}{content.digest}",
        "execute": calls,
        "expires_at": waiting.expires_at if waiting is not None else expires_at,
        "format": content.format,
        "kept": True,
    }
    return msgspec.structs.replace(told, prepared=said)


def kept(
    prepared_register: PreparedRegister,
    limits: WalkLimits,
    clock: Clock,
    verified: VerifiedRequest,
    answered: Outcome,
    told: Outcome,
    action: str,
    receipt: Receipt | None,
) -> Outcome:
    """Step 3: store the object and return the outcome; with the reason if the object cannot be stored.

    `receipt`: of the outcome in the ledger. An object that the agent prepared before under the same terms, and that
    still waits, is not stored twice.
    """
    said = told.prepared
    if said is None or not said["kept"]:
        return told
    if receipt is None:
        return _not_kept(told, "prepared.unsettled", "the ledger has it as not known how this ended")
    content = _frozen(limits, answered, told)
    if _same(prepared_register, clock, verified, content) is not None:
        return told
    prepared = Prepared(
        id=action,
        agent=verified.caller.agent,
        mandate=verified.mandate.id,
        server=verified.request.server,
        capability=verified.resolved.capability.name,
        content=content,
        digest=content.digest,
        tool=verified.definition.digest,
        manifest=verified.caller.identity.manifest,
        chain=tuple(hop.agent for hop in verified.hops),
        entry=receipt.index,
        leaf=receipt.leaf_hash.hex(),
        made_at=clock.now(),
        expires_at=UnixMillis(int(str(said["expires_at"]))),
    )
    try:
        kept = prepared_register.add(prepared, waiting_max=limits.prepared_waiting_per_agent_max)
    except Unavailable as failed:
        return _not_kept(told, failed.code, failed.message)
    if not kept:
        return _not_kept(told, "prepared.too_many", "too many prepared objects of this agent wait")
    return told


def _frozen(limits: WalkLimits, answered: Outcome, told: Outcome) -> PreparedText:
    bytes_max = limits.prepared_bytes_max
    content = prepared_text(answered.result or {}, bytes_max=bytes_max)
    if told.result is not answered.result:
        try:
            seen = prepared_text(told.result or {}, bytes_max=bytes_max)
        except Malformed:
            raise ALTERED from None
        if seen != content:
            raise ALTERED
    return content


def _same(
    prepared: PreparedRegister | None, clock: Clock, verified: VerifiedRequest, content: PreparedText
) -> Prepared | None:
    """Return a waiting object with the same content and the same terms of execution."""
    caller, now = verified.caller, clock.now()
    kept = prepared.named(caller.agent, content.digest) if prepared is not None else ()
    wanted = (
        verified.mandate.id,
        verified.resolved.capability.name,
        verified.definition.digest,
        caller.identity.manifest,
        tuple(hop.agent for hop in verified.hops),
    )
    return next(
        (
            one
            for one in kept
            if one.waits(now)
            and (one.mandate, one.capability, one.tool, one.manifest, one.chain) == wanted
            and one.content == content
        ),
        None,
    )


def _not_kept(told: Outcome, code: str, why: str) -> Outcome:
    return msgspec.structs.replace(told, prepared={"code": code, "kept": False, "why": why})
