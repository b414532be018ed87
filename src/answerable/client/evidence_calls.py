"""Operations of the control API on the subject `evidence`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.evidence_answers import Evidence, EvidenceRequest
from answerable.client.transport import WAIT_SECONDS_MAX, Transport


def export_evidence(
    control: Transport, body: EvidenceRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> Evidence:
    """A bundle of entries with proofs and chosen fields, for strangers to verify offline."""
    return control.answer_as(Evidence, "POST", "/v1/evidence", body=body, seconds_max=seconds_max)
