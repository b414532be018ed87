"""Operations of the control API on the subject `rule`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.rule_answers import RuleSimulation
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, given, segment


def simulate_rule(
    control: Transport, name: str, *, since: str | None = None, seconds_max: float = WAIT_SECONDS_MAX
) -> RuleSimulation:
    """What a stop rule would have held of what is in the ledger; changes nothing."""
    return control.answer_as(
        RuleSimulation,
        "GET",
        f"/v1/stop-rules/{segment(name)}/simulation",
        query=given(since=since),
        seconds_max=seconds_max,
    )
