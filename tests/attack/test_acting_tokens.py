"""Tokens that would act for longer, or more often, than the risk of what they act on allows."""

from __future__ import annotations

import pytest

from answerable.adapters.system import SystemClock
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.acting_seconds import ACTING_SECONDS_MAX
from answerable.core.mandate.hop_token import read_hop
from answerable.errors import Malformed, Refused
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from answerable.wiring.settings import load_settings
from tests.worlds.delegation_lineage import asked, believing, chain_of, mandated, root_of
from tests.worlds.parts import to_govern
from tests.worlds.token import narrow, succeeded, token_world, why_not

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ACTING-01")]

NOTE = {"case_id": "4711", "text": "called back"}


def of_tier(tier: int) -> list[object]:
    """The bench's registry, where reading is of this tier."""
    found = bench_documents()
    for one in found:
        if one["kind"] == "Capability" and one["metadata"]["name"] == "crm.read":
            one["spec"]["tier"] = tier
    return found


async def world_of(tier: int) -> tuple[Bench, tuple[str, ...], tuple[str, ...]]:
    """A bench, a token of scout's that was made for handing on and lives an hour, and rover's hop below it."""
    bench = await Bench().registered(of_tier(tier))
    mandate = await mandated(bench)
    believing(bench)
    hour = bench.clock.now() // 1000 * 1000 + 3_500_000
    root = root_of(bench, mandate, expires_at=hour)
    return bench, (root,), chain_of(bench, mandate)


async def codes_of(bench: Bench, chain: tuple[str, ...], agent: str, times: int = 1) -> list[str]:
    """What came of acting by a chain so often."""
    found = []
    for _ in range(times):
        try:
            await govern_action(*to_govern(bench.walk), *asked(bench, chain, agent=agent))
            found.append("acted")
        except Refused as refused:
            found.append(refused.code)
    return found


@pytest.mark.parametrize("tier", [0, 1, 2, 3])
@pytest.mark.parametrize("which", ["for handing on", "signed by an agent"])
async def test_no_token_acts_longer_than_its_tier_allows_whatever_it_was_made_for(tier, which):
    bench, root, handed = await world_of(tier)
    chain, agent = (root, "scout") if which == "for handing on" else (handed, "rover")
    until = ACTING_SECONDS_MAX[tier]
    # What an agent signed itself has ended by then, which is a reason of its own.
    end = min(until, 199) if which == "signed by an agent" else until
    bench.clock.advance(seconds=end - 1)
    assert await codes_of(bench, chain, agent) == ["acted"]
    bench.clock.advance(seconds=1)
    if until <= end:
        assert await codes_of(bench, chain, agent) == ["delegation.too_old"]
        [refusal] = bench.entries(Tag.REFUSAL)
        assert refusal["code"] == "delegation.too_old"
    assert read_hop(root[0]).expires_at > bench.clock.now()


@pytest.mark.parametrize("which", ["for handing on", "signed by an agent"])
async def test_at_the_highest_tier_no_token_acts_twice_whoever_made_it_and_whatever_it_says(which):
    bench, root, handed = await world_of(3)
    chain, agent = (root, "scout") if which == "for handing on" else (handed, "rover")
    assert await codes_of(bench, chain, agent, times=3) == [
        "acted",
        "mandate.budget_spent",
        "mandate.budget_spent",
    ]
    assert len(bench.entries(Tag.INTENT)) == 1


async def test_what_was_handed_on_is_not_used_up_by_whoever_handed_it_on():
    bench, root, _ = await world_of(3)
    mandate = bench.authority.mandates.find("m-1")
    assert await codes_of(bench, root, "scout") == ["acted"]
    for jti in ("first", "second"):
        assert await codes_of(bench, chain_of(bench, mandate, jti=jti), "rover") == ["acted"]


async def test_a_tier_that_was_raised_after_the_token_was_made_counts_at_the_next_action():
    bench, root, _ = await world_of(0)
    assert await codes_of(bench, root, "scout", times=2) == ["acted", "acted"]
    bench.clock.advance(seconds=59)
    await bench.registered(of_tier(3))
    assert await codes_of(bench, root, "scout", times=2) == ["acted", "mandate.budget_spent"]
    bench.clock.advance(seconds=1)
    assert await codes_of(bench, root, "scout") == ["delegation.too_old"]
    await bench.registered(of_tier(2))
    assert await codes_of(bench, root, "scout") == ["acted"]


