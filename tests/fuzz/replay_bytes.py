"""What is read of a log that others hand over when its decisions are asked again, with samples to begin from."""

from __future__ import annotations

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.core.decision.asked import context_under, read_question
from answerable.core.registry.documents.policy_parts import NO_PARTS
from answerable.core.registry.policy_sets.policy_statement import PolicyStatement
from answerable.verify.policy_evaluation import PolicyAsking
from tests.fuzz.policy_bytes import POLICIES, SHORT, TRIALS
from tests.worlds.policy import PARTS, REGISTRY

DIGEST = "0" * 64


def question_texts() -> tuple[bytes, ...]:
    """As decisions write them."""
    point = CedarDecisionPoint(published(POLICIES, REGISTRY))
    return tuple(point.decide(trial.verified(), trial.facts()).question for trial in TRIALS)


def question(sent: bytes) -> None:
    """A question that is read can be asked of a policy set, which never raises anything but what is ours."""
    asked = read_question(sent)
    context_under(asked, PARTS)
    _asking(POLICIES).decide(asked)


def policies(sent: bytes) -> None:
    """A policy set that a log holds is refused, or can be asked; no text ends the process."""
    asking = _asking(sent.decode("utf-8", "replace"))
    asking.decide(read_question(question_texts()[0]))


def _asking(text: str) -> PolicyAsking:
    return PolicyAsking(PolicyStatement(policies=text, parts=NO_PARTS, schema_digest=DIGEST), digest=DIGEST)


def samples() -> dict[str, tuple[bytes, ...]]:
    """Valid bytes for each of the parsers here."""
    return {"question": question_texts(), "policies": (POLICIES.encode(), SHORT.encode())}
