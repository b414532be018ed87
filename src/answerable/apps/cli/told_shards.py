"""A shard as `status` and `doctor` tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.api.ledger_answers import Shard

_PROCESS: Final = {
    "this": "",
    "running": "; running",
    "silent": "; its process gives no answer",
    "not_running": "; not running",
}


def shard_told(found: Shard) -> str:
    """Say how far a shard is covered, and whether its process answers."""
    return f"{_covered(found)}{_PROCESS[found.process]}"


def _covered(found: Shard) -> str:
    match found.state:
        case "ok":
            return f"{found.origin}: covered up to entry {found.covered}"
        case "alarm":
            return f"{found.origin}: ALARM, covered up to entry {found.covered} only: {found.reason}"
        case _:
            return f"{found.origin}: not covered yet"
