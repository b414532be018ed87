"""Store accepted proofs in memory that all processes of a deployment share, to detect replays."""

from __future__ import annotations

from answerable.adapters.replay_table.store import SharedReplayStore

__all__ = ["SharedReplayStore"]
