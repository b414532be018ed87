"""Build the machine-readable members of every refusal, wait and failure: the same members at every listener, always all
of them."""

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
    """Build the members. message: everything that a person or a model needs. reasons: defaults to the message. effect:
    whether anything was done. retry: whether the same request may succeed later. page: URL where people answer."""
    listed: list[JSONValue] = [*(reasons or (message,))]
    return {
        "message": message,
        "reasons": listed[:REASONS_SHOWN_MAX],
        "retry": retry,
        "approvalUrl": page or None,
        "effect": effect,
    }
