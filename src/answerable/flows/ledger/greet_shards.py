"""Tell of each shard whether its process answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import anyio

from answerable.errors import AnswerableError
from answerable.errors.codes.ledger import SHARD_DOWN

if TYPE_CHECKING:
    from answerable.ports.shard_link import ShardLink

SECONDS_MAX: Final = 1.0
"""How long a process has to answer: whoever asks how the product is, waits for it."""

ShardProcess: TypeAlias = Literal["this", "running", "silent", "not_running"]

_log: Final = logging.getLogger(__name__)


async def shard_processes(link: ShardLink | None, own: str) -> dict[str, ShardProcess]:
    """Return by log whether its process answers, asked all at once. own: the log of this process."""
    found: dict[str, ShardProcess] = {own: "this"}

    async def greet(link: ShardLink, origin: str) -> None:
        found[origin] = "silent"
        try:
            with anyio.move_on_after(SECONDS_MAX):
                await link.greet(origin)
                found[origin] = "running"
        except AnswerableError as failed:
            if failed.code == SHARD_DOWN.id:
                found[origin] = "not_running"

    if link is not None:
        try:
            others = link.others()
        except AnswerableError as failed:
            _log.warning("the other shards cannot be listed: %s", failed.message)
            return found
        async with anyio.create_task_group() as tasks:
            for origin in others:
                tasks.start_soon(greet, link, origin)
    return found
