"""Read, verify and store a person's answer to many approvals.

With a key file it is a JWS whose header `typ` is `answerable-approval-batch+jwt`, of the form `BatchClaims`.

Each approval stores its part as canonical JSON whose `typ` is `answerable-approval-batch`: `item`, its `index`, the
`path` (base64url) to `root`, `size`, and either `jws` or `passkey`, which has the members of an answer by passkey
except those of `item`.

Laws: all claims are present and no others; the part that one approval stores can be verified without the others, and is
valid for no other approval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from answerable.core.approval.batch import BatchItem, batch_challenge, check_size
from answerable.core.approval.token import STALE_ANSWER
from answerable.core.approval.words import Words, words_of
from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.canonical import encode, parse
from answerable.core.identity.keys.compact_jws import TokenCodes, verified_claims
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, principal_id
from answerable.core.identity.people.kept_assertion import KeptAssertion, assertion_members, check_kept
from answerable.core.statement import Kind
from answerable.core.tlog.merkle import verify_inclusion
from answerable.errors import Malformed
from answerable.errors.codes.approval import (
    APPROVAL_ALGORITHM,
    APPROVAL_AUDIENCE,
    APPROVAL_KEY,
    APPROVAL_MALFORMED,
    APPROVAL_OTHER,
    APPROVAL_SIGNATURE,
    APPROVAL_STALE,
    APPROVAL_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.approval.batch import Batch
    from answerable.core.approval.token import Verdict
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.people.passkey import Passkey, PasskeyAssertion

BATCH_TYP: Final = "answerable-approval-batch+jwt"
KEPT_TYP: Final = "answerable-approval-batch"
_HEX_CHARS: Final = 64
_Form = TypeVar("_Form")


class BatchClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed claims of a batch answer; `verify_batch` checks them."""

    iss: Annotated[str, Meta(description="the person who answers; the signing key is theirs")]
    aud: Annotated[str, Meta(description="the deployment it is for, exactly one")]
    root: Annotated[str, Meta(description="the root, 64 lower-case hex digits")]
    size: Annotated[int, Meta(description="how many items there are")]
    nonce: Annotated[
        str,
        Meta(
            description="32 bytes that the deployment gave for this answer (`POST /v1/approval-batches/nonce`), "
            "base64url; good once, for five minutes"
        ),
    ]
    verdict: Annotated[Literal["approve", "deny"], Meta(description="`approve` or `deny`")]
    reason: Annotated[
        str,
        Meta(description="of a no the code of its reason, as above but for `narrower`; empty for a yes"),
    ]
    comment: Annotated[
        str, Meta(description="why, in the person's words; at most 1000 characters, may be empty")
    ]
    iat_ms: Annotated[int, Meta(description="Unix milliseconds at which it was signed")]


BATCH: Final = Kind(
    typ=BATCH_TYP,
    codes=TokenCodes(
        malformed=APPROVAL_MALFORMED,
        type=APPROVAL_TYPE,
        algorithm=APPROVAL_ALGORITHM,
        key=APPROVAL_KEY,
        signature=APPROVAL_SIGNATURE,
    ),
    what="the answer",
    form=BatchClaims,
    stale=STALE_ANSWER,
)


class _Passkey(KeptAssertion, frozen=True, kw_only=True, forbid_unknown_fields=True):
    iss: str
    aud: str
    verdict: Literal["approve", "deny"]
    reason: str
    comment: str
    iat_ms: int


class _Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    action: str
    approval: str
    rendering: str


class _Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    typ: Literal["answerable-approval-batch"]
    item: _Item
    index: int
    size: int
    root: str
    path: list[str]
    jws: str = ""
    passkey: _Passkey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSaid:
    """One approval's verified part of a batch answer. by_key: thumbprint of the passkey; empty for a key file. size:
    number of approvals answered together."""

    by: str
    audience: str
    approval: str
    action: str
    rendering: str
    verdict: Verdict
    words: Words
    size: int
    by_key: str


def batch_claims(
    batch: Batch,
    *,
    nonce: bytes,
    by: PrincipalId,
    verdict: Literal["approve", "deny"],
    words: Words,
    audience: str,
    at: UnixMillis,
) -> BatchClaims:
    """Build the claims of an answer to all of this list."""
    return BatchClaims(
        iss=by,
        aud=audience,
        root=batch.root.hex(),
        size=batch.size,
        nonce=to_base64url(nonce),
        verdict=verdict,
        reason=words.reason,
        comment=words.comment,
        iat_ms=at,
    )


def verify_batch(
    token: str,
    *,
    keys_of: Callable[[PrincipalId], Iterable[PublicKey]],
    audience: str,
    batch: Batch,
    now: UnixMillis,
) -> tuple[BatchClaims, bytes]:
    """Verify an answer to exactly this list; return its claims and its nonce. `answered` checks whether each approval
    may be answered so.

    Raises Malformed (`approval.malformed`, `name.invalid`) and Unverified (step `approval`: `approval.type`,
    `approval.algorithm`, `approval.key`, `approval.signature`, `approval.audience`, `approval.other`,
    `approval.stale`).
    """
    claims = _claims(token, keys_of)
    BATCH.check_audience(claims, audience, code=APPROVAL_AUDIENCE)
    if (claims.root, claims.size) != (batch.root.hex(), batch.size):
        raise APPROVAL_OTHER("the answer is to another list than the one shown: load the list again")
    BATCH.check_age(claims, now, code=APPROVAL_STALE)
    words_in(claims)
    return claims, _nonce(claims.nonce)


def words_in(said: BatchClaims | _Passkey) -> Words:
    """Return the texts beside the verdict; a narrower action can be proposed only for a single approval. Raises
    Malformed (`approval.malformed`, `approval.reason`)."""
    return words_of(said.verdict, reason=said.reason, comment=said.comment)


