"""The contract suite of issuers, on the target in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential
from answerable.errors import AnswerableError
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from answerable.testing.entropy import SeededEntropy
from answerable.testing.memory_target import MemoryTarget

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LEASE-02")]


class MemoryBench(IssuerBench):
    def __init__(self) -> None:
        self._clock = ManualClock()
        self._target = MemoryTarget(clock=self._clock, entropy=SeededEntropy(1), pauses=0.002)
        self.issuer = self._target
        self.scope = freeze({"verbs": ["get"], "keys": ["case-1"]})
        self.hostile = (freeze({"verbs": ["get"], "keys": ["case-1' OR 1=1", "*"]}),)

    def now(self) -> UnixMillis:
        return self._clock.now()

    async def use(self, credential: Credential) -> bool:
        return self._does(credential, "get", "case-1")

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        async def verb(credential: Credential) -> bool:
            return self._does(credential, "delete", "case-1")

        async def key(credential: Credential) -> bool:
            return self._does(credential, "get", "case-2")

        return {"another verb": verb, "another key": key}

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]] | None:
        self._opened = self._target.connected(credential)
        session = await self._opened.__aenter__()

        async def is_working() -> bool:
            try:
                await session.perform("get", {"key": "case-1"}, tag="", seconds_max=1)
            except AnswerableError:
                return False
            return True

        return is_working

    async def stop(self) -> bool:
        self._target.reachable = False
        return True

    async def start(self) -> None:
        self._target.reachable = True

    async def passed(self, credential: Credential) -> None:
        self._clock.advance((credential.expires_at - self._clock.now()) / 1000)

    def _does(self, credential: Credential, verb: str, key: str) -> bool:
        try:
            self._target.act(credential, verb, key)
        except AnswerableError:
            return False
        return True


class TestMemoryTarget(CredentialIssuerContract):
    @pytest.fixture
    def bench(self) -> MemoryBench:
        return MemoryBench()
