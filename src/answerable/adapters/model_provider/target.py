"""Call a language model provider for agents: count tokens, bound answers, and stop when the reservation is used up."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import httpx2
import msgspec

from answerable.adapters.model_provider.asked import asked_chat, refused
from answerable.adapters.model_provider.issuer import lease_behind
from answerable.adapters.model_provider.prices import MICRO, Prices
from answerable.adapters.model_provider.said import answer_of
from answerable.adapters.model_provider.tools import model_tools
from answerable.adapters.model_provider.wire import Call, ProviderWire, session_of
from answerable.connection_fault import connection_fault
from answerable.core.lease.credential import Performed
from answerable.core.lease.credential_redaction import Echoes
from answerable.errors import Malformed, Refused, Unavailable, UnavailableCode, shown
from answerable.errors.codes.leases import (
    TARGET_ANSWER,
    TARGET_CREDENTIAL,
    TARGET_CUT,
    TARGET_LATE,
    TARGET_LOST,
    TARGET_UNREACHABLE,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping

    from answerable.adapters.model_provider.issuer import ModelLeases
    from answerable.adapters.model_provider.scope import ModelScope
    from answerable.adapters.model_provider.wire import Api
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.errors import Effect
    from answerable.ports.clock import Clock
    from answerable.ports.upstream import Progress
    from answerable.targets.standing_secret import StandingSecret

TEXT_CHARS_MAX: Final = 4_000
_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlace:
    """A configured provider. base_url: with the version in its path, such as `/v1`. api: which API it offers.
    limit_name: for OpenAI's API, the provider's name for the limit of the answer's tokens."""

    base_url: str
    api: Api
    limit_name: str = "max_completion_tokens"
    prices: Prices = field(default_factory=Prices)
    body_bytes_max: int = 1_048_576
    answer_bytes_max: int = 4_194_304
    connect_seconds_max: float = 5.0


class ModelTarget:
    """Implements ports.brokered_target.BrokeredTarget."""

    def __init__(
        self,
        place: ModelPlace,
        *,
        key: StandingSecret,
        leases: ModelLeases,
        clock: Clock,
        tls: Callable[[], ssl.SSLContext | None],
    ) -> None:
        """tls: returns the TLS context of a connection, None for plain HTTP; raises Malformed, Unavailable."""
        self._place = place
        self._key = key
        self._leases = leases
        self._clock = clock
        self._tls = tls

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        return model_tools()

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[ModelSession]:
        """Yield a session of the lease. Its own connection opens with the first request and is never shared with
        another lease."""
        try:
            out = lease_behind(self._leases, credential, self._clock.now())
            transport = httpx2.AsyncHTTPTransport(
                verify=self._tls() or False, limits=httpx2.Limits(max_connections=1), trust_env=False
            )
        except (Refused, Malformed, Unavailable) as fault:
            raise TARGET_CREDENTIAL(fault.message) from None
        session = ModelSession(
            self._place, credential, transport, key=self._key, leases=self._leases, clock=self._clock
        )
        out.cuts.append(session.cut)
        try:
            async with transport:
                yield session
        finally:
            if session.cut in out.cuts:
                out.cuts.remove(session.cut)


