"""Channels that reach approvers."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType, field

from answerable.api.members import Component, Count, Instant, Texts, words


class Channel(Component, frozen=True, kw_only=True):
    """A channel and its state."""

    name: str
    up: bool
    error: str
    attempts: Count
    routes: Texts
    since: Instant
    sent: Count
    missed: Count
    left_out: Count
    waiting: Count


class ChannelTest(Component, frozen=True, kw_only=True):
    """Whom to send a test message; without person, the place of the channel."""

    person: str | UnsetType = UNSET


class ChannelTested(Component, frozen=True, kw_only=True):
    """What came of a test message."""

    state: Annotated[str, words("taken", "later", "down", "never")]
    why: str


class Told(Component, frozen=True, kw_only=True):
    """Whether one person or place was notified of an approval."""

    channel: str
    to: str
    as_: Annotated[str, words("person", "requester", "place")] = field(name="as")
    told: Annotated[str, words("nothing", "asked", "digest", "ended", "notice")]
    at: Instant | None
    missed: bool
    attempts: Count
    error: str
