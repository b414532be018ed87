"""The public suite of targets finds what a target does wrong, and skips by name what a target does not have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import SkipTest

import anyio
import pytest

from answerable.core.lease.credential import IssuerTraits
from answerable.targets import (
    BuiltTarget,
    Credential,
    Performed,
    TargetKind,
    UnixMillis,
    check_names,
    freeze,
    no_answer_in_time,
    text,
)
from answerable.testing import ManualClock, SeededEntropy
from answerable.testing.contracts.target import TargetBench, TargetContract, was_let
from answerable.testing.memory_target import MemoryTarget

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("TARGET-07")]


@dataclass(frozen=True, kw_only=True)
class Settings:
    place: str = text("", "Where it is.")


class Odd:
    """A target in memory. fault: what it does wrong, or empty. mood: how it misbehaves for a test."""

    def __init__(self, target: MemoryTarget, fault: str) -> None:
        self.target, self.fault, self.mood = target, fault, ""

    def tools(self) -> tuple[Mapping[str, Any], ...]:
        if self.fault == "hints":
            return tuple({**one, "annotations": {"readOnlyHint": True}} for one in self.target.tools())
        return self.target.tools()

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[OddSession]:
        async with self.target.connected(credential) as session:
            yield OddSession(self, session, credential.secret.reveal("password"))


class OddSession:
    def __init__(self, odd: Odd, session: Any, password: str) -> None:
        self._odd, self._session, self._password = odd, session, password

    async def perform(self, tool: str, arguments: Any, **how: Any) -> Performed:
        odd = self._odd
        if odd.fault != "arguments":
            check_names(tool, arguments, dict.fromkeys(("get", "set", "delete"), ("key", "value")))
        if odd.mood == "hang" and odd.fault != "late":
            with anyio.move_on_after(how["seconds_max"]):
                await anyio.sleep_forever()
            raise no_answer_in_time("it", how["seconds_max"])
        if odd.mood == "lie" and odd.fault != "lie":
            return Performed(result={"content": [], "isError": True})
        if odd.mood == "echo" and odd.fault == "echo":
            return Performed(result={"content": [{"type": "text", "text": self._password}]})
        if odd.fault == "scope":
            return Performed(result={"content": []})
        return await self._session.perform(tool, arguments, **how)


@dataclass
class OddBench(TargetBench):
    fault: str = ""
    clock: ManualClock = field(default_factory=ManualClock)
    scope: Any = field(default_factory=lambda: freeze({"verbs": ["get"], "keys": ["a"]}))
    call: Any = ("get", {"key": "a"})
    calls_beside: Any = field(default_factory=lambda: {"another key": ("get", {"key": "b"})})

    def __post_init__(self) -> None:
        self.memory = MemoryTarget(clock=self.clock, entropy=SeededEntropy())
        self.issuer, self.odd = self.memory, Odd(self.memory, self.fault)
        self.built = BuiltTarget(issuer=self.memory, target=self.odd)
        self.kind = TargetKind(
            api=2 if self.fault == "api" else 1, name="odd", settings=Settings, build=lambda *_: self.built
        )

    def rebuilt(self) -> MemoryTarget:
        if self.fault == "forgets":
            return MemoryTarget(clock=self.clock, entropy=SeededEntropy())
        return self.memory

    def now(self) -> UnixMillis:
        return self.clock.now()

    async def use(self, credential: Credential) -> bool:
        return await was_let(self, credential, self.call)

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        return {}

    async def hang(self) -> bool:
        return self.misbehaves("hang")

    async def lie(self) -> bool:
        return self.misbehaves("lie")

    async def echo(self) -> bool:
        return self.misbehaves("echo")

    async def mend(self) -> None:
        self.odd.mood = ""

    def misbehaves(self, mood: str) -> bool:
        self.odd.mood = mood
        return True


FAULTS = {
    "api": "test_its_declaration_is_whole",
    "hints": "test_its_tools_are_described_whole",
    "scope": "test_a_tool_does_nothing_beside_the_scope",
    "arguments": "test_what_is_no_call_of_a_tool_is_refused",
    "late": "test_a_call_without_an_answer_ends_by_its_limit",
    "lie": "test_what_is_no_answer_is_no_success",
    "echo": "test_no_secret_is_in_a_result",
    "forgets": "test_what_a_killed_broker_left_is_listed_and_ended",
}


@pytest.mark.parametrize(("fault", "case"), FAULTS.items())
async def test_a_target_with_a_fault_fails_the_case_that_names_it(fault: str, case: str) -> None:
    await getattr(TargetContract(), case)(OddBench())
    with pytest.raises(AssertionError):
        await getattr(TargetContract(), case)(OddBench(fault=fault))


async def test_a_case_without_its_trait_skips_by_name() -> None:
    bench = OddBench()
    bench.memory.traits_now = replace(IssuerTraits(boundary="nobody", ends_by="broker"), revocable=False)
    for case, trait in {
        "test_a_tool_does_nothing_beside_the_scope": "bounded by its target or the broker",
        "test_a_tool_does_nothing_with_what_was_revoked": "revocable",
    }.items():
        with pytest.raises(SkipTest, match=trait):
            await getattr(TargetContract(), case)(bench)


@pytest.mark.parametrize("what", ["hang", "lie", "echo"])
async def test_a_bench_that_cannot_make_its_target_misbehave_skips_by_name(what: str) -> None:
    class Plain(OddBench):
        def misbehaves(self, mood: str) -> bool:
            return False

    case = {"hang": FAULTS["late"], "lie": FAULTS["lie"], "echo": FAULTS["echo"]}[what]
    with pytest.raises(SkipTest, match=f"made to {what}"):
        await getattr(TargetContract(), case)(Plain())
