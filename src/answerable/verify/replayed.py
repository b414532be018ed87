"""A recorded decision as it is asked again, and what came of it."""

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
    """fields: those that are shown, as JSON by name; None where nobody can open them any more. whole: whether that is
    all that could be of interest."""

    index: int
    tag: int
    leaf: Mapping[str, Any]
    fields: Mapping[str, bytes] | None
    whole: bool


class Said(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A decision, as far as leaves tell it."""

    effect: str
    by: tuple[str, ...]
    lifted: tuple[str, ...] = ()

    def as_value(self) -> dict[str, Any]:
        """For `--json`."""
        return {"by": [*self.by], "effect": self.effect, "lifted": [*self.lifted]}


class Replayed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What came of asking one decision again. text: for people, on one line. action: id of the action, or of the
    approval. derived: None where it could not be asked. unchecked: what was not asked again, though policies were."""

    index: int
    action: str
    verdict: Verdict
    text: str
    recorded: Said
    derived: Said | None = None
    unchecked: tuple[str, ...] = ()

    def as_value(self) -> dict[str, Any]:
        """For `--json`: only JSON types."""
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
    """Why a policy set that is shown cannot be asked."""

    verdict: Verdict
    text: str
