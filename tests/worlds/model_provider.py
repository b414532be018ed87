"""Model providers as a broker builds them, on the metered stand-in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from answerable.adapters.model_provider.kind import ModelProviderSettings, built, faults_of
from answerable.adapters.system import SystemClock
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential
from answerable.errors import AnswerableError, Refused, Unavailable
from answerable.targets.kind import BuiltTarget
from answerable.testing.contracts.credential_issuer import IssuerBench
from tests.stand_ins.model_provider_stand_in import StandIn
from tests.worlds.http_target import Secrets, world

KEY = "sk-canary-4c1b9e77d2-provider-key"
SECRETS = Secrets({"file:provider": KEY.encode() + b"\n"})
SMALL = freeze({"models": ["small-1"], "max_tokens": 100})
ASKED: dict[str, Any] = {
    "model": "small-1",
    "messages": [{"role": "user", "content": "write something"}],
    "max_tokens": 20,
}


def provider_settings(provider: StandIn, api: str = "openai", **more: Any) -> ModelProviderSettings:
    settings = ModelProviderSettings(
        base_url=provider.url,
        api=api,
        key="file:provider",
        prices=("small-1 0.25 2.00", "large-1 15 75"),
        prices_currency="USD",
        prices_day="2026-11-28",
        prices_source="the stand-in's own list",
    )
    settings = replace(settings, **more)
    assert not faults_of(settings)
    return settings


def target_on(provider: StandIn, api: str = "openai", **more: Any) -> BuiltTarget:
    return built(provider_settings(provider, api, **more), world(SECRETS))


async def chatted(
    target: BuiltTarget,
    credential: Credential,
    *,
    tool: str = "chat",
    told: list[Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One call by the broker's session. told: where progress is put."""

    async def progress(done: float, total: float | None, text: str | None) -> None:
        assert told is not None
        told.append((done, total, text))

    async with target.target.connected(credential) as session:
        given = {**ASKED, **more} if tool == "chat" else more
        given = {name: value for name, value in given.items() if value is not None}
        done = await session.perform(
            tool, given, tag="act1", seconds_max=10, progress=None if told is None else progress
        )
    found = dict(done.result)
    assert isinstance(found["structuredContent"], dict)
    return found["structuredContent"] | {"isError": found["isError"], "session": dict(done.session)}


class ModelBench(IssuerBench):
    """The key never leaves the broker, so that its session is the only way to use a lease."""

    hostile = (
        freeze({"models": ["*"]}),
        freeze({"models": ["small-1 large-1"]}),
        freeze({"models": ["small-1\nlarge-1"]}),
        freeze({"models": []}),
        freeze({"models": "small-1"}),
        freeze({"models": ["small-1"], "max_tokens": 10**12}),
    )

    def __init__(self, target: BuiltTarget) -> None:
        self.target = target
        self.issuer = target.issuer
        self.scope = SMALL

    def now(self) -> UnixMillis:
        return SystemClock().now()

    async def use(self, credential: Credential) -> bool:
        return await lets(self.target, credential)

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        async def other(credential: Credential) -> bool:
            return await lets(self.target, credential, model="large-1")

        async def longer(credential: Credential) -> bool:
            return await lets(self.target, credential, max_tokens=101)

        return {"another model": other, "a longer answer": longer}

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]] | None:
        opened = self.target.target.connected(credential)
        session = await opened.__aenter__()

        async def is_working() -> bool:
            assert opened is not None
            try:
                done = await session.perform("chat", ASKED, tag="", seconds_max=10)
                return done.result["isError"] is False
            except AnswerableError:
                return False

        return is_working


async def lets(target: BuiltTarget, credential: Credential, **more: Any) -> bool:
    try:
        return not (await chatted(target, credential, **more))["isError"]
    except (Refused, Unavailable):
        return False
