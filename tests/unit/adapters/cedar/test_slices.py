from __future__ import annotations

import json
from typing import Any

import cedarpy
import pytest

from answerable.adapters.cedar.engine import CedarRequest, Evaluate, raw_engine
from answerable.adapters.cedar.mentions import Mentions
from answerable.adapters.cedar.publishing import published
from answerable.adapters.cedar.slices import ContextView, KeptAnswers, Slices
from answerable.core.decision.argument_values import mapped_arguments
from answerable.core.decision.decision import Evaluation
from answerable.core.decision.policy_context import Context, moving_context, shared_context
from answerable.core.identity.names.principal import AgentId
from tests.worlds.policy import AGENTS, CAPABILITIES, NOW, REGISTRY, Trial

AGENT = AGENTS[AgentId("support-agent")]
READ = CAPABILITIES["crm.customer.read"]
PAY = Trial(
    capability="payments.batch.submit", arguments={"batch": "7", "amount": 5, "tags": ["a"]}, calls_used=3
)


def shared() -> Context:
    return shared_context(PAY.verified(), AGENT, REGISTRY.parts)


def whole() -> Context:
    verified = PAY.verified()
    mapped = mapped_arguments(CAPABILITIES[PAY.capability].arguments, verified.request.arguments)
    assert isinstance(mapped, dict)
    return shared() | moving_context(shared(), verified, PAY.facts(), arguments=mapped, parts=REGISTRY.parts)


def context(*paths: tuple[str, ...], everything: bool = False) -> object:
    mentions = Mentions(everything=everything, paths=frozenset(paths))
    view = ContextView(mentions, CAPABILITIES[PAY.capability], REGISTRY.parts)
    return json.loads(view.text(view.shared_text(shared()), whole()))


@pytest.mark.parametrize(
    ("paths", "sent"),
    [
        ((), {}),
        ((("arguments", "amount"),), {"arguments.amount": 5}),
        ((("arguments", "rate"),), {}),
        ((("arguments",),), {"arguments": {"batch": "7", "amount": 5, "tags": ["a"]}}),
        ((("task", "calls_used"), ("now",)), {"task.calls_used": 3, "now": NOW}),
        ((("capability", "tier"), ("proof",)), {"capability": {"tier": 3}, "proof": "session_mac"}),
        ((("agent", "grade"),), {"agent.grade": "claimed"}),
        ((("nothing", "known"),), {}),
    ],
)
def test_a_context_carries_what_the_policies_mention_and_no_more(paths, sent):
    assert context(*paths) == sent


def test_a_context_that_is_used_whole_is_sent_whole():
    assert context(everything=True) == whole()


def slices() -> Slices:
    text = """
    @id("a") permit(principal in UseCase::"support", action, resource is Customer);
    @id("b") forbid(principal, action in Action::"read", resource == Customer::"1");
    @id("c") permit(principal == Agent::"finance-agent", action, resource);
    """
    return Slices(published(text, REGISTRY), engine=raw_engine, slicing=True, answers=KeptAnswers())


def test_resources_that_no_policy_names_share_one_slice():
    own = slices()
    assert own.find(AGENT, READ, "2") is own.find(AGENT, READ, "3")
    assert own.find(AGENT, READ, "2").policies == (0,)
    assert own.find(AGENT, READ, "1").policies == (0, 1)
    assert own.heads_matching(AGENT, READ) == (0, 1)


LIFTED = """
@id("allows") permit(principal, action, resource);
@id("asks") @approve("finance:1") forbid(principal, action, resource) when { context.task.calls_used > 0 };
@id("masks") @oblige("mask:/email?") forbid(principal, action, resource) when { context.task.calls_used > 1 };
@id("never") forbid(principal, action, resource) when { context.task.calls_used > 2 };
"""


@pytest.mark.parametrize(
    ("used", "first", "rest", "questions"),
    [
        (0, Evaluation(allowed=True, determining=("allows",)), None, 1),
        (1, Evaluation(allowed=False, determining=("asks",)), ("allows",), 1),
        (2, Evaluation(allowed=False, determining=("asks", "masks")), ("allows",), 1),
        (3, Evaluation(allowed=False, determining=("asks", "masks", "never")), None, 2),
    ],
)
def test_one_question_to_cedar_says_which_forbids_hold_and_what_is_left_without_those_that_may_be_lifted(
    used, first, rest, questions
):
    asked: list[CedarRequest] = []

    def counting(policies: cedarpy.PolicySet, entities: str) -> Evaluate:
        evaluate = raw_engine(policies, entities)

        def counted(request: Any) -> Any:
            asked.append(request)
            return evaluate(request)

        return counted

    own = Slices(published(LIFTED, REGISTRY), engine=counting, slicing=True, answers=KeptAnswers(most=0))
    found = own.find(AGENT, READ, "2")
    moving = whole() | {"task": {"calls_used": used}}
    given, without = own.ask(found, "2", found.view.shared_text(shared()), moving)
    assert given == first
    if rest is not None:
        assert without(given.determining) == Evaluation(allowed=True, determining=rest)
    assert len(asked) == questions
