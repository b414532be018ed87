"""Find a prepared object by the digest an agent names, and build the action that executes it.

The agent sends only the digest, never a byte of the object. Policies, people, ledger and tool get the bytes that the
gateway froze when the object was prepared.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING

from answerable.core.action.prepared import PREFIX, Executed, Prepared, digest_of, named_digest
from answerable.core.action.request import executing_request
from answerable.core.registry.documents.fields import pointer as pointer_to
from answerable.core.registry.documents.pointing import JSON, SUM
from answerable.errors import shown
from answerable.errors.codes.action import (
    PREPARED_ALTERED_REFUSED,
    PREPARED_ARGUMENTS,
    PREPARED_CHANGED,
    PREPARED_DIGEST,
    PREPARED_EXPIRED,
    PREPARED_OTHER_MANDATE,
    PREPARED_TOO_MANY,
    PREPARED_UNKNOWN,
    PREPARED_USED,
)

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.core.registry.documents.capability import Capability, ExecuteMapping
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.state.worlds import Verification
    from answerable.ports.clock import Clock
    from answerable.ports.prepared_register import PreparedRegister
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.upstream import Upstream


def with_prepared(
    registry: RegistryStore,
    verification: Verification,
    limits: WalkLimits,
    clock: Clock,
    request: ActionRequest,
    caller: VerifiedCaller,
    capability: Capability,
    delegation_lineage: DelegationLineage,
) -> tuple[ActionRequest, Executed | None]:
    """Return the request as it will be sent and its prepared object; the same request and None if it executes none.

    An object can be executed only by the agent that prepared it, under the same mandate and delegation chain.

    Raises Refused: `prepared.arguments`, `prepared.digest`, `prepared.unknown` (also for objects of other agents),
    `prepared.other_mandate`, `prepared.used`, `prepared.expired`, `prepared.changed`, `prepared.altered`; and
    `prepared.too_many` for a request that prepares while too many objects wait. Raises Unavailable.
    """
    executes = capability.executes
    if executes is None:
        if not request.preview_of:
            _check_room(registry, verification.prepared, limits, caller, capability)
        return request, None
    if request.prepared:
        found = verification.prepared.get(request.prepared) if verification.prepared is not None else None
        owned = (caller.agent, delegation_lineage.mandate.id)
        if (
            found is None
            or (found.agent, found.mandate) != owned
            or not found.waits(clock.now())
            or request.arguments != _arguments(executes, found)
        ):
            raise PREPARED_ALTERED_REFUSED()
    else:
        found = _named(
            verification.prepared, clock, request, caller, capability, executes, delegation_lineage
        )
        request = executing_request(request, _arguments(executes, found), found.id)
    _check_unchanged(registry, verification.upstream, found, caller, delegation_lineage)
    executed = Executed(
        id=found.id,
        argument=executes.argument,
        digest=found.digest,
        entry=found.entry,
        leaf=found.leaf,
        expires_at=found.expires_at,
        made_by=found.capability,
        content=found.content,
        money=_money_at(capability, executes),
    )
    return request, executed


def check_executed(
    registry: RegistryStore,
    verification: Verification,
    executed: Executed | None,
    caller: VerifiedCaller,
    delegation_lineage: DelegationLineage,
) -> None:
    """Check that the tool, manifest and chain behind a prepared object already used by this action are unchanged.

    Raises Refused (`prepared.unknown`, `prepared.changed`), Unavailable.
    """
    if executed is None:
        return
    found = verification.prepared.get(executed.id) if verification.prepared is not None else None
    if found is None:
        raise PREPARED_UNKNOWN("the prepared object is no longer stored: prepare again")
    _check_unchanged(registry, verification.upstream, found, caller, delegation_lineage)


def _check_room(
    registry: RegistryStore,
    prepared: PreparedRegister | None,
    limits: WalkLimits,
    caller: VerifiedCaller,
    capability: Capability,
) -> None:
    if prepared is None or not registry.index.executing(capability.name):
        return
    waiting, most = (
        prepared.waiting(caller.agent, caller.at),
        limits.prepared_waiting_per_agent_max,
    )
    if waiting >= most:
        raise PREPARED_TOO_MANY(
            f"{waiting} prepared objects of this agent wait to be executed, which is the limit: execute them, or wait "
            "until they expire"
        )


def _named(
    prepared: PreparedRegister | None,
    clock: Clock,
    request: ActionRequest,
    caller: VerifiedCaller,
    capability: Capability,
    executes: ExecuteMapping,
    delegation_lineage: DelegationLineage,
) -> Prepared:
    arguments = request.arguments
    if arguments.keys() != {executes.argument}:
        raise PREPARED_ARGUMENTS(
            f"{shown(capability.target)} takes only {shown(executes.argument)}, the digest of the "
            "prepared object"
        )
    digest = named_digest(arguments[executes.argument])
    if digest is None:
        raise PREPARED_DIGEST(
            f"{shown(executes.argument)} must be the digest from the answer of "
            f"{shown(executes.prepared_by)}, `{PREFIX}` and 64 hexadecimal digits, not the prepared "
            "object itself"
        )
    kept = prepared.named(caller.agent, digest) if prepared is not None else ()
    found = [
        one
        for one in kept
        if one.capability == executes.prepared_by
        and one.server == capability.server
        and compare_digest(one.digest, digest)
    ]
    if not found:
        raise PREPARED_UNKNOWN(
            f"this agent prepared no object of this digest with {shown(executes.prepared_by)}: "
            "prepare it first"
        )
    found = [one for one in found if one.mandate == delegation_lineage.mandate.id]
    if not found:
        raise PREPARED_OTHER_MANDATE()
    now = clock.now()
    waiting = next((one for one in found if one.waits(now)), None)
    if waiting is not None:
        return waiting
    if found[0].used_by:
        raise PREPARED_USED(
            f"the prepared object was already used by action {found[0].used_by}: check that action's "
            "outcome, and prepare again to repeat it"
        )
    raise PREPARED_EXPIRED()


def _money_at(capability: Capability, executes: ExecuteMapping) -> str:
    """Return the pointer, inside the object, to the amounts that budgets add up, so that cards show them as money."""
    amount = capability.spending.amount
    pointer = next(
        (one.pointer for one in capability.arguments if amount and one.name == amount.argument), ""
    )
    inside = f"{pointer_to('', executes.argument)}/{JSON}"
    if pointer.startswith(f"{inside}/") and pointer.endswith(f"/{SUM}"):
        return pointer.removeprefix(inside).removesuffix(f"/{SUM}")
    return ""


def _check_unchanged(
    registry: RegistryStore,
    upstream: Upstream,
    found: Prepared,
    caller: VerifiedCaller,
    delegation_lineage: DelegationLineage,
) -> None:
    """Check that the tool, the manifest and the chain that prepared the object are the same now."""
    prepares = registry.current.capabilities.get(found.capability)
    definition = upstream.definition(prepares) if prepares is not None else None
    changed = (
        ("the tool that prepared it", definition is None or definition.digest != found.tool),
        ("the manifest of the agent", caller.identity.manifest != found.manifest),
        ("the chain of agents", tuple(hop.agent for hop in delegation_lineage.hops) != found.chain),
    )
    other = " and ".join(what for what, is_other in changed if is_other)
    if other:
        raise PREPARED_CHANGED(f"since the object was prepared, {other} changed: prepare again")


def _arguments(executes: ExecuteMapping, found: Prepared) -> dict[str, JSONValue]:
    """Return the tool's arguments: the prepared bytes, and their digest if the tool takes one."""
    sent: dict[str, JSONValue] = {executes.argument: found.content.text}
    if executes.digest_argument:
        sent[executes.digest_argument] = f"{PREFIX}{found.digest}"
    # Do not trust the register: never send bytes under a digest that is not theirs.
    if not compare_digest(digest_of(found.content.text), found.digest):
        raise PREPARED_USED("the prepared object was just used: prepare again")
    return sent
