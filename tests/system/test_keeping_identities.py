"""When a sidecar asks, and what it does when the server does not know it any more: a real door, and time that a test
lets pass."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
import pytest

from answerable.adapters.sqlite import SqliteInstanceRegister
from answerable.adapters.system import SystemEntropy
from answerable.apps.enrolment.application import enrolment_app
from answerable.apps.enrolment.services import EnrolmentServices
from answerable.apps.sidecar.identity import Identity
from answerable.apps.sidecar.keeping import Keeper
from answerable.apps.sidecar.pace import JITTER, RETURN_SECONDS_MAX
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.errors import Refused
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.flows.trust_domain.issue_svid import SvidIssuer
from answerable.flows.trust_domain.workloads import WorkloadLimits, Workloads
from answerable.sdk.enrolment import EnrolmentClient
from answerable.sdk.system_access import SystemAccess
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from tests.worlds.enrolment import attested_documents, enrolling
from tests.worlds.trust import TrustWorld

pytestmark = pytest.mark.anyio
LIFE = 3_600
BASE = "http://localhost"


@dataclass(kw_only=True)
class Desk:
    """A door over a bench whose clock only `sleep` moves. asked: when which of its paths was asked."""

    bench: Bench
    workloads: Workloads
    tokens: list[str] = field(default_factory=list)
    asked: list[tuple[float, str]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    is_supplied: bool = True
    app: Any = None

    def open(self) -> None:
        """As after a start: with whatever registers `workloads` has now."""
        prover = CallerVerifier(
            registry=self.bench.authority.registry,
            clock=self.bench.clock,
            entropy=SystemEntropy(),
            limits=ProofLimits(authorities=frozenset({"localhost"})),
            instances=self.workloads.instances,
        )
        self.app = enrolment_app(EnrolmentServices(workloads=self.workloads, prover=prover))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append((self.bench.clock.monotonic(), scope["path"].rpartition("/")[2]))
        await self.app(scope, receive, send)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.bench.clock.advance(seconds)
        await anyio.lowlevel.checkpoint()

    def forget_everything(self) -> None:
        """The register of instances is lost, as all of it is with the file."""
        self.workloads.instances = fresh(SqliteInstanceRegister)
        self.open()

    def by_join_token(self, challenge: Any, thumbprint: str) -> Any:
        """What the file holds by now; a token is good for minutes, so that somebody writes them as they are needed."""
        if self.is_supplied:
            self.new_token()
        return {"type": "join_token", "token": self.tokens[-1]}

    def new_token(self) -> None:
        self.tokens.append(self.workloads.attestor.new_join_token("first", AgentId("scout")))

    def times(self, path: str) -> list[float]:
        """Of questions; the one that has to be signed again for the server's epoch is no second one."""
        return sorted({at for at, asked in self.asked if asked == path})


@asynccontextmanager
async def desk() -> AsyncIterator[tuple[Desk, Identity, Keeper]]:
    """A sidecar's identity, enrolled, and who keeps it."""
    sets = {"scout": [["join_token:name:first"]]}
    bench, workloads = await enrolling(attested_documents(sets), limits=WorkloadLimits(instance_seconds=LIFE))
    made = Desk(bench=bench, workloads=workloads)
    made.open()
    world = SystemAccess(
        unix_seconds=lambda: bench.clock.now() / 1000,
        monotonic=bench.clock.monotonic,
        random_bytes=os.urandom,
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=made)) as http:
        identity = Identity(EnrolmentClient(http, BASE), world=world)
        await identity.enrol(made.by_join_token)
        yield made, identity, Keeper(
            identity=identity,
            again=lambda: identity.enrol_anew(made.by_join_token),
            made_of=lambda: None,
            say=made.said.append,
            sleep=made.sleep,
            world=world,
        )  # fmt: skip


async def kept_until(keeper: Keeper, there: Callable[[], bool]) -> None:
    """Keep it until something has come about; no real time passes, so that only a loop that never ends can hang."""
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keeper.keep)
            while not there():
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()


@pytest.mark.requirement("RESIL-10")
async def test_a_sidecar_asks_at_half_of_what_it_has_left_and_never_outside_the_jitter():
    async with desk() as (made, identity, keeper):
        begun = made.bench.clock.monotonic()
        left: list[tuple[float, float]] = [(begun, identity.seconds_left())]
        renew = identity.renew

        async def renewed(**more: Any) -> Any:
            found = await renew(**more)
            left.append((made.bench.clock.monotonic(), identity.seconds_left()))
            return found

        identity.renew = renewed
        await kept_until(keeper, lambda: len(made.times("renew")) >= 40)
        for (since, seconds), at in zip(left, made.times("renew"), strict=False):
            assert seconds / 2 * (1 - JITTER) <= at - since + 1e-3
            assert at - since <= seconds / 2 * (1 + JITTER) + 1e-3
        shares = {
            round((at - since) / seconds, 6)
            for (since, seconds), at in zip(left, made.times("renew"), strict=False)
        }
        assert len(shares) > 30, "each time by another chance"
        assert identity.enrolled.instance in {one.id for one in made.workloads.instances.live()}
        assert made.said == []


