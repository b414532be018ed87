"""Operations of the control API on the subject `trust`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.trust_answers import Rotation, TrustDomain
from answerable.client.transport import READ_SECONDS_MAX, WAIT_SECONDS_MAX, Transport, segment


def show_trust_domain(control: Transport, *, seconds_max: float = READ_SECONDS_MAX) -> TrustDomain:
    """Our trust domain: authorities, sequence, federated domains."""
    return control.answer_as(TrustDomain, "GET", "/v1/trust-domain", seconds_max=seconds_max)


def rotate_authority(
    control: Transport, body: Rotation, *, seconds_max: float = WAIT_SECONDS_MAX
) -> TrustDomain:
    """Begin the next generation of signing keys."""
    return control.answer_as(
        TrustDomain, "POST", "/v1/trust-domain/rotate", body=body, seconds_max=seconds_max
    )


def remove_authority(control: Transport, id: str, *, seconds_max: float = WAIT_SECONDS_MAX) -> TrustDomain:
    """Revoke everything that one authority signed."""
    return control.answer_as(
        TrustDomain, "POST", f"/v1/trust-domain/authorities/{segment(id)}/remove", seconds_max=seconds_max
    )
