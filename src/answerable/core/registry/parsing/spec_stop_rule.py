"""Parse the spec of a StopRule document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.stop_rule import (
    BY_LOGS,
    BY_PEOPLE,
    CANARIES_MAX,
    CANARY_CHARS_MIN,
    EXPIRES_SECONDS_MAX,
    GRACE_SECONDS_MAX,
    LIMIT_MAX,
    NO_CANARY,
    RULE_HOLDS,
    RULE_OVER,
    TARGETS,
    UNCOUNTED,
    WATCHED,
    Canary,
    StopRule,
)
from answerable.core.registry.parsing.spec_parts import checked_part_name
from answerable.core.registry.parsing.spec_policy_set import within_in
from answerable.core.registry.parsing.spec_shared import name_of, ownership_in
from answerable.errors import shown
from answerable.errors.codes.containment import STOP_RULE_OWNERSHIP
from answerable.errors.codes.documents import DOCUMENT_MISSING, DOCUMENT_SIZE

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields
    from answerable.core.registry.documents.stop_rule import RuleHolds, Watched

CANARY_KEYS: Final = ("capabilities", "resources", "values")
STOP_RULE_KEYS: Final = (
    "watches",
    "limit",
    "within",
    "over",
    "holds",
    "canary",
    "tracker",
    "graceSeconds",
    "dryRun",
    "expiresSeconds",
    "ownership",
)

_CODE: Final = "stop_rule.key"


def stop_rule_in(spec: Fields, name: str) -> StopRule:
    """Read the spec. Records faults, and never raises."""
    watches = spec.choice("watches", WATCHED)
    ownership = ownership_in(spec)
    if missing := ownership.missing():
        # A stop rule that is not in force permits more, not less, so incomplete ownership is a fault and not silently
        # inactive.
        spec.fault(f"ownership lacks {', '.join(missing)}", "ownership", code=STOP_RULE_OWNERSHIP.id)
    _check_keys(spec, watches)
    over = spec.choice("over", RULE_OVER, default="agent")
    holds: RuleHolds = spec.choice("holds", RULE_HOLDS, default=over)
    if over == "mandate" and holds == "agent":
        message = "several agents can act under one mandate: hold the mandate, or count over `agent`"
        spec.fault(message, "holds", code=_CODE)
    if watches in BY_PEOPLE | BY_LOGS and (over == "instance" or holds != over):
        message = f"`{watches}` is counted by agent or by mandate, and holds what it is counted by"
        spec.fault(message, "holds" if over != "instance" else "over", code=_CODE)
    if watches == "refused_at_door" and (over != "agent" or holds != "agent"):
        spec.fault(
            "`refused_at_door` is counted by agent, and can only hold the agent",
            "over",
            code=_CODE,
        )
    if watches in ("fan_out", "refusal_flood") and holds in TARGETS:
        spec.fault(
            f"`{watches}` cannot hold a {holds}: hold the agent or mandate instead", "holds", code=_CODE
        )
    counted = watches not in UNCOUNTED
    return StopRule(
        name=name,
        watches=watches,
        limit=spec.integer("limit", minimum=0, maximum=LIMIT_MAX, default=0),
        within_seconds=within_in(spec) if counted else 0,
        over=over,
        holds=holds,
        canary=_canary(spec) if watches == "canary" else NO_CANARY,
        tracker=spec.text("tracker", check=checked_part_name) if watches == "tracker" else "",
        grace_seconds=spec.integer("graceSeconds", minimum=0, maximum=GRACE_SECONDS_MAX, default=0),
        dry_run=spec.flag("dryRun", default=False),
        expires_seconds=spec.integer("expiresSeconds", minimum=0, maximum=EXPIRES_SECONDS_MAX, default=0),
        ownership=ownership,
    )


def _check_keys(spec: Fields, watches: Watched) -> None:
    counted = watches not in UNCOUNTED
    needed = (
        (("limit", "within") if counted else ())
        + (("limit",) if watches == "tracker" else ())
        + ((watches,) if watches in ("canary", "tracker") else ())
    )
    for key in ("limit", "within", "canary"):
        if key in needed and not spec.has(key):
            spec.fault(f"`{key}` is missing: a rule that watches `{watches}` needs it", key, code=_CODE)
    foreign = {
        "limit": watches in ("canary", "refusal_flood"),
        "within": not counted,
        "over": watches in ("tracker", "refusal_flood"),
        "canary": watches != "canary",
        "tracker": watches != "tracker",
    }
    for key, is_foreign in foreign.items():
        if is_foreign and spec.has(key):
            spec.fault(f"`{key}` has no meaning with `{watches}`: leave it out", key, code=_CODE)


def _canary(spec: Fields) -> Canary:
    section = spec.section("canary", CANARY_KEYS, needed=False)
    canary = Canary(
        capabilities=section.texts("capabilities", check=name_of("capability")),
        resources=section.texts("resources"),
        values=section.texts("values", check=_long_enough),
    )
    for key in CANARY_KEYS:
        if (section.count(key) or 0) > CANARIES_MAX:
            section.fault(f"expected at most {CANARIES_MAX} items", key, code=DOCUMENT_SIZE.id)
    if canary == NO_CANARY and spec.has("canary"):
        listed = ", ".join(f"`{key}`" for key in CANARY_KEYS)
        spec.fault(f"a canary needs one of {listed}", "canary", code=DOCUMENT_MISSING.id)
    return canary


def _long_enough(text: str) -> None:
    if len(text) < CANARY_CHARS_MIN:
        message = f"{shown(text)} is too short for a canary: expected at least {CANARY_CHARS_MIN} characters"
        raise DOCUMENT_SIZE(message)
