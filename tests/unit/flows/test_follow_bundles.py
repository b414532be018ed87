"""How bundles of foreign domains are kept fresh, over time that a test moves."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.svid.federation import bundle_unavailable, federation_source
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.errors import AnswerableError, Broken, Malformed, Unavailable
from answerable.errors.codes.identity import BUNDLE_UNREACHABLE, BUNDLE_WITHDRAWN
from answerable.flows.workloads.follow_bundles import BundleFollowing
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy

pytestmark = pytest.mark.anyio

OTHER = TrustDomain("other.example")
FIRST = TrustBundle(
    trust_domain=OTHER,
    x509_authorities=(b"a",),
    jwt_authorities={},
    wit_authorities={},
    sequence=5,
    refresh_hint=60,
)


class ScriptedEndpoint:
    """A source that gives what its script says; its waits end at once and are written down."""

    def __init__(
        self, *script: TrustBundle | AnswerableError, clock: ManualClock, domain: str = OTHER
    ) -> None:
        self.source = federation_source(f"{domain} file bundle.json")
        self.script = list(script)
        self.waits: list[float] = []
        self.clock = clock
        self.is_over = anyio.Event()

    async def fetch(self) -> TrustBundle:
        step = self.script.pop(0)
        if isinstance(step, AnswerableError):
            raise step
        return step

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)
        if not self.script:
            self.is_over.set()
            await anyio.sleep_forever()


class Bench:
    def __init__(self, *script, known=None):
        self.clock = ManualClock()
        self.endpoint = ScriptedEndpoint(*script, clock=self.clock)
        self.held: dict[TrustDomain, TrustBundle] = {OTHER: known} if known else {}
        self.put: list[TrustBundle] = []
        self.dropped: list[TrustDomain] = []
        self.following = BundleFollowing(
            endpoints=[self.endpoint],
            bundle=self.held.get,
            put=self.take,
            drop=self.give_up,
            clock=self.clock,
            entropy=SeededEntropy(1),
        )

    def take(self, bundle: TrustBundle) -> None:
        self.put.append(bundle)
        self.held[bundle.trust_domain] = bundle

    def give_up(self, domain: TrustDomain) -> None:
        self.dropped.append(domain)
        self.held.pop(domain, None)

    async def run(self):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.following.follow)
            await self.endpoint.is_over.wait()
            tasks.cancel_scope.cancel()
        return self.following.states()[0]


def down(why="it is down"):
    return bundle_unavailable(OTHER, why, code=BUNDLE_UNREACHABLE)


async def test_before_the_first_answer_a_source_is_waiting():
    (state,) = Bench(FIRST).following.states()
    assert (state.state, state.trust_domain, state.fetched_at, state.sequence) == ("waiting", OTHER, 0, None)


@pytest.mark.requirement("FED-07")
async def test_a_changed_bundle_is_put_and_an_unchanged_one_is_not():
    second = replace(FIRST, sequence=6)
    bench = Bench(FIRST, FIRST, second)
    state = await bench.run()
    assert bench.put == [FIRST, second]
    assert (state.state, state.sequence, state.reason) == ("ok", 6, "")
    assert all(54 <= seconds <= 60 for seconds in bench.endpoint.waits)
    assert state.next_at > state.fetched_at


async def test_a_bundle_of_before_this_process_is_not_replaced_by_an_older_one():
    bench = Bench(replace(FIRST, sequence=4), known=FIRST)
    state = await bench.run()
    assert bench.put == []
    assert bench.held[OTHER] == FIRST
    assert state.state == "alarm"
    assert "from sequence 5 to 4" in state.reason


@pytest.mark.requirement("FED-07")
async def test_a_failure_keeps_the_last_good_bundle_and_the_alarm_its_beginning():
    bench = Bench(FIRST, down(), down("still down"))
    state = await bench.run()
    assert bench.held[OTHER] == FIRST
    assert (state.state, state.sequence) == ("alarm", 5)
    assert "still down" in state.reason
    assert state.fetched_at < state.since < bench.clock.now()
    bench.endpoint.script = [FIRST]
    state = await bench.following.refresh(OTHER)
    assert (state.state, state.since, state.reason) == ("ok", 0, "")


@pytest.mark.requirement("FED-07")
async def test_without_a_bundle_the_pauses_double():
    bench = Bench(down(), down(), down(), down())
    await bench.run()
    bounds = zip(bench.endpoint.waits, (10, 20, 40, 80), strict=True)
    assert all(longest * 0.9 <= seconds <= longest for seconds, longest in bounds)


@pytest.mark.requirement("FED-08")
async def test_a_bundle_that_cannot_be_refreshed_for_three_days_is_dropped_and_comes_back():
    bench = Bench(FIRST, *[down()] * 5200)
    state = await bench.run()
    assert bench.dropped == [OTHER]
    assert (state.state, state.dropped, state.sequence) == ("alarm", True, None)
    bench.endpoint.script = [replace(FIRST, sequence=1)]
    state = await bench.following.refresh(OTHER)
    assert (state.state, state.dropped, state.sequence) == ("ok", False, 1)


async def test_what_its_source_has_withdrawn_is_dropped_at_once():
    bench = Bench(FIRST, bundle_unavailable(OTHER, "none of it", code=BUNDLE_WITHDRAWN))
    state = await bench.run()
    assert bench.dropped == [OTHER]
    assert (state.state, state.dropped, state.sequence) == ("alarm", True, None)


async def test_a_bundle_under_another_name_is_never_put():
    bench = Bench(replace(FIRST, trust_domain=TrustDomain("bank.example")))
    state = await bench.run()
    assert bench.put == []
    assert state.state == "alarm"


async def test_a_register_that_fails_is_an_alarm_and_no_end():
    bench = Bench(FIRST, FIRST)

    def full(_bundle):
        raise Unavailable("the disk is full", code="register.full", port="register")

    bench.following._put = full
    state = await bench.run()
    assert (state.state, state.reason) == ("alarm", "the disk is full")


async def test_a_fallen_invariant_ends_the_following():
    bench = Bench(FIRST)

    def corrupt(_bundle):
        raise Broken("the register is damaged", code="register.corrupt")

    bench.following._put = corrupt
    with pytest.raises(Broken):
        await bench.following.refresh(OTHER)


async def test_what_cannot_be_dropped_stays_in_alarm_with_both_reasons():
    bench = Bench(down(), known=FIRST)

    def stuck(_domain):
        raise Unavailable("the disk is full", code="register.full", port="register")

    bench.following._drop = stuck
    bench.clock.advance(300_000)
    state = await bench.run()
    assert "it is down: and it could not be dropped: the disk is full" in state.reason
    assert not state.dropped


async def test_a_domain_whose_source_was_taken_out_of_the_settings_is_dropped():
    bench = Bench(FIRST, known=FIRST)
    gone = TrustDomain("gone.example")
    bench.held[gone] = replace(FIRST, trust_domain=gone)
    assert await bench.following.drop_unlisted(tuple(bench.held)) == (gone,)
    assert set(bench.held) == {OTHER}


async def test_unknown_domains_and_second_sources_are_refused():
    bench = Bench(FIRST)
    with pytest.raises(Malformed) as told:
        await bench.following.refresh(TrustDomain("stranger.example"))
    assert told.value.code == "federation.unknown"
    with pytest.raises(Malformed) as told:
        BundleFollowing(
            endpoints=[bench.endpoint, bench.endpoint],
            bundle=bench.held.get,
            put=bench.take,
            drop=bench.give_up,
            clock=bench.clock,
            entropy=SeededEntropy(1),
        )
    assert told.value.code == "federation.duplicate"
