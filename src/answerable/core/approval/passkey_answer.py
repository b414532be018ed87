"""The stored form of an answer by passkey: everything an outside verifier needs to check it years later.

It is one canonical JSON text. `typ` is `answerable-approval-passkey`.

| member       | meaning                                                                                |
|--------------|----------------------------------------------------------------------------------------|
| `iss`        | the person; `key` the thumbprint (RFC 9679) of their passkey, `public_key` its COSE key  |
| `aud`        | the deployment, `approval` the approval's id                                           |
| `action`     | the action hash, `rendering` the rendering hash, both hex                              |
| `nonce`      | 32 bytes, base64url                                                                    |
| `verdict`    | `approve`, `deny` or `break_glass`                                                     |
| `v`          | 2; absent in an answer from before words were signed                                   |
| `reason`     | code of a denial; empty for all others                                                 |
| `comment`    | why, in their words; signed, except in answers without `v`                             |
| `narrower`   | values that are proposed instead, by argument, canonical JSON; else empty              |
| `iat_ms`     | when it was received, Unix milliseconds, by our clock                                  |
| `rp_id`      | the name that the passkey is bound to, `origins` the pages at which it may sign         |
| `assertion`  | `credential_id`, `client_data`, `authenticator_data`, `signature`, base64url           |

Laws: the challenge is recomputed from nonce, hashes, words and verdict, never taken from the text. Source: WebAuthn
Level 3, section 7.2; decisions 0023 and 0029.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.approval.challenge import challenge, first_challenge
from answerable.core.approval.words import Words
from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.people.kept_assertion import KeptAssertion, assertion_members, check_kept
from answerable.errors.codes.approval import APPROVAL_KEY, APPROVAL_MALFORMED

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.identity.people.passkey import Passkey, PasskeyAssertion

PASSKEY_TYP: Final = "answerable-approval-passkey"
VERSION: Final = 2
_HEX_CHARS: Final = 64


class _Kept(KeptAssertion, frozen=True, kw_only=True, forbid_unknown_fields=True):
    typ: Literal["answerable-approval-passkey"]
    iss: str
    aud: str
    approval: str
    action: str
    rendering: str
    verdict: Literal["approve", "deny", "break_glass"]
    comment: str
    iat_ms: int
    v: Literal[1, 2] = 1
    reason: str = ""
    narrower: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyAnswer:
    """A verified answer. credential: base64url of its id. key: thumbprint of the passkey. words: the texts; signed,
    unless `words_signed` is False, as in old answers."""

    by: str
    audience: str
    approval: str
    action: str
    rendering: str
    verdict: Verdict
    words: Words
    words_signed: bool
    at: UnixMillis
    key: str
    credential: str


def kept_answer(
    approval: Approval,
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
    """Build the stored text of a verified answer. Raises Malformed (`json.*`)."""
    members: dict[str, JSONValue] = {
        "typ": PASSKEY_TYP,
        "iss": by,
        "aud": audience,
        "approval": approval.id,
        "action": approval.shown.hex,
        "rendering": approval.card.hex,
        "v": VERSION,
        "verdict": verdict,
        "reason": words.reason,
        "comment": words.comment,
        "narrower": words.narrower,
        "iat_ms": at,
        **assertion_members(passkey, nonce=nonce, origins=origins, assertion=assertion),
    }
    return encode(members).decode()


def is_by_passkey(token: str) -> bool:
    """Whether a stored answer is such a text and not a JWS, which has no brace."""
    return token.startswith("{")


def verify_kept(token: str) -> PasskeyAnswer:
    """Verify a stored answer: that this passkey signed these hashes and this verdict. The caller checks whose passkey
    it is, and what was hashed.

    Raises Malformed (`approval.malformed`, `passkey.malformed`, `json.*`), Unverified (`passkey.*`, `approval.key`).
    """
    value = parse(token.encode())
    try:
        kept = msgspec.convert(value, _Kept)
    except msgspec.ValidationError as error:
        raise APPROVAL_MALFORMED(f"not an answer by passkey: {error}".lower()) from None
    nonce = from_base64url_32(kept.nonce)
    if nonce is None:
        raise APPROVAL_MALFORMED("`nonce` must be 32 bytes, base64url")
    other = APPROVAL_KEY("its key is not the one it names")
    credential = check_kept(kept, _challenge(kept, nonce), other_key=other)
    return PasskeyAnswer(
        by=kept.iss,
        audience=kept.aud,
        approval=kept.approval,
        action=kept.action,
        rendering=kept.rendering,
        verdict=kept.verdict,
        words=Words(reason=kept.reason, comment=kept.comment, narrower=kept.narrower),
        words_signed=kept.v == VERSION,
        at=UnixMillis(kept.iat_ms),
        key=kept.key,
        credential=to_base64url(credential),
    )


def _challenge(kept: _Kept, nonce: bytes) -> bytes:
    """Return the challenge that must have been signed. An old answer has no reason: one added later was not signed."""
    action, rendering = _hash(kept.action), _hash(kept.rendering)
    if kept.v == VERSION:
        # Reasons are validated when an answer is accepted; a reader of an old record gets what was signed.
        words = Words(reason=kept.reason, comment=kept.comment, narrower=kept.narrower)
        return challenge(nonce=nonce, action=action, rendering=rendering, verdict=kept.verdict, words=words)
    if kept.reason or kept.narrower or kept.verdict == "break_glass":
        raise APPROVAL_MALFORMED("an answer of version 1 is an approval or a denial, without a reason")
    return first_challenge(nonce=nonce, action=action, rendering=rendering, verdict=kept.verdict)


def _hash(text: str) -> bytes:
    if len(text) != _HEX_CHARS or text != text.lower():
        raise APPROVAL_MALFORMED("a hash has 64 lower-case hex digits")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise APPROVAL_MALFORMED("a hash has 64 lower-case hex digits") from None
