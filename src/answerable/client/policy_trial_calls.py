"""Operations of the control API on the subject `policy_trial`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.policy_answers import PolicySets
from answerable.api.policy_trial_answers import PolicyShadow, SimulationPage, SimulationRequest
from answerable.client.transport import READ_SECONDS_MAX, WAIT_SECONDS_MAX, Transport


def simulate_policy(
    control: Transport, body: SimulationRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> SimulationPage:
    """What policy sets would have decided of what is in the ledger, page by page; changes nothing."""
    return control.answer_as(
        SimulationPage, "POST", "/v1/policy/simulate", body=body, seconds_max=seconds_max
    )


def show_shadow(control: Transport, *, seconds_max: float = READ_SECONDS_MAX) -> PolicyShadow:
    """What the policy set in the shadow would have decided otherwise."""
    return control.answer_as(PolicyShadow, "GET", "/v1/policy/shadow", seconds_max=seconds_max)


def start_shadow(
    control: Transport, body: PolicySets, *, seconds_max: float = WAIT_SECONDS_MAX
) -> PolicyShadow:
    """Put policy sets into the shadow, where they decide everything and do nothing."""
    return control.answer_as(PolicyShadow, "POST", "/v1/policy/shadow", body=body, seconds_max=seconds_max)


def stop_shadow(control: Transport, *, seconds_max: float = WAIT_SECONDS_MAX) -> PolicyShadow:
    """Take the policy set out of the shadow."""
    return control.answer_as(PolicyShadow, "POST", "/v1/policy/shadow/stop", seconds_max=seconds_max)
