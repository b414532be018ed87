"""A person answers many approvals that are alike with one signature over the list of all of them.

Each is answered as if it were alone: who may answer, what stands still and how strong the signature must be is checked
for each, and what may not be answered so, or is not as it was any more, is left out and named. A yes covers only those
that are alike; a no covers any of one group.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter, create_task_group

from answerable.core.approval.approval import Answer, ApprovalId
from answerable.core.approval.batch import batch_challenge, batch_of
from answerable.core.approval.batch_answer import kept_by_key, kept_by_passkey, verify_batch, words_in
from answerable.core.approval.strength import check_strength, tier_shown
from answerable.core.identity.passkey import unverified
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified, shown
from answerable.flows.answer_approval import approval_here, one_at_a_time
from answerable.flows.answering_pace import LOST_RACE, check_look, claim_yes, let_go_yes
from answerable.flows.approval_nonces import give_nonce, used_nonce
from answerable.flows.group_waiting import groups_waiting
from answerable.flows.note_look import opened_at
from answerable.flows.people_signing_in import desk_of
from answerable.flows.refuse_revoked import signing_key_of
from answerable.flows.sign_in import check_passkey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.batch import Batch
    from answerable.core.approval.token import Verdict
    from answerable.core.approval.words import Words
    from answerable.core.identity.passkey import PasskeyAssertion
    from answerable.core.identity.principal import PrincipalId, UnixMillis
    from answerable.flows.walk import Walk

AT_ONCE_MAX: Final = 16
"""Answers of one list that are on their way into the ledger at a time."""
REASONS_MAX: Final = 10
"""Of a list of which nothing may be answered together."""
CRITICAL: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedMany:
    """nonce: for one answer to `batch`. ends: until when, Unix milliseconds. left_out: by id, why not."""

    nonce: bytes
    batch: Batch
    approvals: tuple[Approval, ...]
    ends: UnixMillis
    left_out: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredMany:
    """answered: as they stand afterwards. left_out: by id, why not; nothing became of those."""

    answered: tuple[Approval, ...]
    left_out: dict[str, str]


def open_many(walk: Walk, seen: dict[str, str], verdict: Verdict, *, to: str = "") -> OpenedMany:
    """A nonce for one answer to those of `seen` that may be answered together: id, and rendering hash in hex as the
    person saw it. to: who opens them.

    Raises Malformed (`approval.batch`), Refused (`approval.batch_off`, `approval.none_alike`, `approval.not_together`,
    `approval.other_shard`), Unavailable.
    """
    _check(walk, len(seen), verdict)
    fitting, left_out = _fitting(walk, [*seen], verdict)
    for approval in [*fitting]:
        if approval.card.hex != seen[approval.id]:
            left_out[approval.id] = "this is not the card that was seen: show it anew"
            fitting.remove(approval)
    if not fitting:
        raise Refused(
            "none of these can be answered together",
            code="approval.none_alike",
            reasons=tuple(f"{name}: {why}" for name, why in [*left_out.items()][:REASONS_MAX]),
        )
    approval_here(walk, fitting[0].id)
    batch = batch_of(fitting)
    nonce, ends = give_nonce(walk, opening_of(batch), to=to)
    return OpenedMany(nonce=nonce, batch=batch, approvals=tuple(fitting), ends=ends, left_out=left_out)


def opening_of(batch: Batch) -> ApprovalId:
    """Under what nonces for this very list are kept: no id of an approval, for those have no blanks."""
    return ApprovalId(f"many {batch.root.hex()}")


async def answer_many(walk: Walk, ids: Sequence[str], token: str) -> AnsweredMany:
    """Verify an answer to exactly this list that a person signed with a key file, and record it for each.

    Raises Unverified where signature, claims, list or nonce do not check, Malformed (`approval.batch`,
    `approval.malformed`), Refused (`approval.batch_off`, `approval.unknown`, `approval.not_together`,
    `approval.too_fast`), and Unavailable where not one could be recorded: then nothing counts.
    """
    batch, now = _list_of(walk, ids, "approve"), walk.clock.now()
    people = walk.registry.current.principals
    claims, nonce = verify_batch(
        token,
        batch=batch,
        audience=walk.ledger.origin,
        keys_of=lambda name: people[name].keys if name in people else (),
        now=now,
    )
    given = _take_nonce(walk, batch, nonce, now, by=claims.iss)
    words = words_in(claims)
    person = next(one for name, one in people.items() if name == claims.iss)
    thumbprint = signing_key_of(token)
    signer = next(one.jwk for one in person.keys if one.thumbprint == thumbprint)

    def read(index: int, approval: Approval, at: UnixMillis) -> tuple[Answer, str, str]:
        check_strength(walk.limits, approval, passkey=None)
        opened = opened_at(walk, approval, person.name, given, at, listed=True)
        check_look(walk, approval, verdict=claims.verdict, opened_at=opened, now=now)
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

    return await _answered(walk, batch, claims.verdict, read, by=person.name)


async def answer_many_by_passkey(
    walk: Walk,
    ids: Sequence[str],
    *,
    person: PrincipalId,
    verdict: Verdict,
    words: Words,
    nonce: bytes,
    assertion: PasskeyAssertion,
) -> AnsweredMany:
    """Verify an answer to exactly this list that a person signed with a passkey at our page, and record it for each.
    words: signed with it.

    Raises as `answer_many`, and Unverified (`passkey.*`), Refused (`passkey.off`, `person.*`).
    """
    batch, now = _list_of(walk, ids, verdict), walk.clock.now()
    given = _take_nonce(walk, batch, nonce, now, by=person)
    signed = batch_challenge(nonce=nonce, root=batch.root, size=batch.size, verdict=verdict, words=words)
    passkey = check_passkey(walk, assertion, challenge=signed)
    if passkey.person != person:
        raise unverified(f"this passkey is not one of {shown(person)}, who is signed in here", "other")
    groups, origins = walk.registry.current.principals[person].groups, desk_of(walk).origins

    def read(index: int, approval: Approval, at: UnixMillis) -> tuple[Answer, str, str]:
        check_strength(walk.limits, approval, passkey=passkey)
        opened = opened_at(walk, approval, person, given, at, listed=True)
        check_look(walk, approval, verdict=verdict, opened_at=opened, now=now)
        kept = kept_by_passkey(
            batch,
            index,
            by=person,
            nonce=nonce,
            verdict=verdict,
            words=words,
            audience=walk.ledger.origin,
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

    return await _answered(walk, batch, verdict, read, by=person)


async def _answered(
    walk: Walk,
    batch: Batch,
    verdict: Verdict,
    read: Callable[[int, Approval, UnixMillis], tuple[Answer, str, str]],
    *,
    by: PrincipalId,
) -> AnsweredMany:
    """Each that still may be answered together, a few at a time. What fails for one is told of it and of no other."""
    fitting, left_out = _fitting(walk, [one.approval for one in batch.items], verdict)
    wanted = {one.id for one in fitting}
    after: list[Approval] = []
    failed: list[Unavailable] = []
    lost: list[bool] = []
    limiter = CapacityLimiter(AT_ONCE_MAX)

    async def one(index: int, name: str) -> None:
        async with limiter:
            try:
                after.append(await one_at_a_time(walk, name, partial(read, index)))
            except Unavailable as fault:
                failed.append(fault)
                left_out[name] = fault.message
            except AnswerableError as fault:
                left_out[name] = fault.message
                lost.append(fault.code == LOST_RACE)

    root = batch.root.hex()
    if verdict == "approve":
        claim_yes(walk, by, root, walk.clock.now())
    async with create_task_group() as tasks:
        for index, item in enumerate(batch.items):
            if item.approval in wanted:
                tasks.start_soon(one, index, item.approval)
    if verdict == "approve" and not (after or failed or any(lost)):
        let_go_yes(walk, by, root)
    if failed and not after:
        raise failed[0]
    return AnsweredMany(
        answered=tuple(sorted(after, key=lambda one: one.id)), left_out=dict(sorted(left_out.items()))
    )


def _fitting(walk: Walk, ids: Sequence[str], verdict: Verdict) -> tuple[list[Approval], dict[str, str]]:
    """Those that may be answered together now, of the group of most of them, and why not the others."""
    wanted = frozenset(ids)
    counts = [(sum(one.id in wanted for one in group.all), group) for group in groups_waiting(walk).groups]
    count, group = max(counts, key=lambda pair: pair[0], default=(0, None))
    if group is None or not count:
        return [], dict.fromkeys(ids, "it is not one of a group that waits")
    if verdict == "approve" and group.not_together:
        raise Refused(f"these are answered one by one: {group.not_together}", code="approval.not_together")
    alike = {one.id: one for one in group.alike}
    odd = {one.approval.id: one for one in group.odd}
    fitting: list[Approval] = []
    left_out: dict[str, str] = {}
    for name in ids:
        found = alike.get(ApprovalId(name))
        differs = odd.get(ApprovalId(name))
        if found is None and differs is not None and verdict == "deny":
            found = differs.approval
        if found is not None and verdict == "approve" and _tier(walk, found) > walk.limits.batch_tier_max:
            left_out[name] = "an action of this tier is answered by itself"
        elif found is not None:
            fitting.append(found)
        elif differs is not None:
            left_out[name] = f"it differs, and is answered by itself: {'; '.join(differs.because)}"
        else:
            left_out[name] = "it does not wait any more, or is not like the others"
    return fitting, left_out


def _tier(walk: Walk, approval: Approval) -> int:
    """The higher of what was shown and what it is by now; what cannot be said any more is of the highest."""
    capability = walk.registry.current.capabilities.get(approval.capability)
    return max(tier_shown(approval), capability.tier if capability is not None else CRITICAL)


def _list_of(walk: Walk, ids: Sequence[str], verdict: Verdict) -> Batch:
    """The list that was signed: whatever became of them, what each showed is as it was."""
    _check(walk, len(ids), verdict)
    found = [walk.approvals.find(ApprovalId(name)) for name in ids]
    unknown = next((name for name, one in zip(ids, found, strict=True) if one is None), None)
    if unknown is not None:
        raise Refused(f"there is no approval {shown(unknown)}", code="approval.unknown")
    return batch_of(one for one in found if one is not None)


def _check(walk: Walk, count: int, verdict: Verdict) -> None:
    if verdict not in ("approve", "deny"):
        # A glass is broken for one action, which somebody then answers for.
        raise Malformed("an answer to many is `approve` or `deny`", code="approval.batch")
    most = walk.limits.batch_items_max
    if not most:
        raise Refused(
            "here each is answered by itself: `walk.batch_items_max` is 0", code="approval.batch_off"
        )
    if not 1 <= count <= most:
        raise Malformed(f"one answer is to 1 to {most} approvals, got {count}", code="approval.batch")


def _take_nonce(walk: Walk, batch: Batch, nonce: bytes, now: UnixMillis, *, by: str) -> UnixMillis:
    given = used_nonce(walk, opening_of(batch), nonce, now, by=by)
    if given is None:
        raise Unverified(
            "the answer was made for another opening, or by another person, too long ago, or has been given: open the "
            "group again",
            code="approval.nonce",
            step="approval",
        )
    return given
