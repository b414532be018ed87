"""What every refusal, wait and failure says to a machine, whichever door says it: the same members, always all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue

EffectTold = Literal["none", "done", "unknown"]
REASONS_SHOWN_MAX: Final = 8


def told(
    message: str,
    *,
    reasons: Sequence[str] = (),
    effect: EffectTold = "none",
    retry: bool = False,
    page: str = "",
) -> dict[str, JSONValue]:
    """message: all that a person or a model needs. reasons: the message where there are no others. effect: whether
    anything was done. retry: whether the very same may be asked again and end otherwise. page: where people answer."""
    listed: list[JSONValue] = [*(reasons or (message,))]
    return {
        "message": message,
        "reasons": listed[:REASONS_SHOWN_MAX],
        "retry": retry,
        "approvalUrl": page or None,
        "effect": effect,
    }