class ModelSession:
    """Implements ports.brokered_target.TargetSession. Revoking the lease cancels the answer in progress."""

    def __init__(
        self,
        place: ModelPlace,
        credential: Credential,
        transport: httpx2.AsyncHTTPTransport,
        *,
        key: StandingSecret,
        leases: ModelLeases,
        clock: Clock,
    ) -> None:
        self._place = place
        self._credential = credential
        self._wire = ProviderWire(
            place.base_url,
            place.api,
            transport,
            limit_name=place.limit_name,
            answer_bytes_max=place.answer_bytes_max,
            connect_seconds_max=place.connect_seconds_max,
        )
        self._key = key
        self._leases = leases
        self._clock = clock
        self._turn = anyio.Lock()
        self._under_way: anyio.CancelScope | None = None

    def cut(self) -> None:
        """Cancel the request in progress, because the lease was revoked."""
        if self._under_way is not None:
            self._under_way.cancel()

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        if tool not in ("chat", "list_models"):
            raise refused(f"there is no tool {shown(tool, 40)} here")
        async with self._turn:
            try:
                out = lease_behind(self._leases, self._credential, self._clock.now())
                injection = self._key.injection()
            except (Refused, Unavailable) as fault:
                raise self._unavailable(fault.message, code=TARGET_CREDENTIAL) from None
            call = Call(
                headers=tuple(injection.headers),
                credential_redaction=Echoes(injection.secrets),
                tag=tag,
                progress=progress,
                seconds_max=seconds_max,
            )
            scope, act = out.kept.scope, self._chat if tool == "chat" else self._models
            with anyio.CancelScope() as self._under_way:
                try:
                    with anyio.fail_after(seconds_max):
                        return await act(arguments, scope, call)
                except TimeoutError:
                    why = f"no whole answer within {seconds_max:g} seconds"
                    raise self._unavailable(why, effect="unknown", code=TARGET_LATE) from None
                except _NOT_SENT as error:
                    why = f"it was not reached: {connection_fault(error)}"
                    raise self._unavailable(why, code=TARGET_UNREACHABLE) from None
                except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
                    why = f"the connection was lost: {connection_fault(error)}"
                    raise self._unavailable(why, effect="unknown", code=TARGET_LOST) from None
                except Malformed as fault:
                    raise self._unavailable(fault.message, effect="unknown", code=TARGET_ANSWER) from None
            raise self._unavailable("its lease was revoked in the middle", effect="unknown", code=TARGET_CUT)

    async def _chat(self, arguments: Mapping[str, JSONValue], scope: ModelScope, call: Call) -> Performed:
        place = self._place
        chat = asked_chat(
            arguments,
            scope,
            place.prices,
            bytes_max=place.body_bytes_max,
            temperature_max=1 if place.api == "anthropic" else 2,
        )
        async with self._wire.chatting(chat, call) as response:
            if response.status_code != 200:
                return await self._refused(response, call)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/event-stream":
                said = await self._wire.streamed(response, chat, call)
            else:
                said = self._wire.said_in(await self._wire.whole(response, call))
            session = session_of(response, said, call.credential_redaction)
        found = answer_of(said, chat, place.prices)
        return _performed(found, said.text, call.credential_redaction, session, is_error=said.stop == "error")

    async def _models(self, arguments: Mapping[str, JSONValue], scope: ModelScope, call: Call) -> Performed:
        if arguments:
            raise refused("`list_models` takes no arguments")
        async with self._wire.listing(call) as response:
            if response.status_code != 200:
                return await self._refused(response, call)
            listed = (await self._wire.whole(response, call)).get("data")
            session = session_of(response, None, call.credential_redaction)
        known = [one.get("id") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        models: list[JSONValue] = [
            _listed(name, self._place.prices) for name in scope.models if name in known
        ]
        lines = "\n".join(name for name in scope.models if name in known) or "none"
        return _performed({"models": models}, lines, call.credential_redaction, session)

    async def _refused(self, response: httpx2.Response, call: Call) -> Performed:
        """Return the provider's error text, without secrets. No usage is reported, so the whole reservation is
        released."""
        text = call.credential_redaction.hidden_in(await self._wire.read(response)).decode("utf-8", "replace")
        if response.headers.get("content-encoding", "identity") != "identity":
            text = "the body came compressed although that was not asked for, and is not shown"
        found: dict[str, JSONValue] = {"status": response.status_code, "error": text[:TEXT_CHARS_MAX]}
        session = session_of(response, None, call.credential_redaction)
        return _performed(
            found,
            f"HTTP {response.status_code}: {text[:TEXT_CHARS_MAX]}",
            call.credential_redaction,
            session,
            is_error=True,
        )

    def _unavailable(self, why: str, *, code: UnavailableCode, effect: Effect = "none") -> Unavailable:
        return code(f"{shown(self._wire.host)} does not answer: {why}", effect=effect)


def _listed(name: str, prices: Prices) -> JSONValue:
    price = prices.find(name)
    if price is None:
        return {"model": name}
    return {
        "model": name,
        "input": price.read / MICRO,
        "output": price.written / MICRO,
        "currency": prices.currency,
        "prices_of": prices.day,
        "source": prices.source,
    }


def _performed(
    found: dict[str, JSONValue],
    text: str,
    credential_redaction: Echoes,
    session: tuple[tuple[str, str], ...],
    *,
    is_error: bool = False,
) -> Performed:
    """Build the result. It is searched for secrets once more as a whole, because a secret may have arrived in
    pieces."""
    hidden: dict[str, JSONValue] = msgspec.json.decode(
        credential_redaction.hidden_in(msgspec.json.encode(found))
    )
    shown_text = credential_redaction.hidden_text(text)
    cut = shown_text[:TEXT_CHARS_MAX] + ("…" if len(shown_text) > TEXT_CHARS_MAX else "")
    return Performed(
        result={
            "content": [{"type": "text", "text": cut}],
            "structuredContent": hidden,
            "isError": is_error,
        },
        session=session,
    )
