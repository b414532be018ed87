"""Run what a product does in the background."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from answerable.flows.registry.check_documents import check_call_seconds
from answerable.flows.revocation.end_leases import follow_leases
from answerable.wiring.announcing import kept_announcing
from answerable.wiring.counts import counting_figures, reading_histories
from answerable.wiring.followed_logs import following_logs
from answerable.wiring.following import (
    ending_streams,
    following_documents,
    following_questions,
    following_registers,
    following_registry,
    relisting,
)
from answerable.wiring.identity import kept_identity
from answerable.wiring.policies import following_shadow
from answerable.wiring.reaching import kept_reaching
from answerable.wiring.settling import settling, telling_refused
from answerable.wiring.stops import following_stops
from answerable.wiring.telemetry import sending_metrics
from answerable.wiring.tokens import forgetting_tokens

if TYPE_CHECKING:
    from answerable.wiring.assemble import Product
    from answerable.wiring.setting_tree import Settings


async def kept_running(product: Product, settings: Settings) -> None:
    """Run the background work until cancelled: upstreams, checkpoints, their cosignatures, settling.

    Raises when the log fails: the process must end then, and a restart verifies what is on disk.
    """
    walk = product.walk
    recorder, authority, asking, live = walk.recorder, walk.authority, walk.asking, walk.live
    policies, limits = walk.policies, walk.limits
    documents = authority.registry, walk.counters.history, policies, limits
    # The settings may have changed since these documents were applied.
    check_call_seconds(authority.registry.current, upstream_ms_max=settings.walk.upstream_ms_max)
    product.upstream.apply(authority.registry.current.servers.values())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(product.upstream.run)
        tasks.start_soon(following_registry, walk.planning, policies, live.leases, limits, product.upstream)
        tasks.start_soon(relisting, product.upstream)
        tasks.start_soon(ending_streams, walk.planning, live.streams)
        tasks.start_soon(partial(product.ledger.seal_every, settings.ledger.seal_seconds))
        tasks.start_soon(product.cosigning.gather_always)
        tasks.start_soon(forgetting_tokens, product.tokens)
        tasks.start_soon(kept_announcing, product.events)
        tasks.start_soon(kept_reaching, recorder, authority, asking, live.link)
        tasks.start_soon(following_shadow, recorder, authority, policies, walk.drills, limits)
        tasks.start_soon(
            following_stops,
            recorder,
            authority,
            live,
            walk.counters,
            limits,
            settings.data,
            product.workloads,
        )
        tasks.start_soon(follow_leases, recorder, authority, live.leases, policies)
        tasks.start_soon(following_questions, recorder, authority, asking)
        tasks.start_soon(counting_figures, recorder, asking.figures, product.searches)
        tasks.start_soon(
            sending_metrics, recorder, authority, walk.deciding, settings, product.searches.told_of_logs
        )
        tasks.start_soon(telling_refused, recorder, authority.registry, walk.counters)
        tasks.start_soon(
            settling,
            recorder,
            walk.planning,
            walk.deciding,
            live,
            product.workloads,
            settings.settle.every_seconds,
        )
        tasks.start_soon(product.kept.confirm_always, settings.settle.every_seconds)
        tasks.start_soon(kept_identity, product.identity, product.authorities, product.workloads, settings)
        if settings.logs.follow:
            tasks.start_soon(following_logs, product.searches, recorder, authority, walk.counters)
        if product.heads is not None:
            tasks.start_soon(following_registers, *documents, product.registers.refresh)
            tasks.start_soon(following_documents, *documents)
            tasks.start_soon(reading_histories, recorder, authority, walk.counters.history, limits)
