"""Apply registry documents: check them as a whole, record the change, put them into force at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable.core.canonical import encode, parse
from answerable.core.ledger import records_statements
from answerable.core.registry.documents.documents import PRINCIPAL, WORKFLOW
from answerable.core.registry.documents.standing import with_standing
from answerable.core.registry.parsing.active import ParsedDocuments, faults_of_shape
from answerable.core.registry.parsing.in_force import POLICY_SET, built
from answerable.core.registry.parsing.parse import document_key
from answerable.core.registry.policy_sets.publication import policy_documents
from answerable.errors import Unavailable, shown
from answerable.errors.codes.ledger import REGISTER_CHANGED_MEANWHILE
from answerable.errors.codes.policy import POLICY_PROTECTS_NOTHING, PUBLICATION_TWO_PEOPLE
from answerable.errors.codes.registry import REGISTRY_FAULTS
from answerable.flows.counters.keep_history import reading_back
from answerable.flows.escalation.end_invalid_deputies import end_invalid_deputies
from answerable.flows.registry.check_documents import check_call_seconds, check_reserved
from answerable.flows.registry.keep_policies import keep_policies
from answerable.flows.registry.record_change import Applied, Change, RegistryChange, record_change
from answerable.flows.registry.require_drills import undrilled_in
from answerable.flows.revocation.revoke_authority import take_away_from_agents, take_away_from_retired

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.records_statements import Published
    from answerable.core.registry.policy_sets.policy_fault import SetFault
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.counters.keep_history import HistoryReading
    from answerable.flows.state.drill_desk import Applying, DrillState
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.registry_store import RegistryStore

FAULTS_SHOWN_MAX = 20
INLINE_CHARS_MAX = 16_384
"""Characters of policies checked on the event loop, about 20 ms; more are checked in a thread."""
INLINE_DOCUMENTS_MAX = 500
"""Documents in force and given, for the same reason."""
_IN_GROUPS: Final = (PRINCIPAL, WORKFLOW)
"""Kinds of documents that belong to groups."""


async def apply_registry(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    applying: Applying,
    documents: Sequence[JSONValue],
    *,
    by: str,
    because: str = "",
    dry_run: bool = False,
    prune: bool = False,
) -> Applied:
    """Put documents into force beside those already in force; with `prune`, instead of them.

    `because`: the reason, if an automatic rule applies them. A dry run checks and reports the same, and changes
    nothing.

    Raises Malformed (`registry.faults`, `registry.call_seconds`, `policy.*`, also as `require_protection`) with all
    faults, and then nothing has changed; Refused (`publication.two_people`) if policy sets need a second person, and as
    `planned`; Unavailable.
    """
    if dry_run:
        plan = await planned_aside(
            authority.registry,
            applying.policies,
            applying.drills,
            asking.limits,
            recorder.clock,
            documents,
            prune=prune,
        )
        require_protection(plan.applied)
        return plan.applied
    # A concurrent second call plans on top of the first.
    async with asking.under_way.applying:
        plan = await planned_aside(
            authority.registry,
            applying.policies,
            applying.drills,
            asking.limits,
            recorder.clock,
            documents,
            prune=prune,
        )
        require_protection(plan.applied)
        sets = [one.key for one in plan.applied.changes if one.key.startswith(POLICY_SET)]
        if sets and applying.policies.publishers:
            raise PUBLICATION_TWO_PEOPLE(
                f"{', '.join(map(shown, sets))}: a policy set needs two people, the second a "
                f"member of group {shown(applying.policies.publishers)}: use `answerable policy "
                "propose`"
            )
        published = records_statements.Published(how="one_person" if sets else "registry")
        return await put_into_force(
            recorder, authority, asking, applying, plan, by=by, because=because, published=published
        )


async def put_into_force(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    applying: Applying,
    plan: RegistryChange,
    *,
    by: str,
    published: Published,
    because: str = "",
) -> Applied:
    """Put a plan into force, for a caller that holds `under_way.applying` and has checked its right to.

    `by`: who signed `published.step`, or the operator as the control endpoint knows them. Raises Unavailable.
    """
    if plan.applied.changes:
        # 1. Read the history that new trackers need, before anything is decided with them.
        with reading_back(
            recorder, authority, applying.counters.history, asking.limits, plan.snapshot
        ) as reading:
            await reading.read()
            # 2. Record the change before it takes effect. After a crash here the next start puts it into force.
            now = recorder.clock.now()
            left = await record_change(
                recorder,
                authority.registry,
                applying.policies,
                plan,
                by=by,
                because=because,
                published=published,
                now=now,
            )
            # 3. Store the policy sets in force until now, so that they can be restored.
            keep_policies(authority.registry, applying.policies, policy_documents(plan.documents), at=now)
            # Read the entries that were being written when the first read began.
            await reading.read()
            # 4. Documents to disk, then swap everything without an await: no action sees a part of the change.
            _put(authority.registry, applying.policies, plan, reading)
        if left is not None:
            raise left
    # 5. End tokens of agents that are now retired or under a revoked name. After a crash before this line they are
    # refused, and status lists are updated when this is applied again or, for revocations, at the next start.
    await take_away_from_agents(authority, applying.live)
    await take_away_from_retired(authority.registry, applying.live)
    # 6. End deputies that are no longer valid. After a crash before this line the next check ends them.
    await end_invalid_deputies(recorder, authority.registry, asking.duties, by=by)
    return plan.applied


def _put(
    registry: RegistryStore, policies: PolicyState, plan: RegistryChange, reading: HistoryReading
) -> None:
    if registry.current.digest != plan.applied.before:
        raise REGISTER_CHANGED_MEANWHILE()
    try:
        registry.put(plan.documents, built(plan.documents, plan.snapshot))
    except Unavailable:
        # A failed write may have stored the documents; policies must always match the documents in force.
        if registry.current.digest == plan.snapshot.digest:
            _swap(policies, plan, reading)
        raise
    _swap(policies, plan, reading)


def _swap(policies: PolicyState, plan: RegistryChange, reading: HistoryReading) -> None:
    policies.decision_point = plan.decision_point
    reading.adopt()
    tell_followers(policies)


def tell_followers(policies: PolicyState) -> None:
    """Wake the followers of documents, so that they need not poll."""
    for bell in policies.registered:
        bell.ring()


async def planned_aside(
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    documents: Sequence[JSONValue],
    *,
    prune: bool = False,
    without: Collection[str] = (),
) -> RegistryChange:
    """As `planned`, in a thread if it takes long (thousands of policies or documents), so that actions go on."""
    plan = partial(
        planned, registry, policies, drills, limits, clock, documents, prune=prune, without=without
    )
    present = registry.documents()
    chars = sum(len(text) for text in policy_documents(present).values())
    chars += sum(map(_policy_chars, documents))
    takes_long = chars > INLINE_CHARS_MAX or len(present) + len(documents) > INLINE_DOCUMENTS_MAX
    return await to_thread.run_sync(plan) if takes_long else plan()


def _policy_chars(document: JSONValue) -> int:
    match document:
        case {"spec": {"policies": str(policies)}}:
            return len(policies)
    return 0


def planned(
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    documents: Sequence[JSONValue],
    *,
    prune: bool = False,
    without: Collection[str] = (),
) -> RegistryChange:
    """Check everything that applying would check. `without`: keys to remove.

    Raises Malformed, Refused (`agent.retired`, `drill.missing`, `registry.reserved_name`), and Unavailable.
    """
    old = registry.documents()
    shape = faults_of_shape(documents)
    check_reserved(documents)
    given = {} if shape else {document_key(one): _given(one, old) for one in documents}
    kept = {} if prune else {key: text for key, text in old.items() if key not in without}
    new = {**kept, **given}
    merged = [parse(text) for text in new.values()]
    parsed = ParsedDocuments(merged)
    faults = shape or list(parsed.faults)
    if faults:
        told = "; ".join(f"document {f.document} {f.path}: {f.message}" for f in faults[:FAULTS_SHOWN_MAX])
        raise REGISTRY_FAULTS(f"{len(faults)} faults in the registry documents: {told}")
    snapshot = parsed.snapshot()
    check_call_seconds(snapshot, upstream_ms_max=limits.upstream_ms_max)
    changes = _changes(old, new)
    return RegistryChange(
        applied=Applied(
            changes=changes,
            inactive=tuple(parsed.inactive()),
            before=registry.current.digest,
            after=snapshot.digest,
            undrilled=undrilled_in(drills, clock, old, new),
            void=_void(policies, changes, merged, snapshot),
        ),
        documents=new,
        snapshot=snapshot,
        policies=policy_text(snapshot),
        decision_point=decision_point_for(policies, snapshot),
    )


def decision_point_for(policies: PolicyState, snapshot: RegistrySnapshot) -> DecisionPoint:
    """The policy sets of these documents, compiled only where they or what they were checked against changed: to
    suspend an agent must not wait for thousands of policies. Raises Malformed (`policy.*`)."""
    unchanged = policies.decision_point.for_registry(snapshot)
    return unchanged if unchanged is not None else policies.compile_policies(policy_text(snapshot), snapshot)


def require_protection(applied: Applied) -> None:
    """Refuse a forbid that protects nothing: it names nobody, can never match, or defers to nobody.

    Only in new or changed sets; a forbid that becomes void through other documents is reported. Raises Malformed
    (`policy.protects_nothing`).
    """
    given = {one.key for one in applied.changes if one.how != "removed"}
    found = [one.fault for one in applied.void if one.voids_forbid and one.fault.file in given]
    if found:
        told = "; ".join(map(str, found[:FAULTS_SHOWN_MAX]))
        raise POLICY_PROTECTS_NOTHING(
            f"{told}: a forbid that protects nothing does not come into force; `answerable policy check` lists all"
        )


def _void(
    policies: PolicyState,
    changes: tuple[Change, ...],
    documents: Sequence[JSONValue],
    snapshot: RegistrySnapshot,
) -> tuple[SetFault, ...]:
    """Find void policies, if sets change or names they may use are removed."""
    check = policies.check
    concerns = any(
        one.key.startswith(POLICY_SET) or one.key.startswith(_IN_GROUPS) or one.how == "removed"
        for one in changes
    )
    return check(documents, snapshot) if check is not None and concerns else ()


def _given(document: JSONValue, old: dict[str, bytes]) -> bytes:
    stored = old.get(document_key(document))
    return encode(with_standing(document, parse(stored)) if stored is not None else document)


def policy_text(snapshot: RegistrySnapshot) -> str:
    """Return all registered policy sets as one text, sorted by name; ids are unique across all of them."""
    return "\n".join(snapshot.policy_sets[name].policies for name in sorted(snapshot.policy_sets))


def _changes(old: dict[str, bytes], new: dict[str, bytes]) -> tuple[Change, ...]:
    changes: list[Change] = []
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            changes.append(Change(key=key, how="removed"))
        elif key not in old:
            changes.append(Change(key=key, how="added"))
        elif old[key] != new[key]:
            changes.append(Change(key=key, how="changed"))
    return tuple(changes)