def kept_by_key(batch: Batch, index: int, *, jws: str) -> str:
    """Build what the approval at `index` stores of a verified answer with a key file."""
    return encode({**_place(batch, index), "jws": jws}).decode()


def kept_by_passkey(
    batch: Batch,
    index: int,
    *,
    by: PrincipalId,
    nonce: bytes,
    verdict: Verdict,
    words: Words,
    audience: str,
    at: UnixMillis,
    passkey: Passkey,
    origins: tuple[str, ...],
    assertion: PasskeyAssertion,
) -> str:
    """Build what the approval at `index` stores of a verified answer by passkey."""
    members: dict[str, JSONValue] = {
        "iss": by,
        "aud": audience,
        "verdict": verdict,
        "reason": words.reason,
        "comment": words.comment,
        "iat_ms": at,
        **assertion_members(passkey, nonce=nonce, origins=origins, assertion=assertion),
    }
    return encode({**_place(batch, index), "passkey": members}).decode()


def is_of_batch(token: str) -> bool:
    """Whether a stored answer is part of a batch answer. Never raises."""
    return token.startswith("{") and f'"typ":"{KEPT_TYP}"' in token and _typ(token) == KEPT_TYP


def statement_in(token: str) -> str:
    """Return the JWS in a stored answer with a key file; the text itself where it is no part of a batch."""
    if not is_of_batch(token):
        return token
    try:
        return _kept(token).jws
    except Malformed:
        return ""


def root_in(token: str) -> str:
    """Return the root of the list of which an approval stores its part, hex; empty where it was answered alone."""
    if not is_of_batch(token):
        return ""
    try:
        return _kept(token).root
    except Malformed:
        return ""


def verify_kept_batch(token: str, signer: PublicKey | None = None) -> BatchSaid:
    """Verify a stored part: that this item is in the list, and that this passkey, or `signer` for a key file, signed
    the list and the verdict. The caller checks whose key it is.

    Raises Malformed (`approval.malformed`, `passkey.malformed`, `json.*`), Unverified (`proof.*`, `passkey.*`,
    `approval.*`).
    """
    kept = _kept(token)
    root = _hash(kept.root)
    item = BatchItem(approval=kept.item.approval, action=kept.item.action, rendering=kept.item.rendering)
    for one in (item.action, item.rendering):
        _hash(one)
    check_size(kept.size)
    verify_inclusion(
        leaf=item.leaf(),
        index=kept.index,
        size=kept.size,
        proof=[_nonce(one) for one in kept.path],
        root=root,
    )
    if (kept.passkey is None) == (not kept.jws):
        raise APPROVAL_MALFORMED("an answer to a list has either `jws` or `passkey`")
    said: _Passkey | BatchClaims
    if kept.passkey is not None:
        said = _signed_by_passkey(kept, kept.passkey, root)
    elif signer is None:
        raise APPROVAL_KEY("the signing key of the answer is not included")
    else:
        said = _claims(kept.jws, lambda _: (signer,))
        if (said.root, said.size) != (kept.root, kept.size):
            raise APPROVAL_OTHER("the signature is over another list")
    return BatchSaid(
        by=said.iss,
        audience=said.aud,
        approval=item.approval,
        action=item.action,
        rendering=item.rendering,
        verdict=said.verdict,
        words=words_in(said),
        size=kept.size,
        by_key=said.key if isinstance(said, _Passkey) else "",
    )


def _signed_by_passkey(kept: _Kept, said: _Passkey, root: bytes) -> _Passkey:
    signed = batch_challenge(
        nonce=_nonce(said.nonce), root=root, size=kept.size, verdict=said.verdict, words=words_in(said)
    )
    other = APPROVAL_KEY("its key is not the one it names")
    check_kept(said, signed, other_key=other)
    return said


def _place(batch: Batch, index: int) -> dict[str, JSONValue]:
    item = batch.items[index]
    return {
        "typ": KEPT_TYP,
        "item": {"action": item.action, "approval": item.approval, "rendering": item.rendering},
        "index": index,
        "size": batch.size,
        "root": batch.root.hex(),
        "path": [to_base64url(one) for one in batch.path(index)],
    }


def _claims(token: str, keys_of: Callable[[PrincipalId], Iterable[PublicKey]]) -> BatchClaims:
    """Read the claims like a stored part, unlike other statement kinds, so that both report errors in
    the same words."""
    claims = verified_claims(
        token,
        typ=BATCH_TYP,
        codes=BATCH.codes,
        issuer_of=lambda unverified: principal_id(str(unverified.get("iss"))),
        keys_of=lambda issuer: keys_of(PrincipalId(issuer)),
    )
    return _converted(claims, BatchClaims)


def _kept(token: str) -> _Kept:
    return _converted(parse(token.encode()), _Kept)


def _converted(value: JSONValue, kind: type[_Form]) -> _Form:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise APPROVAL_MALFORMED(f"not an answer to a list: {error}".lower()) from None


def _typ(token: str) -> object:
    try:
        value = parse(token.encode())
    except Malformed:
        return None
    return value.get("typ") if isinstance(value, dict) else None


def _nonce(text: str) -> bytes:
    octets = from_base64url_32(text)
    if octets is None:
        raise APPROVAL_MALFORMED("nonce and path have 32 bytes each, base64url")
    return octets


def _hash(text: str) -> bytes:
    if len(text) != _HEX_CHARS or set(text) - set("0123456789abcdef"):
        raise APPROVAL_MALFORMED("a hash has 64 lower-case hex digits")
    return bytes.fromhex(text)
