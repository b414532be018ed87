"""What an agent could do is told of the mandates for every shard, or it is said whose were not asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.mandate import Grant
from answerable.errors import Malformed
from answerable.flows.policy.explain_what_if import possible
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.walk.moment import moment_now
from answerable.ports.search_process import POSSIBLE, PossibleQuestion
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.samples import mandate_terms, signing_key
from tests.worlds.link import BASE, two_shards
from tests.worlds.logs_at_hand import LogAtHand, joined
from tests.worlds.parts import to_decide, to_issue

if TYPE_CHECKING:
    from answerable.api.decision_answers import Possible
    from answerable.flows.policy.explain_what_if import Told

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-06"), pytest.mark.requirement("SHARD-04")]
IF_A = "if shard `a`, which the mandate is for, runs, offers it and has its budget left"


async def two(directory: Path, *, calls_max: int = 20) -> tuple[Bench, Bench]:
    """a, whose mandate allows reads and refunds, and b, whose newer mandate allows refunds."""
    a, b = await two_shards(directory, calls_max=calls_max)
    now = b.clock.now()
    terms = replace(
        mandate_terms("m-b"),
        grants=(Grant(capability="crm.refund"),),
        not_before=now,
        expires_at=UnixMillis(now + 3_600_000),
    )
    await issue_mandate(
        *to_issue(b.walk), signed_mandate(terms, audience=f"{BASE}/b", key=signing_key("alice"))
    )
    return a, b


async def asked(bench: Bench, *, is_linked: bool = True) -> Told:
    link = bench.walk.live.link if is_linked else None
    (told,) = possible(
        await moment_now(*to_decide(bench.walk), "crm.read", link=link), agents=("scout",), resource="4711"
    )
    return told


async def test_under_a_mandate_of_another_shard_it_can_as_far_as_that_shard_has_it_left(
    tmp_path: Path,
) -> None:
    a, b = await two(tmp_path / "links")
    told = await asked(b)
    assert (told.effect, told.mandates) == ("depends", ("m-1",))
    assert IF_A in told.conditions
    # Where its shard is asked, that is known.
    assert (await asked(a)).effect == "allow"


async def test_what_another_shard_has_counted_is_not_taken_from_here(tmp_path: Path) -> None:
    a, b = await two(tmp_path / "links", calls_max=1)
    await a.act()
    assert (await asked(a)).by == ("mandate.budget_spent",)
    assert (await asked(b)).effect == "depends"


async def test_where_nothing_is_handed_to_another_shard_its_mandates_allow_nothing(tmp_path: Path) -> None:
    _, b = await two(tmp_path / "links")
    told = await asked(b, is_linked=False)
    assert (told.effect, told.by) == ("deny", ("mandate.capability_outside",))


def then(bench: Bench, own: str, **logs: LogAtHand) -> Possible:
    question = PossibleQuestion(action="crm.read", agent="scout", resource="4711", at=bench.clock.now())
    return joined(own, **logs).ask(POSSIBLE, question)


async def test_of_an_earlier_time_the_shard_with_the_registry_answers_and_the_other_is_named(
    tmp_path: Path,
) -> None:
    a, b = await two(tmp_path / "links")
    logs = {"a": LogAtHand(a.recorder), "b": LogAtHand(b.recorder)}
    for own in ("a", "b"):
        told = then(a, own, **logs)
        assert told.shards == ("a",)
        assert list(told.elsewhere) == ["b"]
        assert "does not contain the whole registry" in told.elsewhere["b"]
        (agent,) = told.agents
        assert (agent.effect, agent.mandates) == ("allow", ("m-1",))


async def test_of_an_earlier_time_the_mandates_of_all_shards_with_one_registry_are_told() -> None:
    a, b = await Bench().registered(), await Bench().registered()
    await a.issue("m-a", grants=(Grant(capability="crm.refund"),))
    await b.issue("m-b")
    logs = {"a": LogAtHand(a.recorder), "b": LogAtHand(b.recorder)}
    for own in ("a", "b"):
        told = then(a, own, **logs)
        assert (told.shards, told.elsewhere) == (("a", "b"), {})
        assert [(one.effect, one.mandates) for one in told.agents] == [("allow", ("m-b",))]
    # By another registry no answer can be joined.
    await b.registered(bench_documents(POLICIES.replace('@id("read") permit', '@id("read") forbid')))
    told = then(a, "a", **logs)
    assert told.elsewhere["b"].startswith("its log has another registry of that time")
    assert told.agents[0].by == ("mandate.capability_outside",)


async def test_a_question_that_no_shard_can_answer_names_each_with_the_reason(tmp_path: Path) -> None:
    _, b = await two(tmp_path / "links")
    with pytest.raises(Malformed) as raised:
        then(b, "b", b=LogAtHand(b.recorder), c=LogAtHand(b.recorder))
    assert raised.value.code == "answers.registry_unknown"
    assert "(shard b; shard c: the ledger does not contain the whole registry" in raised.value.message
