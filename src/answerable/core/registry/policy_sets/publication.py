"""Signed steps of publishing policy sets: a JWS in compact form whose header `typ` is `answerable-policy+jwt`.

| claim      | type    | meaning                                                                                  |
|------------|---------|------------------------------------------------------------------------------------------|
| `iss`      | text    | the person who takes the step; the signing key is theirs                                 |
| `aud`      | text    | the deployment it is for, exactly one                                                    |
| `step`     | text    | `propose`, `publish` or `rollback`                                                       |
| `before`   | text    | digest of the policy sets that it changes, as they are                                   |
| `after`    | text    | digest of the policy sets as they are to be                                              |
| `proposal` | text    | of `publish`: id of the proposal; else empty                                             |
| `attached` | text    | of `propose`: SHA-256 of what the author attached; else empty                            |
| `comment`  | text    | why, for people; may be empty                                                            |
| `iat_ms`   | integer | Unix milliseconds at which it was signed                                                 |

Laws: a step speaks of one change, from one digest to another; for anything else it is worth nothing; an old step is no
step; all claims are there and no others; nobody publishes what they proposed, under whichever key.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.canonical import freeze, parse
from answerable.core.identity.keys.compact_jws import read_compact, verified_claims
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, principal_id
from answerable.errors import Malformed, Refused, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

PUBLICATION_TYP: Final = "answerable-policy+jwt"
STEP: Final = "publication"
CLAIMS: Final = ("iss", "aud", "step", "before", "after", "proposal", "attached", "comment", "iat_ms")
STEPS: Final = ("propose", "publish", "rollback")
AGE_MILLIS_MAX: Final = 5 * 60 * 1000
"""How old a step may be when it arrives."""
AHEAD_MILLIS_MAX: Final = 60 * 1000
COMMENT_CHARS_MAX: Final = 1000
POLICY_SET: Final = "PolicySet/"
"""What the keys of policy sets among the documents begin with."""

PublicationStep = Literal["propose", "publish", "rollback"]
_CODE: Final = "publication.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedStep:
    """What a person signed, with the signature checked. key: thumbprint. at: when, Unix milliseconds."""

    by: PrincipalId
    key: str
    step: PublicationStep
    before: str
    after: str
    proposal: str
    attached: str
    comment: str
    at: UnixMillis
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a person is about to sign; see the claims."""

    step: PublicationStep
    before: str
    after: str
    proposal: str = ""
    attached: str = ""
    comment: str = ""


def step_claims(terms: Terms, *, by: PrincipalId, audience: str, at: UnixMillis) -> dict[str, JSONValue]:
    """What is signed. at: now."""
    return {
        "iss": by,
        "aud": audience,
        "step": terms.step,
        "before": terms.before,
        "after": terms.after,
        "proposal": terms.proposal,
        "attached": terms.attached,
        "comment": terms.comment,
        "iat_ms": at,
    }


def verified_step(
    token: str, *, wanted: PublicationStep, audience: str, current: RegistrySnapshot, now: UnixMillis
) -> SignedStep:
    """Verify a step against the registry as it is now. Whether the person may take it is for `publisher_fault` to say.

    Raises Malformed (`publication.malformed`, `name.invalid`) and Unverified (step `publication`: `publication.type`,
    `publication.algorithm`, `publication.key`, `publication.signature`, `publication.audience`, `publication.other`,
    `publication.stale`).
    """
    claims = verified_claims(
        token,
        typ=PUBLICATION_TYP,
        step=STEP,
        issuer_of=lambda unverified: principal_id(_text(unverified, "iss")),
        keys_of=current.person_keys,
    )
    if claims.keys() != set(CLAIMS):
        odd = sorted(claims.keys() ^ set(CLAIMS))[0]
        raise Malformed(f"claim {shown(odd, 40)} is missing or not known here", code=_CODE)
    said = {name: _text(claims, name) for name in CLAIMS if name != "iat_ms"}
    if said["aud"] != audience:
        message = f"the step is for {shown(said['aud'], 60)}, this is {shown(audience, 60)}"
        raise _unverified(message, "audience")
    if said["step"] != wanted:
        raise _unverified(f"expected a signature to {wanted}, got one to {shown(said['step'], 40)}", "other")
    at = claims["iat_ms"]
    if type(at) is not int:
        raise Malformed("claim `iat_ms` must be an integer", code=_CODE)
    if not -AHEAD_MILLIS_MAX <= now - at < AGE_MILLIS_MAX:
        most = AGE_MILLIS_MAX // 1000
        message = f"the step was signed {(now - at) // 1000} s ago, expected less than {most} s: sign it anew"
        raise _unverified(message, "stale")
    if len(said["comment"]) > COMMENT_CHARS_MAX:
        raise Malformed(f"a comment has at most {COMMENT_CHARS_MAX} characters", code=_CODE)
    return SignedStep(
        by=principal_id(said["iss"]),
        key=read_compact(token, step=STEP).header["kid"],
        step=wanted,
        before=said["before"],
        after=said["after"],
        proposal=said["proposal"],
        attached=said["attached"],
        comment=said["comment"],
        at=UnixMillis(at),
        token=token,
    )


def publisher_fault(signed: SignedStep, *, group: str, current: RegistrySnapshot) -> Refused | None:
    """Why this person may not put policy sets into force: `publication.group`. group: empty for no bound."""
    person = current.principals[signed.by]
    if group and group not in person.groups:
        return Refused(
            f"{signed.by} is not in group {shown(group)}, whose members publish policy sets",
            code="publication.group",
        )
    return None


def own_fault(
    signed: SignedStep, *, author: PrincipalId, key: str, current: RegistrySnapshot
) -> Refused | None:
    """Why this is the author's own proposal: `publication.own`. key: thumbprint of the key that it was signed with.

    Neither a second key of theirs helps nor, to whoever has it now, the key that the proposal was signed with: the
    registry knows no key and no login under two names at a time.
    """
    publisher, proposer = current.principals[signed.by], current.principals.get(author)
    theirs = {one.thumbprint for one in publisher.keys}
    own = {key, *(one.thumbprint for one in (proposer.keys if proposer is not None else ()))}
    if signed.by == author or theirs & own:
        return Refused(
            f"{author} proposed this: somebody else must publish it, with a key that is not theirs",
            code="publication.own",
        )
    return None


def proposal_id(token: str) -> str:
    """The id of a proposal: of its signed token, so that it names exactly one."""
    return sha256(token.encode()).hexdigest()[:32]


def policy_documents(documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The policy sets among registered documents, by `kind/name`."""
    return {key: text for key, text in sorted(documents.items()) if key.startswith(POLICY_SET)}


def documents_digest(documents: Mapping[str, bytes]) -> str:
    """SHA-256 of the canonical JSON object of these documents by their keys, hex."""
    return freeze({key: parse(text) for key, text in documents.items()}).hex


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Malformed(f"claim `{name}` must be text", code=_CODE)
    return value


def _unverified(message: str, fault: str) -> Unverified:
    return Unverified(message, code=f"publication.{fault}", step=STEP)
