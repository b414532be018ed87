"""Every bound of the walk. A module of its own, so that settings are read without reading the walk."""

from __future__ import annotations

from dataclasses import dataclass

from answerable.core.approval.assurance_level import ANY_FOR_ALL, AssuranceLevel
from answerable.core.approval.batch import BATCH_ITEMS_MAX, BATCH_TIER_MAX
from answerable.core.approval.workflows import NO_HIGH_TIERS, Allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkLimits:
    """Every bound of the walk, with its unit. Safe defaults.

    intent_ttl_ms: from the durable intent to the last moment its warrant can be redeemed.
    upstream_ms_max: longest any upstream call may take; settling waits for the deadline plus this.
    approval_ttl_ms: how long people have. approvals_pending_per_agent_max: actions one agent may have waiting.
    preview_ms_max: how long people's card waits for what the action would do. signatures: how strong people's must be,
    for each tier from 0. workflows: whether any may answer, the same. break_glass_ms: how long an action may run after
    somebody broke its glass. glasses_per_day_max: that one person may break within a day. glass_review_ms: until when
    each is reviewed.
    backup_owners_approve: whether the backup owner of an agent may say yes to what it does, who has not signed for it.
    batch_items_max: that one signature may answer; 0 for none. batch_tier_max: highest tier to which one signature may
    say yes many times. approvals_pending_per_group_max: actions that may wait for one group.
    asked_per_agent_per_hour_max, asked_per_group_per_hour_max: questions within an hour. answers_per_hour_max: times
    that a person may say yes within an hour. look_seconds_min: how long they must have had it before them to say yes,
    for each tier from 0.
    canaries_per_day: questions to people a day that are tests, by chance; canaries_pending_max: at once.
    canary_tier_min: of actions they are made of. canary_groups: whom they test; all people where empty.
    recorded_result_bytes_max: of an answer, kept in the ledger; longer ones are cut and their digest kept whole.
    pin_tools_at_first_sight: a tool of which no definition is in force is used as it is first seen, on record; else it
    waits for its owner.
    prepared_ttl_ms: how long what was prepared can be executed. prepared_bytes_max: of one such object.
    prepared_waiting_per_agent_max: such objects that one agent may have waiting.
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
