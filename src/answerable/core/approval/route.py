"""Who is told on which channel that an action waits, as settings name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVERYBODY: Final = "*"
THE_REQUESTER: Final = "@requester"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Members of a group are told on a channel. group: its name, `*` for every one, or `@requester` for whose task it
    is. place: where on the channel, in place of the members; empty for the members, each by their own address."""

    group: str
    channel: str
    place: str = ""
