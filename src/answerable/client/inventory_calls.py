"""Operations of the control API on the subject `inventory`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.inventory_answers import ServerReport, ServersReported, Sighting
from answerable.api.members import Page
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, items_of


def list_seen(control: Transport) -> Iterator[Sighting]:
    """What was seen at work and is not registered."""
    return items_of(control, Page[Sighting], "/v1/seen")


def report_servers(
    control: Transport, body: ServerReport, *, seconds_max: float = WAIT_SECONDS_MAX
) -> ServersReported:
    """Servers that the configuration of an agent's MCP client names, past the gateway."""
    return control.answer_as(ServersReported, "POST", "/v1/seen", body=body, seconds_max=seconds_max)