async def test_a_use_that_was_counted_stays_so_after_a_restart(tmp_path):
    async with token_world(tmp_path, tiers={"crm.note": 3}) as world:
        await world.mandate()
        root, port = await world.root(), int(world.url.rpartition(":")[2])
        assert succeeded(await world.call("orchestrator", "note_add", NOTE, chain=(root,)))
    async with token_world(tmp_path, tiers={"crm.note": 3}, port=port) as world:
        assert "calls is spent" in why_not(await world.call("orchestrator", "note_add", NOTE, chain=(root,)))
        # What it hands on, and what has a lower tier, is none of that.
        hop = world.handed((root,), "orchestrator", "researcher", narrow(("crm.note",), root))
        assert succeeded(await world.call("researcher", "note_add", NOTE, chain=(root, hop)))
        assert succeeded(await world.call("orchestrator", chain=(root,)))


@pytest.mark.requirement("ACTING-02")
@pytest.mark.parametrize(
    ("tiers", "seconds", "single"),
    [
        ({"crm.read": 0, "crm.note": 0}, 60, False),
        ({"crm.read": 0, "crm.note": 1}, 60, False),
        ({"crm.read": 2, "crm.note": 0}, 60, False),
        ({"crm.read": 3, "crm.note": 0}, 60, True),
        ({"crm.read": 1, "crm.note": 3}, 60, True),
    ],
)
async def test_the_highest_of_several_tiers_decides_what_is_issued(tmp_path, tiers, seconds, single):
    async with token_world(tmp_path, tiers=tiers) as world:
        await world.mandate()
        answer = await world.exchange("orchestrator", "m-1", requested_token_type=oauth.TYPE_ACCESS)
        claims = read_hop(answer.json()["access_token"]).raw.claims
        assert claims["exp"] - claims["iat"] <= seconds
        assert claims.get("answerable_single_use", False) is single


@pytest.mark.requirement("ACTING-02")
async def test_no_lifetime_that_is_asked_for_in_settings_gets_past_the_maximum_of_a_tier(tmp_path):
    settings = "[tokens]\naction_seconds = 300\n"
    async with token_world(tmp_path, settings=settings, tiers={"crm.read": 2, "crm.note": 3}) as world:
        await world.mandate()
        for scope, seconds in (("crm.read", 120), ("crm.note", 60), ("crm.note crm.read", 60)):
            token = await world.root(requested_token_type=oauth.TYPE_ACCESS, scope=scope)
            claims = read_hop(token).raw.claims
            assert seconds - 2 <= claims["exp"] - claims["iat"] <= seconds


@pytest.mark.requirement("ACTING-02")
@pytest.mark.parametrize(
    "line",
    [
        "action_seconds = 301",
        *(f"action_seconds_max_tier_{n} = {most + 1}" for n, most in enumerate(ACTING_SECONDS_MAX)),
    ],
)
def test_settings_may_lower_a_maximum_and_never_raise_it(tmp_path, line):
    (tmp_path / "answerable.toml").write_text(f"[tokens]\n{line}\n")
    with pytest.raises(Malformed, match=line.partition(" ")[0]):
        load_settings(tmp_path)
    lower = "\n".join(
        f"action_seconds_max_tier_{n} = {most - 1}" for n, most in enumerate(ACTING_SECONDS_MAX)
    )
    (tmp_path / "answerable.toml").write_text(f"[tokens]\n{lower}\n")
    assert load_settings(tmp_path).tokens.action_seconds_max == tuple(one - 1 for one in ACTING_SECONDS_MAX)


async def test_a_lower_maximum_in_the_settings_holds_for_every_token_at_the_gateway(tmp_path, monkeypatch):
    settings = "[tokens]\naction_seconds_max_tier_1 = 5\n"
    async with token_world(tmp_path, settings=settings, tiers={"crm.read": 1}) as world:
        await world.mandate()
        root = await world.root()
        assert succeeded(await world.call("orchestrator", chain=(root,)))
        really = SystemClock.now
        monkeypatch.setattr(SystemClock, "now", lambda clock: UnixMillis(really(clock) + 5_000))
        assert "may be used for 5 s on tier 1: exchange it" in why_not(
            await world.call("orchestrator", chain=(root,))
        )
        # It still hands on, and its holder gets a token to act with.
        hop = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        assert succeeded(await world.call("researcher", chain=(root, hop)))
        again = await world.root(requested_token_type=oauth.TYPE_ACCESS)
        assert succeeded(await world.call("orchestrator", chain=(again,)))
