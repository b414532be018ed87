"""Which group is notified of pending approvals on which channel, as settings name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVERYBODY: Final = "*"
THE_REQUESTER: Final = "@requester"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Notify the members of a group on a channel. group: its name, `*` for every group, or `@requester` for the person
    whose task it is. place: a place on the channel, instead of the members; empty for the members, each at their own
    address."""

    group: str
    channel: str
    place: str = ""
