"""People who propose, publish and take back policy sets on a bench."""

from __future__ import annotations

from collections.abc import Awaitable
from hashlib import sha256

import pytest

from answerable.core.canonical import JSONValue, encode
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.core.registry.policy_sets.policy_record import Proposal
from answerable.core.registry.policy_sets.publication import Terms, documents_digest, policy_documents
from answerable.errors import AnswerableError
from answerable.flows.policy.publish_policy import propose_policy, publish_policy, rollback_policy
from answerable.flows.registry.keep_policies import kept_set
from answerable.flows.registry.record_change import Applied
from answerable.sdk.signing import signed_step
from answerable.testing.builders import POLICIES, Bench
from answerable.testing.samples import AUDIENCE, document, signing_key
from tests.worlds.parts import to_apply

STOP = POLICIES + '@id("stop") @reason("all is stopped") forbid (principal, action, resource);\n'
PUBLISHERS = "approvers"
"""Group of bob and carol in the bench's registry."""


def house(policies: str) -> JSONValue:
    return document("PolicySet", "house", {"policies": policies})


def in_force(bench: Bench) -> str:
    return documents_digest(policy_documents(bench.authority.registry.documents()))


def digest_with(bench: Bench, policies: str) -> str:
    present = policy_documents(bench.authority.registry.documents())
    return documents_digest({**present, "PolicySet/house": encode(house(policies))})


def sign(
    bench: Bench,
    terms: Terms,
    *,
    by: str,
    key: SigningKey | None = None,
    audience: str = AUDIENCE,
    at: int | None = None,
) -> str:
    return signed_step(
        terms,
        by=PrincipalId(by),
        audience=audience,
        at=UnixMillis(bench.clock.now() if at is None else at),
        key=key or signing_key(by),
    )


async def propose(
    bench: Bench, policies: str = STOP, *, by: str = "alice", comment: str = "", attached: str = ""
) -> Proposal:
    terms = Terms(
        step="propose",
        before=in_force(bench),
        after=digest_with(bench, policies),
        comment=comment,
        attached=sha256(attached.encode()).hexdigest() if attached else "",
    )
    return await propose_policy(
        *to_apply(bench.walk), sign(bench, terms, by=by), [house(policies)], attached=attached
    )


def publishing(of: Proposal, **other: str) -> Terms:
    said = {"before": of.before, "after": of.after, "proposal": of.id, **other}
    return Terms(step="publish", **said)


async def publish(bench: Bench, proposal: Proposal, *, by: str = "bob") -> Applied:
    token = sign(bench, publishing(proposal), by=by)
    return await publish_policy(*to_apply(bench.walk), proposal.id, token)


async def roll_back(bench: Bench, name: str = "", *, by: str = "bob") -> Applied:
    kept = kept_set(bench.authority.registry, bench.walk.policies, name)
    terms = Terms(step="rollback", before=in_force(bench), after=kept.digest)
    return await rollback_policy(*to_apply(bench.walk), name, sign(bench, terms, by=by))


async def guarded() -> Bench:
    """A bench whose policy sets need two people, with the sample sets in force."""
    bench = await Bench().registered()
    bench.walk.policies.publishers = PUBLISHERS
    await bench.issue()
    return bench


def opened(bench: Bench, tag: Tag) -> tuple[dict[str, JSONValue], dict[str, JSONValue]]:
    index = bench.entries(tag)[-1]["index"]
    assert isinstance(index, int)
    return bench.opened(index)


async def refused_code(awaited: Awaitable[object]) -> str:
    with pytest.raises(AnswerableError) as refused:
        await awaited
    return refused.value.code
