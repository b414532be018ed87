"""Represent a recorded decision and the result of evaluating it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Verdict = Literal["same", "differs", "erased", "not_disclosed", "not_asked", "cannot_tell"]
VERDICTS: Final[tuple[Verdict, ...]] = (
    "same",
    "differs",
    "erased",
    "not_disclosed",
    "not_asked",
    "cannot_tell",
)


class DecisionEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry that records a decision. fields: its disclosed fields, as JSON by name; None if nobody can decrypt them
    any more. whole: whether these are all relevant fields."""

    index: int
    tag: int
    leaf: Mapping[str, Any]
    fields: Mapping[str, bytes] | None
    whole: bool


class Said(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A decision, as far as leaves record it."""

    effect: str
    by: tuple[str, ...]
    lifted: tuple[str, ...] = ()

    def as_value(self) -> dict[str, Any]:
        """Return the decision for `--json`."""
        return {"by": [*self.by], "effect": self.effect, "lifted": [*self.lifted]}


class Replayed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The result of evaluating one decision again. text: one human-readable line. action: id of the action, or of the
    approval. derived: None if it could not be evaluated. unchecked: parts that were not evaluated although the policies
    were."""

    index: int
    action: str
    verdict: Verdict
    text: str
    recorded: Said
    derived: Said | None = None
    unchecked: tuple[str, ...] = ()

    def as_value(self) -> dict[str, Any]:
        """Return the result for `--json`, with JSON types only."""
        return {
            "action": self.action,
            "derived": self.derived.as_value() if self.derived else None,
            "index": self.index,
            "recorded": self.recorded.as_value(),
            "text": self.text,
            "unchecked": [*self.unchecked],
            "verdict": self.verdict,
        }


class Unfit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a disclosed policy set cannot be evaluated."""

    verdict: Verdict
    text: str
