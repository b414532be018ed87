"""Operations of the control API on the subject `revocation`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.members import Page
from answerable.api.revocation_answers import Revocation, RevocationRequest, Stopped
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, items_of


def revoke(control: Transport, body: RevocationRequest, *, seconds_max: float = WAIT_SECONDS_MAX) -> Stopped:
    """Revoke a token, hop, mandate, agent, key, manifest, owner, vendor or trust domain, permanently."""
    return control.answer_as(Stopped, "POST", "/v1/revocations", body=body, seconds_max=seconds_max)


def list_revocations(control: Transport) -> Iterator[Revocation]:
    """Everything that was revoked, newest first."""
    return items_of(control, Page[Revocation], "/v1/revocations")
