"""Workloads that watch the Workload API, in a process of their own: they stamp when the last of them heard of a change.

Stamps are CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection
from typing import Any

from grpclib.client import Channel
from grpclib.const import Cardinality

from answerable.apps.workload_api.messages import schema
from answerable.core.identity.names.spiffe_terms import WORKLOAD_API

HEADER = {"workload.spiffe.io": "true"}
STREAMS_PER_CONNECTION = 40


def watch(pipe: Connection, socket: str, method: str, streams: int, rounds: int) -> None:
    """Open the streams; say when each has its first message, then the time of the last one of each round."""
    asyncio.run(_watch(pipe, socket, method, streams, rounds))


async def _watch(pipe: Connection, socket: str, method: str, streams: int, rounds: int) -> None:
    rpc = schema().methods[f"/{WORKLOAD_API}/{method}"]
    left = [streams] * (rounds + 1)
    over = asyncio.Event()

    def heard(turn: int) -> None:
        left[turn] -= 1
        if left[turn] == 0:
            pipe.send(time.monotonic())
            if turn == rounds:
                over.set()

    async def follow(channel: Channel) -> None:
        stream: Any
        async with channel.request(
            rpc.path, Cardinality.UNARY_STREAM, rpc.takes, rpc.gives, metadata=HEADER
        ) as stream:
            await stream.send_message(rpc.takes(), end=True)
            for turn in range(rounds + 1):
                await stream.recv_message()
                heard(turn)
            await stream.cancel()

    channels = [Channel(path=socket) for _ in range(-(-streams // STREAMS_PER_CONNECTION))]
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(streams):
                tasks.create_task(follow(channels[number // STREAMS_PER_CONNECTION]))
            await over.wait()
    finally:
        for channel in channels:
            channel.close()
