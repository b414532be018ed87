"""Describe and check the settings of the walk: each limit's sentence and bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.action.prepared import BYTES_MAX
from answerable.core.approval.assurance_level import ANY_FOR_ALL, CHAT, CRITICAL, STRENGTHS
from answerable.core.approval.batch import BATCH_ITEMS_MAX, BATCH_TIER_MAX
from answerable.core.approval.challenge import NONCE_MILLIS_MAX
from answerable.core.approval.workflows import ALLOWED, NO_HIGH_TIERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.flows.state.walk_limits import WalkLimits

WALK_BOUNDS: Final[dict[str, tuple[str, str, int | None, int | None]]] = {
    "intent_ttl_ms": ("time from the durable intent to the end of its warrant", "milliseconds", 100, 600_000),
    "upstream_ms_max": ("longest time for one upstream call", "milliseconds", 100, 3_600_000),
    "approval_ttl_ms": ("time that people have to answer", "milliseconds", 1_000, 604_800_000),
    "approvals_pending_per_agent_max": ("actions of one agent that may wait at once", "approvals", 1, 10_000),
    "approvals_pending_per_group_max": (
        "actions that may wait for one group at once",
        "approvals",
        1,
        100_000,
    ),
    "asked_per_agent_per_hour_max": (
        "questions to people about one agent's actions within an hour; past it they are refused",
        "questions",
        1,
        100_000,
    ),
    "asked_per_group_per_hour_max": ("questions to one group within an hour", "questions", 1, 1_000_000),
    "answers_per_hour_max": (
        "approvals that one person may give within an hour; one signature over many counts once; denials are not "
        "limited",
        "answers",
        1,
        100_000,
    ),
    "look_seconds_min": (
        "shortest time from opening an action of tier 0, 1, 2 and 3 to approving it",
        "list of four, seconds",
        None,
        None,
    ),
    "batch_items_max": (
        "actions that one signature may answer; 0 for each by itself",
        "approvals",
        0,
        BATCH_ITEMS_MAX,
    ),
    "batch_tier_max": ("highest tier for which one signature may approve many", "tier", 0, BATCH_TIER_MAX),
    "preview_ms_max": (
        "how long a question to people waits for the preview of what the action would do",
        "milliseconds",
        100,
        60_000,
    ),
    "signatures": (
        "how strong people's signatures must be for actions of tier 0, 1, 2 and 3: `any` key, a `passkey`, or one on a "
        "`hardware` key that cannot be copied and that `console.attestation_roots` vouch for; `chat` takes a click in "
        "Slack, too, which is no signature, and never for tier 3",
        "list of four",
        None,
        None,
    ),
    "workflows": (
        "whether workflows may answer for actions of tier 0, 1, 2 and 3, where policy asks a group of theirs: "
        "`allowed` or `refused`",
        "list of four",
        None,
        None,
    ),
    "backup_owners_approve": (
        "whether the backup owner of an agent may approve its actions; its owner and the signer of its manifest "
        "never may",
        "true or false",
        None,
        None,
    ),
    "break_glass_ms": (
        "time within which an action may run after break-glass",
        "milliseconds",
        1_000,
        3_600_000,
    ),
    "glasses_per_day_max": (
        "break-glass uses of one person within a day; beyond it, another person must do it",
        "actions",
        1,
        1_000,
    ),
    "glass_review_ms": (
        "time that another person has to review a break-glass use; after it, the review is reported as overdue",
        "milliseconds",
        60_000,
        2_592_000_000,
    ),
    "canaries_per_day": (
        "test questions to people per day, asked at random beside real ones; 0 for none",
        "questions",
        0,
        100,
    ),
    "canaries_pending_max": ("such tests that may wait at once", "questions", 1, 10),
    "canary_tier_min": ("lowest tier of actions that such tests are made of", "tier", 0, 3),
    "canary_groups": (
        "groups of people whom such tests ask; all where it is empty",
        "list of names",
        None,
        None,
    ),
    "recorded_result_bytes_max": ("how much of a result the ledger keeps", "bytes", 0, 4_194_304),
    "refusals_recorded_max": (
        "refusals of one agent that are recorded one by one within a window",
        "entries",
        1,
        1_000_000,
    ),
    "refusals_window_ms": ("that window", "milliseconds", 1_000, 86_400_000),
    "pin_tools_at_first_sight": (
        "accept a tool's definition at first sight, on record, if its owner has not approved any definition of it",
        "true or false",
        None,
        None,
    ),
    "prepared_ttl_ms": (
        "time within which a prepared object can be executed",
        "milliseconds",
        1_000,
        604_800_000,
    ),
    "prepared_bytes_max": (
        "size of one prepared object; the card that people read is several times as long",
        "bytes",
        64,
        BYTES_MAX,
    ),
    "prepared_waiting_per_agent_max": (
        "prepared objects of one agent that may wait at once",
        "objects",
        1,
        10_000,
    ),
}
"""Sentence, unit, minimum and maximum of each limit."""


def walk_faults(walk: WalkLimits) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault, beyond the form of each field."""
    if len(walk.signatures) != len(ANY_FOR_ALL) or not set(walk.signatures) <= set(STRENGTHS):
        listed = ", ".join(f"`{one}`" for one in STRENGTHS)
        yield "walk.signatures", f"expected one of {listed} for each of the {len(ANY_FOR_ALL)} tiers"
    elif walk.signatures[CRITICAL] == CHAT:
        yield "walk.signatures", f"no click answers an action of tier {CRITICAL}, so `{CHAT}` cannot be there"
    longest = NONCE_MILLIS_MAX // 2000
    looks = walk.look_seconds_min
    if len(looks) != len(ANY_FOR_ALL) or not all(0 <= one <= longest for one in looks):
        yield (
            "walk.look_seconds_min",
            f"expected 0 to {longest} seconds for each of the {len(ANY_FOR_ALL)} tiers",
        )
    if len(walk.workflows) != len(NO_HIGH_TIERS) or not set(walk.workflows) <= set(ALLOWED):
        yield (
            "walk.workflows",
            f"expected `allowed` or `refused` for each of the {len(NO_HIGH_TIERS)} tiers",
        )
