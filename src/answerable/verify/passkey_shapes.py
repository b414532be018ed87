"""Define the ledger leaves about people's passkeys."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Count, Digest, Leaf

_Thumbprint = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]


class PasskeyLeaf(Leaf):
    """Tag 33: a passkey invited or added, or sign-ins refused.

    person, by: pseudonyms. invitation: SHA-256 of its code; empty if a session authorized the passkey. passkey: SHA-256
    of the credential id. key: thumbprint. counts: refused sign-ins since the last entry, by reason. code, session: why
    this session of a person was refused.
    """

    change: Annotated[str, Meta(pattern=r"^(?:invited|added|refused|session_refused)\Z")]
    attested: bool | UnsetType = UNSET
    backup_eligible: bool | UnsetType = UNSET
    by: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    counts: dict[str, Count] | UnsetType = UNSET
    expires: Count | UnsetType = UNSET
    invitation: Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")] | UnsetType = UNSET
    key: _Thumbprint | UnsetType = UNSET
    passkey: Digest | UnsetType = UNSET
    person: str | UnsetType = UNSET
    session: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")] | UnsetType = UNSET


class PasskeyRemovedLeaf(Leaf):
    """Tag 34: a passkey removed. Members as in tag 33."""

    by: str
    key: _Thumbprint
    passkey: Digest
    person: str
