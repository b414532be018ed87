"""Answer many similar approvals with one signature over the list of all of them.

Each approval is checked as if it were answered alone: who may answer, revocations and holds, and the strength of the
signature. An approval that may not be answered this way, or has changed, is left out and reported. A yes covers only
approvals that are alike; a no covers any approvals of one group.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio import create_task_group
from anyio.lowlevel import checkpoint

from answerable.core.approval.approval import Answer, ApprovalId
from answerable.core.approval.assurance_level import check_strength, tier_shown
from answerable.core.approval.batch import batch_challenge, batch_of
from answerable.core.approval.batch_answer import kept_by_key, kept_by_passkey, verify_batch, words_in
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.errors.codes.approval import (
    APPROVAL_NONE_ALIKE,
    APPROVAL_NOT_TOGETHER,
)
from answerable.errors.codes.people import PASSKEY_OTHER
from answerable.flows.approval.answer_approval import (
    OnRecord,
    answer_on_record,
    being_answered,
    check_swapped,
)
from answerable.flows.approval.answering_pace import LOST_RACE, check_look, claim_yes, let_go_yes
from answerable.flows.approval.open_approval import (
    approval_here,
    check_batch,
    opening_of,
    signed_list,
    take_batch_nonce,
)
from answerable.flows.approval.record_view import opened_at
from answerable.flows.escalation.approval_nonces import give_nonce
from answerable.flows.people.sign_in import check_passkey
from answerable.flows.validity.group_waiting import groups_waiting
from answerable.flows.validity.person_validity import desk_of
from answerable.flows.validity.refuse_revoked import signing_key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.batch import Batch
    from answerable.core.approval.token import Verdict
    from answerable.core.approval.words import Words
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.identity.people.passkey import PasskeyAssertion
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Counters, InProgress, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.entropy import Entropy
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore

BETWEEN_MAX: Final = 16
"""Answers of one list that are checked before other tasks run: a long list must not delay actions."""
REASONS_MAX: Final = 10
"""Reasons reported when nothing of a list may be answered together."""
CRITICAL: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedMany:
    """A list that was opened for one answer. nonce: for one answer to `batch`. ends: when the nonce expires, Unix
    milliseconds. left_out: reason by approval id."""

    nonce: bytes
    batch: Batch
    approvals: tuple[Approval, ...]
    ends: UnixMillis
    left_out: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredMany:
    """The result of answering a list. answered: the approvals after the answer. left_out: reason by approval id; these
    approvals are unchanged."""

    answered: tuple[Approval, ...]
    left_out: dict[str, str]


def open_many(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    entropy: Entropy,
    seen: dict[str, str],
    verdict: Verdict,
    *,
    to: str = "",
) -> OpenedMany:
    """Return a nonce for one answer to those of `seen` that may be answered together. seen: by approval id, the
    rendering hash in hex that the person saw. to: who opens the list.

    Raises Malformed (`approval.batch`), Refused (`approval.batch_off`, `approval.none_alike`, `approval.not_together`,
    `approval.other_shard`), Unavailable.
    """
    check_batch(asking.limits, len(seen), verdict)
    fitting, left_out = _fitting(authority, asking.under_way, asking.limits, [*seen], verdict)
    for approval in [*fitting]:
        if approval.card.hex != seen[approval.id]:
            left_out[approval.id] = "the card has changed since it was shown: reload it"
            fitting.remove(approval)
    if not fitting:
        raise APPROVAL_NONE_ALIKE(
            "none of these approvals can be answered together",
            reasons=tuple(f"{name}: {why}" for name, why in [*left_out.items()][:REASONS_MAX]),
        )
    approval_here(ledger, authority, fitting[0].id)
    batch = batch_of(fitting)
    nonce, ends = give_nonce(asking.openings, authority.clock, entropy, opening_of(batch), to=to)
    return OpenedMany(nonce=nonce, batch=batch, approvals=tuple(fitting), ends=ends, left_out=left_out)


async def answer_many(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    ids: Sequence[str],
    token: str,
) -> AnsweredMany:
    """Verify an answer to exactly this list that a person signed with a key file, and record it for each approval.

    Raises Unverified where signature, claims, list or nonce do not verify, Malformed (`approval.batch`,
    `approval.malformed`), Refused (`approval.batch_off`, `approval.unknown`, `approval.not_together`,
    `approval.too_fast`), and Unavailable where not one answer could be recorded: then none counts.
    """
    batch, now = signed_list(authority.approvals, asking.limits, ids, "approve"), recorder.clock.now()
    people = authority.registry.current.principals
    claims, nonce = verify_batch(
        token,
        batch=batch,
        audience=recorder.ledger.origin,
        keys_of=lambda name: people[name].keys if name in people else (),
        now=now,
    )
    given = take_batch_nonce(asking.openings, batch, nonce, now, by=claims.iss)
    words = words_in(claims)
    person = next(one for name, one in people.items() if name == claims.iss)
    thumbprint = signing_key_of(token)
    signer = next(one.jwk for one in person.keys if one.thumbprint == thumbprint)

    def read(index: int, approval: Approval, at: UnixMillis) -> tuple[Answer, str, str]:
        check_strength(asking.limits, approval, passkey=None)
        opened = opened_at(asking.openings, approval, person.name, given, at, listed=True)
        check_look(asking.limits, approval, verdict=claims.verdict, opened_at=opened, now=now)
        answer = Answer(
            by=person.name,
            groups=person.groups,
            verdict=claims.verdict,
            comment=words.comment,
            reason=words.reason,
            at=at,
            token=kept_by_key(batch, index, jws=token),
            opened_at=opened,
        )
        return answer, thumbprint, signer

    return await _answered(recorder, authority, asking, counters, batch, claims.verdict, read, by=person.name)


async def answer_many_by_passkey(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    ids: Sequence[str],
    *,
    person: PrincipalId,
    verdict: Verdict,
    words: Words,
    nonce: bytes,
    assertion: PasskeyAssertion,
) -> AnsweredMany:
    """Verify an answer to exactly this list that a person signed with a passkey in the console, and record it for each
    approval. words: the signed words.

    Raises as `answer_many`, and Unverified (`passkey.*`), Refused (`passkey.off`, `person.*`).
    """
    batch, now = signed_list(authority.approvals, asking.limits, ids, verdict), recorder.clock.now()
    given = take_batch_nonce(asking.openings, batch, nonce, now, by=person)
    signed = batch_challenge(nonce=nonce, root=batch.root, size=batch.size, verdict=verdict, words=words)
    passkey = check_passkey(authority, asking.passkeys, assertion, challenge=signed)
    if passkey.person != person:
        raise PASSKEY_OTHER(f"this passkey is not registered for {shown(person)}, who is signed in here")
    groups, origins = authority.registry.current.principals[person].groups, desk_of(asking.passkeys).origins

    def read(index: int, approval: Approval, at: UnixMillis) -> tuple[Answer, str, str]:
        check_strength(asking.limits, approval, passkey=passkey)
        opened = opened_at(asking.openings, approval, person, given, at, listed=True)
        check_look(asking.limits, approval, verdict=verdict, opened_at=opened, now=now)
        kept = kept_by_passkey(
            batch,
            index,
            by=person,
            nonce=nonce,
            verdict=verdict,
            words=words,
            audience=recorder.ledger.origin,
            at=now,
            passkey=passkey,
            origins=origins,
            assertion=assertion,
        )
        answer = Answer(
            by=person,
            groups=groups,
            verdict=verdict,
            comment=words.comment,
            reason=words.reason,
            at=at,
            token=kept,
            credential=passkey.name,
            opened_at=opened,
        )
        return answer, passkey.key, ""

    return await _answered(recorder, authority, asking, counters, batch, verdict, read, by=person)


async def _answered(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    batch: Batch,
    verdict: Verdict,
    read: Callable[[int, Approval, UnixMillis], tuple[Answer, str, str]],
    *,
    by: PrincipalId,
) -> AnsweredMany:
    """Answer each approval that may still be answered together: record all answers first, then let them count at once.
    A failure for one approval is reported for that approval alone."""
    fitting, left_out = _fitting(
        authority, asking.under_way, asking.limits, [one.approval for one in batch.items], verdict
    )
    wanted = {one.id for one in fitting}
    taking = _Taking(left_out=left_out)
    root = batch.root.hex()
    if verdict == "approve":
        claim_yes(asking.openings, asking.limits, by, root, recorder.clock.now())
    with ExitStack() as under_way:
        try:
            # 1. The ledger records all of them in as few syncs as possible. After a crash here, the recorded answers do
            # not count, and the person answers again.
            async with create_task_group() as tasks:
                for index, item in enumerate(batch.items):
                    if item.approval in wanted:
                        tasks.start_soon(
                            taking.take,
                            recorder,
                            authority,
                            asking,
                            counters,
                            item.approval,
                            partial(read, index),
                            under_way,
                        )
                    if index % BETWEEN_MAX == BETWEEN_MAX - 1:
                        await checkpoint()
        finally:
            # 2. The recorded answers count even if the caller left: all of them. After a crash, all or none count.
            taking.count(authority.approvals)
    if verdict == "approve" and not (taking.after or taking.failed or taking.lost):
        let_go_yes(asking.openings, by, root)
    if taking.failed and not taking.after:
        raise taking.failed[0]
    return AnsweredMany(
        answered=tuple(sorted(taking.after, key=lambda one: one.id)), left_out=dict(sorted(left_out.items()))
    )


@dataclass(slots=True, kw_only=True)
class _Taking:
    """The results so far of the answers of one list."""

    left_out: dict[str, str]
    after: list[Approval] = field(default_factory=list)
    failed: list[Unavailable] = field(default_factory=list)
    on_record: list[OnRecord] = field(default_factory=list)
    lost: bool = False

    async def take(
        self,
        recorder: Recorder,
        authority: AuthorityRegisters,
        asking: AskingState,
        counters: Counters,
        name: str,
        read: Callable[[Approval, UnixMillis], tuple[Answer, str, str]],
        under_way: ExitStack,
    ) -> None:
        """Record one answer. Its approval stays locked until all answers count."""
        with ExitStack() as own, self._told_of(name):
            own.enter_context(being_answered(asking.under_way, name))
            now = recorder.clock.now()
            approval = approval_here(recorder.ledger, authority, ApprovalId(name))
            answer, key, signer = read(approval, now)
            recorded = await answer_on_record(
                recorder, authority, asking, counters, approval, answer, key=key, signer=signer, now=now
            )
            if not isinstance(recorded, OnRecord):
                self.after.append(recorded)
                return
            self.on_record.append(recorded)
            under_way.push(own.pop_all())
            if recorded.left is not None:
                raise recorded.left

    def count(self, approvals: ApprovalRegister) -> None:
        """Let the recorded answers count. Synchronous, so that a cancellation cannot interrupt it."""
        if not self.on_record:
            return
        try:
            swapped = approvals.replace_many([(one.after, one.was) for one in self.on_record])
        except Unavailable as fault:
            self.failed.append(fault)
            self.left_out.update({one.was.id: fault.message for one in self.on_record})
            return
        for one, is_swapped in zip(self.on_record, swapped, strict=True):
            with self._told_of(one.was.id):
                check_swapped(is_swapped=is_swapped)
                self.after.append(one.after)

    @contextmanager
    def _told_of(self, name: str) -> Iterator[None]:
        """Report a failure for this approval alone."""
        try:
            yield
        except Unavailable as fault:
            self.failed.append(fault)
            self.left_out[name] = fault.message
        except AnswerableError as fault:
            self.left_out[name] = fault.message
            self.lost |= fault.code == LOST_RACE


def _fitting(
    authority: AuthorityRegisters,
    under_way: InProgress,
    limits: WalkLimits,
    ids: Sequence[str],
    verdict: Verdict,
) -> tuple[list[Approval], dict[str, str]]:
    """Return the approvals that may be answered together now, from the group with most of them, and why the others may
    not."""
    wanted = frozenset(ids)
    counts = [
        (sum(one.id in wanted for one in group.all), group)
        for group in groups_waiting(authority.approvals, under_way, authority.clock).groups
    ]
    count, group = max(counts, key=lambda pair: pair[0], default=(0, None))
    if group is None or not count:
        return [], dict.fromkeys(ids, "it does not belong to a pending group")
    if verdict == "approve" and group.not_together:
        raise APPROVAL_NOT_TOGETHER(f"these approvals must be answered one by one: {group.not_together}")
    alike = {one.id: one for one in group.alike}
    odd = {one.approval.id: one for one in group.odd}
    fitting: list[Approval] = []
    left_out: dict[str, str] = {}
    for name in ids:
        found = alike.get(ApprovalId(name))
        differs = odd.get(ApprovalId(name))
        if found is None and differs is not None and verdict == "deny":
            found = differs.approval
        if (
            found is not None
            and verdict == "approve"
            and _tier(authority.registry, found) > limits.batch_tier_max
        ):
            left_out[name] = "an action of this tier must be answered by itself"
        elif found is not None:
            fitting.append(found)
        elif differs is not None:
            left_out[name] = (
                f"it differs from the others and must be answered by itself: {'; '.join(differs.because)}"
            )
        else:
            left_out[name] = "it is no longer pending, or is not like the others"
    return fitting, left_out


def _tier(registry: RegistryStore, approval: Approval) -> int:
    """Return the higher of the tier that was displayed and the tier now; the highest tier for an unknown capability."""
    capability = registry.current.capabilities.get(approval.capability)
    return max(tier_shown(approval), capability.tier if capability is not None else CRITICAL)
