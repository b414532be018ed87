"""What the process that answers searches is asked about a stop rule: which holds it would have placed."""

from __future__ import annotations

from typing import Final

import msgspec

from answerable.api.members import AnyObject, Part
from answerable.core.containment.hold import HoldTarget
from answerable.core.registry.documents.capability import (
    ActionKind,
    ArgumentMapping,
    ResourceMapping,
    Sensitivity,
)
from answerable.core.registry.documents.policy_parts import Tracker
from answerable.core.registry.documents.stop_rule import StopRule
from answerable.ports.search_process import AskedOfOne, OfOne, QuestionKind

RULE_BYTES_MAX: Final = 16_777_216
"""It has what is read of all registered capabilities, of which there may be thousands."""


class CapabilityTold(Part, frozen=True, kw_only=True):
    """What stop rules and trackers read of a registered capability. idle: whether it is not active."""

    name: str
    server: str
    method: str
    target: str
    kind: ActionKind
    environment: str
    sensitivity: Sensitivity
    resource: ResourceMapping
    arguments: tuple[ArgumentMapping, ...]
    idle: bool


class ApprovalTold(Part, frozen=True, kw_only=True):
    """What stop rules and trackers read of an approval. action: empty where only a tracker would read it."""

    id: str
    agent: str
    capability: str
    mandate: str
    created_at: int
    action: AnyObject


class RegistersTold(Part, frozen=True, kw_only=True):
    """What the registers of a server have of those that were lacked. mandates: to whom each was given."""

    approvals: tuple[ApprovalTold, ...] = ()
    mandates: dict[str, str] = msgspec.field(default_factory=dict)
    holds: tuple[str, ...] = ()


class Lacked(Part, frozen=True, kw_only=True):
    """Names of entries that only the registers of a server can tell more of."""

    approvals: tuple[str, ...] = ()
    mandates: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


class RuleQuestion(AskedOfOne, frozen=True, kw_only=True):
    """One question what a stop rule would have held. tracker: the declared one that it watches. start: the first entry
    that is read; stop: the first that is not, None for none. since: as for `simulate_rule`. refusals_max,
    refusals_ms: the quota of refusals. told: what was lacked the time before."""

    rule: StopRule
    tracker: Tracker | None
    capabilities: tuple[CapabilityTold, ...]
    start: int
    stop: int | None = None
    since: int
    refusals_max: int
    refusals_ms: int
    told: RegistersTold = RegistersTold()


class RuleFiring(Part, frozen=True, kw_only=True):
    """One hold that the rule would have placed. index, at: of the entry that exceeded the limit. stopped: actions done
    although this hold would have stopped them."""

    index: int
    at: int
    owner: str
    value: int
    what: HoldTarget
    stopped: int


class RuleTold(OfOne, frozen=True, kw_only=True):
    """What a stop rule would have held. end: the first entry that was not read. size: of the log. unlisted: further
    firings. unknown: how often a number was not known, as it was erased. lacked: without these it is not right."""

    end: int
    size: int
    firings: tuple[RuleFiring, ...]
    unlisted: int
    unknown: int
    lacked: Lacked


RULE: Final = QuestionKind(path="/v1/rule", question=RuleQuestion, answer=RuleTold, bytes_max=RULE_BYTES_MAX)
