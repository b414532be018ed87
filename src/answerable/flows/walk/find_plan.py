"""Find the plan of an action (step 2, without the arguments), from the cache or anew.

A plan is made once for each caller, task and capability, and cached until a change that it may depend on. What depends
on a clock or a counter is checked for each action: quotas, the age of hops, and what the upstream offers now.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import structs

from answerable.core.mandate.token_life import check_age
from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.action import PLAN_DIFFERS
from answerable.errors.codes.registry import CAPABILITY_UNKNOWN
from answerable.errors.codes.tlog import PROOF_OTHER_MESSAGE
from answerable.flows.validity.verify_lineage import presented, verified_claim, verify_lineage
from answerable.flows.walk.await_documents import require_none_coming
from answerable.flows.walk.may_act import check_quota, not_offered
from answerable.flows.walk.note_unregistered import note_unregistered
from answerable.flows.walk.pin_tools import pinning_now
from answerable.flows.walk.plan import PlanTerms, plan_of

if TYPE_CHECKING:
    from answerable.core.action.quota import RefusalQuota
    from answerable.core.action.request import ActionRequest
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.steps import Planning
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.state.worlds import PlanKey, Verification
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.worlds import Plan, World


def find_plan(
    planning: Planning,
    quota: RefusalQuota,
    ledger: Ledger,
    limits: WalkLimits,
    request: ActionRequest,
    caller: VerifiedCaller,
) -> Plan:
    """Return the plan that this request is verified against, in the current epoch.

    Raises Unverified (`proof.other_message`) if the proof covers other bytes. Raises Refused: `agent.inactive`,
    `agent.drifted`, `manifest.*`, `held.agent`, `held.mandate`, `capability.unknown`, `capability.ceiling`,
    `mandate.unknown`, `mandate.other_agent`, `mandate.other_shard`, `mandate.beyond_giver`, `mandate.session`,
    `delegation.*`, `upstream.unknown`, and as `pin_fault` says. Raises Unavailable if the state in force cannot be
    read, `registry.coming` while documents of another process are not in force yet, and `upstream.unknown` while the
    server's lists have not been read since the start. Raises Broken (`plan.differs`) if a cached plan that was checked
    differs from one made anew.
    """
    if not hmac.compare_digest(request.message_digest, caller.message_digest):
        raise PROOF_OTHER_MESSAGE()
    verification, registry, clock = (
        planning.verification,
        planning.authority.registry,
        planning.authority.clock,
    )
    # Read the epoch before anything the plan is made of: any later change then belongs to another epoch.
    world = verification.worlds.current()
    if registry.coming is not None:
        require_none_coming(registry)
    chain = _chain_digest(verification, clock, request) if request.delegation else b""
    key: PlanKey | None = None
    if chain is not None:
        # Names and proof of the caller, and what it asks for.
        key = (
            request.mandate_id,
            chain,
            request.server,
            request.method,
            request.target,
            caller.agent,
            caller.key,
            caller.certificate,
            caller.process,
            caller.identity,
        )
    known = (
        verification.plans.find(key, world.epoch, verification.worlds.changed) if key is not None else None
    )
    if known is not None:
        if quota.is_flooding(caller.agent, caller.at):
            check_quota(quota, caller.agent, caller.at, known.delegation_lineage.mandate.id)
        if known.delegation_lineage.hops:
            _check_age(verification, clock, known)
        # The server may have announced meanwhile that its tool list is outdated.
        definition = verification.upstream.definition(known.capability)
        if definition is None:
            raise not_offered(verification.upstream, known.capability)
        if definition is known.definition or definition.digest == known.definition.digest:
            if not verification.plans.is_check_due() or _is_as_anew(
                ledger, verification, limits, clock, known, request, caller
            ):
                return known
            return find_plan(planning, quota, ledger, limits, request, caller)
    try:
        plan = _made(ledger, verification, limits, clock, world, request, caller)
    except Refused as fault:
        if fault.code == CAPABILITY_UNKNOWN.id:
            note_unregistered(registry, verification.sightings, caller, request.server, request.target)
        raise
    if key is not None and not plan.by_clock:
        verification.plans.keep(key, plan)
    return plan


def handed_on(
    recorder: Recorder,
    authority: AuthorityRegisters,
    verification: Verification,
    request: ActionRequest,
    caller: VerifiedCaller,
) -> DelegationLineage | None:
    """Return what a refused request was tried under, where that is a chain; None for no chain, and for one that does
    not verify for this caller and server."""
    if not request.delegation:
        return None
    now = recorder.clock.now()
    by = presented(recorder.ledger, verification, request.mandate_id, request.delegation, now)
    with suppress(Refused, Unavailable):
        return verify_lineage(authority, caller, by, server=request.server)
    return None


def _made(
    ledger: Ledger,
    verification: Verification,
    limits: WalkLimits,
    clock: Clock,
    world: World,
    request: ActionRequest,
    caller: VerifiedCaller,
) -> Plan:
    by = presented(ledger, verification, request.mandate_id, request.delegation, clock.now())
    return plan_of(world, request, caller, PlanTerms(by, verification.acting, pinning_now(limits, clock)))


def _is_as_anew(
    ledger: Ledger,
    verification: Verification,
    limits: WalkLimits,
    clock: Clock,
    plan: Plan,
    request: ActionRequest,
    caller: VerifiedCaller,
) -> bool:
    """Whether a cached plan equals one made anew; False if what is in force changed meanwhile, so that they may differ.

    Raises Broken (`plan.differs`), after dropping all plans: whatever changed did not start another epoch.
    """
    try:
        what = ", ".join(
            _differing(
                plan, _made(ledger, verification, limits, clock, verification.worlds.anew(), request, caller)
            )
        )
    except Refused as fault:
        what = fault.code
    if not what:
        return True
    if verification.worlds.reread() != plan.epoch:
        return False
    verification.plans.drop(what, clock.now())
    raise PLAN_DIFFERS(
        f"a kept plan differs from one made anew in {shown(what)}: all plans were dropped, and nothing was done"
    )


def _differing(kept: Plan, anew: Plan) -> list[str]:
    """Return the names of the fields in which these plans differ."""
    one, other = ({**structs.asdict(plan), "definition": plan.definition.digest} for plan in (kept, anew))
    return [name for name in one if name not in ("epoch", "forms") and one[name] != other[name]]


def _chain_digest(verification: Verification, clock: Clock, request: ActionRequest) -> bytes | None:
    """Return the part of the cache key for a chain; None for a chain that does not verify, because refusals are not
    cached."""
    try:
        # The last hop names all hops above it by hash, so its digest identifies the whole chain.
        return verified_claim(verification, request.delegation, clock.now()).leaf.digest
    except Refused:
        return None


def _check_age(verification: Verification, clock: Clock, plan: Plan) -> None:
    # Check the registered tier and the tier raised by hints: settings may allow the lower tier less time.
    for tier in (plan.capability.tier, plan.resolved.capability.tier):
        check_age(plan.delegation_lineage.hops, tier=tier, limits=verification.acting, now=clock.now())
