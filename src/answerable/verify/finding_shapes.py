"""Define the ledger leaf for what targets' own logs show."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Count, Digest, Leaf


class LogFindingLeaf(Leaf):
    """Tag 50. finding: by which it is recorded once. kind: of the log. line_at: time of the line, or of the step that
    the log does not say. line: SHA-256 of the line. account: where it is one of the broker's. intent, action, agent,
    mandate: whose it is, as far as known. claimed: what a forged label names. differs: names of fields that the log
    says otherwise."""

    finding: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    kind: str
    line_at: Count
    target: str
    verdict: Annotated[str, Meta(pattern=r"^(?:bypass|content|forged|phantom)\Z")]
    account: str | UnsetType = UNSET
    action: str | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    claimed: str | UnsetType = UNSET
    differs: str | UnsetType = UNSET
    grade: Annotated[str, Meta(pattern=r"^[ABCD]\Z")] | UnsetType = UNSET
    intent: Count | UnsetType = UNSET
    line: Digest | UnsetType = UNSET
    mandate: str | UnsetType = UNSET