@pytest.mark.requirement("RESIL-11", "RESIL-12", "RESIL-05")
async def test_who_is_unknown_is_enrolled_anew_with_another_key_and_another_name():
    async with desk() as (made, identity, keeper):
        name, key, auth = identity.enrolled.instance, identity.thumbprint, identity.auth
        made.forget_everything()
        await kept_until(keeper, lambda: identity.enrolled.instance != name)
        assert identity.thumbprint != key
        assert identity.auth is not auth
        (live,) = made.workloads.instances.live()
        assert (live.id, live.key.thumbprint) == (identity.enrolled.instance, identity.thumbprint)
        assert "no longer knows" in made.said[0]
        # And is kept as before.
        await kept_until(keeper, lambda: len(made.times("renew")) >= 5)


@pytest.mark.requirement("RESIL-11", "RESIL-12")
async def test_a_join_token_that_was_used_up_is_told_once_and_a_new_one_in_its_file_is_enough():
    async with desk() as (made, identity, keeper):
        name = identity.enrolled.instance
        made.is_supplied = False
        made.forget_everything()
        await kept_until(keeper, lambda: len(made.times("enrol")) >= 40)
        assert list(made.workloads.instances.live()) == []
        told = [text for text in made.said if "join token" in text]
        assert len(told) == 1
        assert "write a new one into its file" in told[0]
        assert not any(token in text for text in made.said for token in made.tokens)
        pauses = [
            later - earlier
            for earlier, later in zip(made.times("enrol")[1:], made.times("enrol")[2:], strict=False)
        ]
        assert max(pauses) <= RETURN_SECONDS_MAX
        assert len({round(one, 6) for one in pauses}) > 30, "no two sidecars keep one beat"
        made.is_supplied = True
        await kept_until(keeper, lambda: identity.enrolled.instance != name)


@pytest.mark.requirement("RESIL-11")
async def test_who_asks_for_a_sub_agent_of_a_lost_parent_gets_it_under_the_new_name():
    async with desk() as (made, identity, keeper):
        sub = await identity.sub_agent()
        of_sub = Keeper(
            identity=sub,
            again=lambda: sub.enrol_anew_below(identity),
            made_of=lambda: None,
            say=made.said.append,
            sleep=made.sleep,
            world=keeper.world,
        )
        names, keys = (
            {identity.enrolled.instance, sub.enrolled.instance},
            {identity.thumbprint, sub.thumbprint},
        )
        made.forget_everything()
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keeper.keep)
                tasks.start_soon(of_sub.keep)
                while {identity.enrolled.instance, sub.enrolled.instance} & names:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        assert str(sub.enrolled.instance).startswith(f"{identity.enrolled.instance}/sub-")
        assert {identity.thumbprint, sub.thumbprint}.isdisjoint(keys)


@pytest.mark.requirement("RESIL-11")
@pytest.mark.parametrize("because", ["operator.ended", "agent.retired", "process.gone", "asked"])
async def test_what_was_ended_is_given_up_and_never_asks_to_be_enrolled_anew(because):
    async with desk() as (made, identity, keeper):
        await end_instance(made.workloads, identity.enrolled.instance, because=because)
        with anyio.fail_after(30):
            await keeper.keep()
        assert len(made.times("enrol")) == 1
        (said,) = made.said
        assert said.startswith(f"{identity.enrolled.instance} is no longer renewed: ")
        assert "has ended" in said
        # Not even if whoever answers changes their mind: it is over for good.
        made.forget_everything()
        assert len(made.times("enrol")) == 1


@pytest.mark.requirement("RESIL-11")
async def test_an_agent_that_is_retired_meanwhile_does_not_come_back():
    async with desk() as (made, _, keeper):
        made.forget_everything()
        documents = [
            {**one, "spec": {**one["spec"], "status": "retired"}}
            if one["kind"] == "Agent" and one["metadata"]["name"] == "scout"
            else one
            for one in attested_documents({"scout": [["join_token:name:first"]]})
        ]
        await made.bench.registered(documents)
        with anyio.fail_after(30):
            await keeper.keep()
        assert len(made.times("enrol")) == 2
        assert "cannot be restored" in made.said[-1]
        assert list(made.workloads.instances.live()) == []


@pytest.mark.requirement("RESIL-11")
async def test_a_server_of_another_trust_domain_gets_no_identity_out_of_it():
    async with desk() as (made, identity, keeper):
        key = identity.thumbprint
        made.forget_everything()
        clock, entropy = made.bench.clock, made.bench.walk.entropy
        another = TrustWorld(domain=trust_domain("another.test"), clock=clock)
        made.workloads.trust = another.desk()
        made.workloads.issuer = SvidIssuer(desk=made.workloads.trust, clock=clock, entropy=entropy)
        with anyio.fail_after(30):
            await keeper.keep()
        assert identity.thumbprint == key
        assert "trust domain" in made.said[-1]
        assert list(made.workloads.instances.live()) == []


@pytest.mark.requirement("RESIL-11")
async def test_a_former_key_only_ever_takes_something_away():
    async with desk() as (made, identity, keeper):
        with pytest.raises(Refused) as told:
            await identity.enrol_anew(made.by_join_token)
        assert told.value.code == "instance.still_known"
        await end_instance(made.workloads, identity.enrolled.instance, because="operator.ended")
        with pytest.raises(Refused) as told:
            await identity.enrol_anew(made.by_join_token)
        assert told.value.code == "instance.ended"
        # The token is as good as before: nothing was used up by being refused.
        made.is_supplied = False
        assert (
            await Identity(identity._client, world=keeper.world).enrol(made.by_join_token)
        ).agent == "scout"
