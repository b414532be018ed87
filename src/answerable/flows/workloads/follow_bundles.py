"""Refresh the bundles of federated trust domains (SPIFFE Federation).

Runs beside the walk, never in it. A domain whose source is down, slow or faulty keeps its last good bundle and raises
an alarm with reason and time. A bundle that cannot be refreshed for too long is dropped and its domain is untrusted,
because keys may have been withdrawn meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import anyio
from anyio import to_thread

from answerable.core.identity.svid.federation import (
    STALE_SECONDS_MAX,
    Profile,
    jittered,
    refresh_seconds,
    retry_seconds,
    successor,
)
from answerable.errors import AnswerableError, Broken, shown
from answerable.errors.codes.identity import (
    BUNDLE_DOMAIN,
    BUNDLE_WITHDRAWN,
    FEDERATION_DUPLICATE,
    FEDERATION_UNKNOWN,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.ports.bundle_endpoint import BundleEndpoint
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """State of one trust domain's source. `waiting`: not fetched yet. Times are Unix milliseconds, 0 for never.

    `fetched_at`: last successful fetch. `next_at`: latest time of the next fetch. `reason`: of the alarm. `since`:
    begin of the alarm. `dropped`: the domain is untrusted until its source answers.
    """

    trust_domain: TrustDomain
    profile: Profile
    address: str
    state: Literal["waiting", "ok", "alarm"] = "waiting"
    sequence: int | None = None
    fetched_at: int = 0
    next_at: int = 0
    reason: str = ""
    since: int = 0
    dropped: bool = False


@dataclass(slots=True, kw_only=True)
class _Followed:
    endpoint: BundleEndpoint
    state: SourceState
    good_at: float
    failures: int = 0
    turn: anyio.Lock = field(default_factory=anyio.Lock)


class BundleFollowing:
    """The sources of foreign bundles and their states. Use in the event loop's thread only."""

    def __init__(
        self,
        *,
        endpoints: Sequence[BundleEndpoint],
        bundle: Callable[[TrustDomain], TrustBundle | None],
        put: Callable[[TrustBundle], None],
        drop: Callable[[TrustDomain], None],
        clock: Clock,
        entropy: Entropy,
        stale_seconds_max: float = STALE_SECONDS_MAX,
    ) -> None:
        """`bundle`: the known bundle of a domain, also from before this process. `put`, `drop`: replace or drop a
        bundle; blocking, called in worker threads.

        Raises Malformed (`federation.duplicate`) for two sources of one domain.
        """
        self._bundle = bundle
        self._put = put
        self._drop = drop
        self._clock = clock
        self._entropy = entropy
        self._stale_seconds_max = stale_seconds_max
        self._followed: dict[TrustDomain, _Followed] = {}
        for one in endpoints:
            source = one.source
            if source.trust_domain in self._followed:
                raise FEDERATION_DUPLICATE(
                    f"trust domain {shown(source.trust_domain)} has two bundle sources, expected one"
                )
            state = SourceState(
                trust_domain=source.trust_domain, profile=source.profile, address=source.address
            )
            self._followed[source.trust_domain] = _Followed(
                endpoint=one, state=state, good_at=clock.monotonic()
            )

    def states(self) -> tuple[SourceState, ...]:
        """Return the state of each source."""
        return tuple(one.state for one in self._followed.values())

    async def drop_unlisted(self, held: Iterable[TrustDomain]) -> tuple[TrustDomain, ...]:
        """Drop the bundles of foreign domains without a source: the end of a relationship (SPIFFE Federation, section
        6.3).

        Call once before `follow`, without the own domain. Raises what `drop` raises.
        """
        ended = tuple(domain for domain in held if domain not in self._followed)
        for domain in ended:
            await to_thread.run_sync(self._drop, domain)
        return ended

    async def follow(self) -> None:
        """Follow every source in its own task, until cancelled. Raises Broken; the state has other faults."""
        async with anyio.create_task_group() as tasks:
            for one in self._followed.values():
                tasks.start_soon(self._follow, one)

    async def refresh(self, domain: TrustDomain) -> SourceState:
        """Fetch this domain's bundle now. Raises Malformed (`federation.unknown`); a failed fetch is in the state."""
        one = self._followed.get(domain)
        if one is None:
            raise FEDERATION_UNKNOWN(f"{shown(domain)} is not a federated trust domain")
        await self._refresh(one)
        return one.state

    async def _follow(self, one: _Followed) -> None:
        while True:
            await one.endpoint.wait(await self._refresh(one))

    async def _refresh(self, one: _Followed) -> float:
        """Fetch once. Return the seconds to wait. Serialised, so that an older answer never overwrites a newer one."""
        async with one.turn:
            return await self._asked(one)

    async def _asked(self, one: _Followed) -> float:
        domain = one.state.trust_domain
        now = self._clock.now()
        try:
            fetched = await one.endpoint.fetch()
            if fetched.trust_domain != domain:
                # The port promises this; check, because such a bundle would speak for a domain that is not its own.
                raise BUNDLE_DOMAIN(
                    f"bundle of trust domain {shown(fetched.trust_domain)}, expected {shown(domain)}"
                )
            known = self._bundle(domain)
            if successor(known, fetched) != known:
                # In a thread, because it syncs to disk and actions must not wait.
                await to_thread.run_sync(self._put, fetched)
        except Broken:
            raise
        except AnswerableError as error:
            one.failures += 1
            return await self._alarmed(one, error.message, withdrawn=error.code == BUNDLE_WITHDRAWN.id)
        one.failures, one.good_at = 0, self._clock.monotonic()
        seconds = jittered(refresh_seconds(fetched), self._entropy.bytes(2))
        one.state = replace(
            one.state,
            state="ok",
            sequence=fetched.sequence,
            fetched_at=now,
            next_at=now + int(seconds * 1000),
            reason="",
            since=0,
            dropped=False,
        )
        return seconds

    async def _alarmed(self, one: _Followed, reason: str, *, withdrawn: bool) -> float:
        domain, now = one.state.trust_domain, self._clock.now()
        known = self._bundle(domain)
        left = one.good_at + self._stale_seconds_max - self._clock.monotonic()
        if known is not None and (withdrawn or left <= 0):
            try:
                await to_thread.run_sync(self._drop, domain)
                known = None
                one.state = replace(one.state, dropped=True, sequence=None)
            except AnswerableError as error:
                reason = f"{reason}: and it could not be dropped: {error.message}"
        seconds = jittered(retry_seconds(known, one.failures), self._entropy.bytes(2))
        if known is not None and left > 0:
            seconds = min(seconds, left)
        since = one.state.since if one.state.state == "alarm" else now
        one.state = replace(
            one.state, state="alarm", reason=reason, since=since, next_at=now + int(seconds * 1000)
        )
        return seconds
