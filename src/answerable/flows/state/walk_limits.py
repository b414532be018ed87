"""Every limit of the walk, in a module of its own so that settings can be read without importing the walk."""

from __future__ import annotations

from dataclasses import dataclass

from answerable.core.approval.assurance_level import ANY_FOR_ALL, AssuranceLevel
from answerable.core.approval.batch import BATCH_ITEMS_MAX, BATCH_TIER_MAX
from answerable.core.approval.workflows import NO_HIGH_TIERS, Allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkLimits:
    """Every limit of the walk, with its unit and a safe default.

    `intent_ttl_ms`: from the durable intent to the last moment its warrant can be redeemed.
    `upstream_ms_max`: longest upstream call; settlement waits for the deadline plus this.
    `approval_ttl_ms`: how long people have to answer. `approvals_pending_per_agent_max`: waiting actions of one agent.
    `preview_ms_max`: how long a card waits for its preview. `signatures`: required strength of people's signatures,
      for each tier from 0. `workflows`: whether workflows may answer, for each tier.
    `break_glass_ms`: how long an action may run after emergency access. `glasses_per_day_max`: emergency accesses of
      one person per day. `glass_review_ms`: time until each must be reviewed.
    `backup_owners_approve`: whether an agent's backup owner may approve its actions, if they have not signed its
      manifest.
    `batch_items_max`: approvals that one signature may answer; 0 for none. `batch_tier_max`: highest tier at which
      one signature may approve several. `approvals_pending_per_group_max`: actions that may wait for one group.
    `asked_per_agent_per_hour_max`, `asked_per_group_per_hour_max`: requests for approval per hour.
      `answers_per_hour_max`: approvals that one person may give per hour. `look_seconds_min`: seconds a card must be
      displayed before it can be approved, for each tier from 0.
    `canaries_per_day`: attention checks per day, at random; `canaries_pending_max`: at once. `canary_tier_min`: of
      actions they are made from. `canary_groups`: whom they test; everybody if empty.
    `recorded_result_bytes_max`: bytes of an answer stored in the ledger; longer answers are cut and their whole
      digest stored.
    `refusals_recorded_max`, `refusals_window_ms`: quota of recorded refusals of one agent in a window.
    `pin_tools_at_first_sight`: whether a tool without a definition in force is pinned at first use, on record;
      otherwise it waits for its owner.
    `prepared_ttl_ms`: how long a prepared object can be executed. `prepared_bytes_max`: of one such object.
    `prepared_waiting_per_agent_max`: such objects of one agent that may wait.
    """

    intent_ttl_ms: int = 10_000
    upstream_ms_max: int = 120_000
    approval_ttl_ms: int = 900_000
    approvals_pending_per_agent_max: int = 20
    preview_ms_max: int = 5_000
    signatures: tuple[AssuranceLevel, ...] = ANY_FOR_ALL
    batch_items_max: int = BATCH_ITEMS_MAX
    batch_tier_max: int = BATCH_TIER_MAX
    approvals_pending_per_group_max: int = 500
    asked_per_agent_per_hour_max: int = 200
    asked_per_group_per_hour_max: int = 1_000
    answers_per_hour_max: int = 120
    look_seconds_min: tuple[int, ...] = (0, 0, 0, 0)
    workflows: tuple[Allowed, ...] = NO_HIGH_TIERS
    backup_owners_approve: bool = True
    break_glass_ms: int = 300_000
    glasses_per_day_max: int = 10
    glass_review_ms: int = 172_800_000
    canaries_per_day: int = 0
    canaries_pending_max: int = 1
    canary_tier_min: int = 1
    canary_groups: tuple[str, ...] = ()
    recorded_result_bytes_max: int = 65_536
    refusals_recorded_max: int = 500
    refusals_window_ms: int = 3_600_000
    pin_tools_at_first_sight: bool = False
    prepared_ttl_ms: int = 3_600_000
    prepared_bytes_max: int = 32_768
    prepared_waiting_per_agent_max: int = 50
