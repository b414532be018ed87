"""Operations of the control API on the subject `channel`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.channel_answers import Channel, ChannelTest, ChannelTested, Told
from answerable.api.members import Page
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, items_of, segment


def list_channels(control: Transport) -> Iterator[Channel]:
    """Channels that reach approvers, and how each is."""
    return items_of(control, Page[Channel], "/v1/channels")


def test_channel(
    control: Transport, name: str, body: ChannelTest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> ChannelTested:
    """Send a test message to a person, or to the place that a channel has."""
    return control.answer_as(
        ChannelTested, "POST", f"/v1/channels/{segment(name)}/test", body=body, seconds_max=seconds_max
    )


def list_told(control: Transport, id: str) -> Iterator[Told]:
    """Who was notified of an approval on which channel, and who was not."""
    return items_of(control, Page[Told], f"/v1/approvals/{segment(id)}/told")
