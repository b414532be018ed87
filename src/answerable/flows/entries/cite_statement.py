"""Write each large, repeated statement into the log once; intents refer to it by entry index and leaf hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.ledger import records_statements
from answerable.core.ledger.leaves import Reference, References
from answerable.core.ledger.records_delegation import CONSENT_KIND, KIND, cited_consent, cited_hop
from answerable.core.ledger.subject import LOG_SUBJECT, principal_subject
from answerable.errors import Unavailable
from answerable.flows.counters.trigger_rules import count, rules_now
from answerable.flows.counters.watch_rules import givers_of, handed_on
from answerable.flows.entries.keep_citations import found_citation
from answerable.flows.recording.record_entry import pseudonym_of, sealing_for
from answerable.flows.validity.mandate_validity import schedule_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.ledger.entry import Entry
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.registry_store import RegistryStore

CITED_MAX = 50_000
"""References kept in memory; past that, the oldest is dropped and looked up in the register again."""


def found_references(
    cited: dict[tuple[str, str], Reference], verified: VerifiedRequest, policy_set: str
) -> References | None:
    """Return the references of an action; None when a statement is not in the log yet. Does no I/O."""
    mandate = cited.get(("mandate", verified.mandate.id))
    policies = cited.get(("policy_set", policy_set))
    tool = cited.get(("tool", verified.definition.digest))
    if mandate is None or policies is None or tool is None:
        return None
    hops = tuple(found for hop in verified.hops if (found := cited.get((KIND, hop.digest.hex()))) is not None)
    if len(hops) < len(verified.hops):
        return None
    return References(mandate=mandate, policy_set=policies, tool=tool, hops=hops)


async def cited_references(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    policy_state: PolicyState,
    verified: VerifiedRequest,
    policy_set: str,
) -> References | None:
    """Return the references of an action, once the statements that the log lacks are written; None where the action
    must be decided again, because that may have changed what it was decided on. Raises as `cite_statements`."""
    found = found_references(recorder.cited, verified, policy_set)
    if found is None and not await cite_statements(
        recorder, authority, counters, policy_state, verified, policy_set
    ):
        found = found_references(recorder.cited, verified, policy_set)
    return found


async def cite_statements(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    policy_state: PolicyState,
    verified: VerifiedRequest,
    policy_set: str,
) -> bool:
    """Write the missing statements. policy_set: digest of the policy set in force at this moment. Return whether to
    decide again: other tasks ran meanwhile, or stop rules counted a delegation.

    The statements precede whatever is submitted after this returns, so a durable intent refers to durable entries.
    Raises Unavailable.
    """
    mandate, definition = verified.mandate, verified.definition
    # Read the policy set before the first await: another set may be in force later.
    policies = _policy_set(recorder, policy_state, policy_set)
    own = sealing_for(recorder, LOG_SUBJECT)
    waited = policies is not None and await _written(recorder, ("policy_set", policy_set), policies)
    waited |= await _written(
        recorder,
        ("tool", definition.digest),
        lambda: records_statements.cited_text(
            "tool", definition.digest, definition.text, at=recorder.clock.now(), sealing=own
        ),
    )
    waited |= await _written(
        recorder, ("mandate", mandate.id), _mandate(recorder, authority.registry, mandate)
    )
    for depth in range(1, len(verified.hops) + 1):
        await cite_hop(recorder, authority, counters, verified.hops[:depth], mandate)
    return waited or bool(verified.hops)


class DecidedUnder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """References of a denial or an approval request; None for a statement that the log lacks."""

    policy_set: Reference | None = None
    mandate: Reference | None = None


UNDER_NOTHING: Final = DecidedUnder()
"""References of a decision made before policy was evaluated."""


def decided_under(cited: dict[tuple[str, str], Reference], mandate: Mandate, policy_set: str) -> DecidedUnder:
    """Return the references of a decision without an intent, as far as they have been cited. Does no I/O.

    Writes nothing: a refused caller must not make the log grow faster. Where a reference is None, the entry that
    published the policy set or issued the mandate has the statement, and the decision's entry names both.
    """
    return DecidedUnder(
        policy_set=cited.get(("policy_set", policy_set)), mandate=cited.get(("mandate", mandate.id))
    )


def _policy_set(recorder: Recorder, policies: PolicyState, digest: str) -> Callable[[], Entry] | None:
    """Return a function that makes the entry of the policy set in force, which has this digest. None if it is known to
    be cited."""
    if ("policy_set", digest) in recorder.cited:
        return None
    statement, own = policies.decision_point.policy_statement, sealing_for(recorder, LOG_SUBJECT)
    return lambda: records_statements.cited_text(
        "policy_set", digest, statement, at=recorder.clock.now(), sealing=own
    )


def _mandate(recorder: Recorder, registry: RegistryStore, mandate: Mandate) -> Callable[[], Entry]:
    person = sealing_for(recorder, principal_subject(mandate.principal))
    principal = pseudonym_of(recorder, mandate.principal)
    return lambda: records_statements.cited_mandate(
        mandate,
        at=recorder.clock.now(),
        sealing=person,
        principal=principal,
        audience=recorder.ledger.origin,
        owner=schedule_owner(mandate.principal, registry.current),
    )


async def cite_hop(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    hops: Sequence[Hop],
    mandate: Mandate,
    *,
    manifest: str = "",
) -> None:
    """Write the last of these hops, root first, unless this log has it. Raises Unavailable."""
    hop, parent = hops[-1], hops[-2].jti if len(hops) > 1 else ""
    person = sealing_for(recorder, principal_subject(mandate.principal))
    principal = pseudonym_of(recorder, mandate.principal)

    def then(index: int) -> None:
        # An agent that exchanges its own token delegates nothing.
        if (
            len(hops) > 1
            and hops[-2].agent != hop.agent
            and rules_now(authority.registry, counters.stop_rules)
        ):
            stop_rule_signal = handed_on(
                givers_of(hops), mandate.id, hops[-2].instance, at=recorder.clock.now()
            )
            count(authority, counters, recorder.entropy, stop_rule_signal, index=index)

    await _written(
        recorder,
        (KIND, hop.digest.hex()),
        lambda: cited_hop(
            hop,
            at=recorder.clock.now(),
            sealing=person,
            principal=principal,
            mandate=mandate.id,
            parent=parent,
            manifest=manifest,
            log=recorder.ledger.origin,
        ),
        then=then,
    )


async def cite_consent(recorder: Recorder, consent: Hop, parent: Hop, mandate: Mandate) -> Reference:
    """Write an agent's consent, unless this log has it, and return its durable place: a token that outlives this
    process will cite it. parent: the hop that signed the consent. Raises Unavailable."""
    person = sealing_for(recorder, principal_subject(mandate.principal))
    principal = pseudonym_of(recorder, mandate.principal)
    name = (CONSENT_KIND, consent.digest.hex())
    await _written(
        recorder,
        name,
        lambda: cited_consent(
            consent,
            at=recorder.clock.now(),
            sealing=person,
            principal=principal,
            mandate=mandate.id,
            parent=parent.jti,
        ),
    )
    place = recorder.cited[name]
    # Of several concurrent exchanges one writes the entry, and all wait until it is durable.
    submitted = recorder.consents_on_the_way.get(name)
    if submitted is not None:
        await submitted.durable()
        # Also remove durable ones whose callers left meanwhile.
        on_the_way, durable = recorder.consents_on_the_way, recorder.ledger.size
        for one in [one for one, written in on_the_way.items() if written.receipt.index < durable]:
            del on_the_way[one]
    return place


async def _written(
    recorder: Recorder,
    name: tuple[str, str],
    make: Callable[[], Entry],
    *,
    then: Callable[[int], None] | None = None,
) -> bool:
    """Write the statement if the log lacks it. Return whether this waited for room, so that other tasks ran. then:
    receives the entry's index before anything else runs, if it is written."""
    waited = False
    while name not in recorder.cited:
        # No await up to `submit`, so that of two concurrent citations only one is written.
        found = found_citation(recorder, name)
        if found is not None:
            _remember(recorder.cited, name, found)
            break
        entry = make()
        try:
            submitted = recorder.ledger.submit(entry)
        except Unavailable as busy:
            if busy.code != "ledger.busy":
                raise
            waited = True
            await recorder.ledger.room(entry)
            continue
        receipt = submitted.receipt
        place = Reference(entry=receipt.index, leaf=receipt.leaf_hash.hex())
        if name[0] == CONSENT_KIND:
            recorder.consents_on_the_way[name] = submitted
        if recorder.citations is not None:
            recorder.cited_unkept[name] = place
        _remember(recorder.cited, name, place)
        if then is not None:
            then(receipt.index)
    return waited


def _remember(cited: dict[tuple[str, str], Reference], name: tuple[str, str], place: Reference) -> None:
    if len(cited) >= CITED_MAX:
        cited.pop(next(iter(cited)))
    cited[name] = place
