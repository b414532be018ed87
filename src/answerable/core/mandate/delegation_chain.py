"""Verify delegation chains: the hops from the acting agent back to the mandate. No hop is trusted before every link is
checked.

Laws, in the order of Agent Delegation Chain -02, section 5:
1. every hop is signed as `hop_signature` requires: by a trusted issuer, or below the first by its parent's key;
2. each hop names its parent token by hash; 3. depth is counted, and the principal is the same throughout;
4. no hop has more than its parent; 5. no hop outlives its parent, and all are within their validity period;
6. the presenter proved possession of the last hop's key; 7. no hop is revoked, and an unknown status refuses;
8. every hop is for this deployment. `chain_failure` checks an action against every hop.

Each beginning of a valid chain is itself a valid chain. This module does no I/O and never waits: the caller passes in
keys, proof of possession and status.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar

from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.attenuation import narrower
from answerable.core.mandate.authority import failure
from answerable.core.mandate.hop_signature import DelegatorBound
from answerable.core.mandate.hop_token import (
    Confirmation,
    Consent,
    Mission,
    UnverifiedHop,
    consent_in,
    read_hop,
    signing_hash,
)
from answerable.core.registry.documents.documents import DELEGATION_DEPTH_MAX
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.mandate import (
    DELEGATION_AUDIENCE_MISMATCH,
    DELEGATION_DEPTH_INVALID_UNVERIFIED,
    DELEGATION_EXPIRED,
    DELEGATION_HOLDER_BINDING_FAILED_UNVERIFIED,
    DELEGATION_MALFORMED,
    DELEGATION_MISSION_ALTERED,
    DELEGATION_NOT_NARROWER,
    DELEGATION_PAR_HASH_MISMATCH_UNVERIFIED,
    DELEGATION_PRINCIPAL_ALTERED,
    DELEGATION_REVOKED,
    DELEGATION_STATUS_UNKNOWN,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.caveat import Attempt
    from answerable.core.mandate.hop_signature import Form, KeysOf, Signatures
    from answerable.core.mandate.mandate import Shortfall

DEPTH_USUAL: Final = 5
CHAIN_CHARS_MAX: Final = 262_144
OFFLINE_SECONDS_MAX: Final = 300
"""Maximum lifetime of a hop that no token service signed: only the revocation register can end such a hop earlier."""
CLOCK_LEEWAY_MS: Final = 60_000
"""How far the signer's clock may be ahead. An expiry has no leeway."""
SEPARATOR: Final = "~"
"""Separator of the tokens of a chain in one field; no token contains it."""

Status = Literal["valid", "revoked", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One verified hop. form: `online` if a trusted issuer signed the hop, `offline` if its parent's key did.

    not_before, expires_at: Unix milliseconds, half-open. digest: SHA-256 of the token's characters. manifest, instance:
    those of the receiver, where the token service states them; else empty. single_use: the hop permits one action.
    consent: the hop that this one was exchanged for; it is not part of the chain, and its limits still apply.
    """

    jti: str
    depth: int
    agent: str
    principal: str
    issuer: str
    audiences: tuple[str, ...]
    confirmation: Confirmation
    authority: Authority
    not_before: UnixMillis
    expires_at: UnixMillis
    form: Form
    mission: Mission | None
    token: str = field(repr=False)
    digest: bytes
    manifest: str = ""
    instance: str = ""
    single_use: bool = False
    consent: Consent | None = None

    @property
    def hash(self) -> str:
        """The hash by which children name this hop, as `par_hash`."""
        return signing_hash(self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Verified hops, root first, at least one. Only `checked_chain` makes chains.

    depth_limit: most hops the chain may have, a further hop included.
    """

    hops: tuple[Hop, ...]
    depth_limit: int

    @property
    def leaf(self) -> Hop:
        """The last hop, whose agent acts."""
        return self.hops[-1]

    @property
    def root(self) -> Hop:
        """The hop that the token service issued for the mandate."""
        return self.hops[0]


def holder_not_asked(confirmation: Confirmation) -> bool:
    """Stand in for the proof of possession where nobody presents the chain: when a chain is read, minted or audited."""
    return True


def status_not_asked(hop: Hop) -> Status:
    """Stand in for the register lookup where the caller checks status itself, as the gateway does right before the
    effect."""
    return "valid"


def split_chain(field: str) -> tuple[str, ...]:
    """Split a field into its tokens, root first. Raises Malformed (`delegation.malformed`) and Unverified
    (`delegation.depth_invalid`)."""
    if len(field) > CHAIN_CHARS_MAX:
        raise DELEGATION_MALFORMED(f"a chain has more than {CHAIN_CHARS_MAX} characters")
    tokens = tuple(field.split(SEPARATOR, DELEGATION_DEPTH_MAX + 1))
    _check_count(tokens)
    return tokens


def verified_chain(
    tokens: Sequence[str],
    *,
    keys_of: KeysOf,
    audience: str,
    now: UnixMillis,
    proved: Callable[[Confirmation], bool],
    status: Callable[[Hop], Status],
    depth_max: int = DEPTH_USUAL,
) -> Chain:
    """Verify a chain, root first.

    proved: whether the presenter proved possession of the last hop's key. status: the known status of a hop, called
    after its signature and parents were checked. depth_max: of the last hop, at most 16. Raises Malformed
    (`delegation.malformed`, `.non_canonical`, `.duplicate_member`, `.non_finite`) and Unverified, step `delegation`:
    `.signature_invalid`, `.par_hash_mismatch`, `.depth_invalid`, `.principal_altered`, `.mission_altered`,
    `.not_narrower`, `.expired`, `.holder_binding_failed`, `.revoked`, `.status_unknown`, `.audience_mismatch`.
    """
    _check_count(tokens)
    if sum(map(len, tokens)) > CHAIN_CHARS_MAX:
        raise DELEGATION_MALFORMED(f"a chain has more than {CHAIN_CHARS_MAX} characters")
    hops = tuple(_at(index, read_hop, token) for index, token in enumerate(tokens))
    return checked_chain(
        hops,
        signatures=DelegatorBound(keys_of),
        audience=audience,
        now=now,
        proved=proved,
        status=status,
        depth_max=depth_max,
        mission_needed=True,
    )


def checked_chain(
    hops: Sequence[UnverifiedHop],
    *,
    signatures: Signatures,
    audience: str,
    now: UnixMillis,
    proved: Callable[[Confirmation], bool],
    status: Callable[[Hop], Status],
    depth_max: int = DEPTH_USUAL,
    mission_needed: bool = True,
) -> Chain:
    """Verify a chain of hops that were already read; otherwise as `verified_chain`.

    signatures: the rule for who may sign; only minting and foreign test vectors use another rule than `DelegatorBound`.
    mission_needed: False for foreign chains that name no mandate.
    """
    _check_count(hops)
    links = tuple(zip((None, *hops), hops, strict=False))
    forms = tuple(_at(index, signatures.form, hop, parent) for index, (parent, hop) in enumerate(links))
    for index, (parent, hop) in enumerate(links):
        _at(index, _check_parent, hop, parent)
    limit = _depth_limit(hops, min(depth_max, DELEGATION_DEPTH_MAX))
    for index, hop in enumerate(hops):
        _at(index, _check_sameness, hop, hops[0], mission_needed)
    if len({hop.jti for hop in hops}) < len(hops):
        raise DELEGATION_MALFORMED("two hops of a chain have the same `jti`")
    for index, hop in enumerate(hops[1:], start=1):
        limit = _at(index, _check_narrower, hop, hops[index - 1], limit)
    for index, (parent, hop) in enumerate(links):
        _at(index, _check_time, hop, parent, forms[index], now)
    verified = tuple(_hop(hop, index, forms[index]) for index, hop in enumerate(hops))
    if proved(verified[-1].confirmation) is not True:
        raise DELEGATION_HOLDER_BINDING_FAILED_UNVERIFIED()
    for index, one in enumerate(verified):
        _at(index, _check_status, status(one))
        _at(index, _check_audience, one, audience)
    return Chain(hops=verified, depth_limit=limit)


def chain_failure(
    chain: Chain, attempt: Attempt, *, reserved: Collection[str] = ()
) -> tuple[Hop, Shortfall] | None:
    """Return the first hop, root first, that does not permit an attempted action, and why; None if all hops permit the
    action.

    reserved: as for `failure`; the caller reserves these sums from an account of every hop.
    """
    for hop in chain.hops:
        why = failure(hop.authority, attempt, reserved=reserved)
        if why is not None:
            return hop, why
    return None


def _check_count(hops: Sequence[object]) -> None:
    if not hops:
        raise DELEGATION_MALFORMED("a chain has at least one hop")
    if len(hops) > DELEGATION_DEPTH_MAX + 1:
        raise DELEGATION_DEPTH_INVALID_UNVERIFIED(
            f"a chain has at most {DELEGATION_DEPTH_MAX + 1} hops, got more"
        )


def _check_parent(hop: UnverifiedHop, parent: UnverifiedHop | None) -> None:
    """Step 2."""
    if parent is None:
        if hop.parent_hash is not None:
            raise DELEGATION_MALFORMED("the first hop has no `par_hash`")
        return
    claimed = hop.parent_hash if isinstance(hop.parent_hash, str) else ""
    if not hmac.compare_digest(claimed.encode("utf-8", "replace"), parent.raw.hash.encode("ascii")):
        raise DELEGATION_PAR_HASH_MISMATCH_UNVERIFIED()


def _depth_limit(hops: Sequence[UnverifiedHop], depth_max: int) -> int:
    """Step 3: compare the depth limit in the first hop with the length of the chain."""
    limit, depth = hops[0].depth_limit, len(hops) - 1
    if type(limit) is not int or limit < 1:
        raise DELEGATION_DEPTH_INVALID_UNVERIFIED("hop 0: `del_max_depth` must be a positive whole number")
    for index, hop in enumerate(hops):
        if type(hop.depth) is not int or hop.depth != index:
            raise DELEGATION_DEPTH_INVALID_UNVERIFIED(
                f"hop {index}: `del_depth` is {shown(hop.depth, 40)}, expected {index}"
            )
    if depth >= limit:
        raise DELEGATION_DEPTH_INVALID_UNVERIFIED(
            f"the chain has {depth + 1} hops, `del_max_depth` of its first hop allows {limit}"
        )
    if depth > depth_max:
        raise DELEGATION_DEPTH_INVALID_UNVERIFIED(
            f"the chain is {depth} hops deep, expected at most {depth_max}"
        )
    return limit


def _check_sameness(hop: UnverifiedHop, root: UnverifiedHop, mission_needed: bool) -> None:
    """Step 3: the principal and the mandate are those of the root."""
    if hop.principal != root.principal:
        raise DELEGATION_PRINCIPAL_ALTERED(
            f"principal is {shown(hop.principal, 60)}, expected that of the first hop, "
            f"{shown(root.principal, 60)}"
        )
    if hop.mission is None and mission_needed:
        raise DELEGATION_MALFORMED("`mission` must name the mandate of a hop")
    if hop.mission != root.mission:
        raise DELEGATION_MISSION_ALTERED()


def _check_narrower(hop: UnverifiedHop, parent: UnverifiedHop, limit: int) -> int:
    """Step 4. Return the depth limit that applies below this hop."""
    wider = narrower(hop.authority, parent.authority)
    own = limit if hop.depth_limit is None else hop.depth_limit
    if type(own) is not int or own < 1:
        raise DELEGATION_MALFORMED("`del_max_depth` must be a positive whole number")
    if own > limit:
        wider = wider or f"raises `del_max_depth` from {limit} to {own}"
    if wider is not None:
        raise DELEGATION_NOT_NARROWER(wider)
    if type(hop.depth) is int and hop.depth >= own:
        raise DELEGATION_DEPTH_INVALID_UNVERIFIED(
            f"`del_depth` is {hop.depth}, expected less than `del_max_depth`, which is {own}"
        )
    return own


def _check_time(hop: UnverifiedHop, parent: UnverifiedHop | None, form: Form, now: UnixMillis) -> None:
    """Step 5."""
    if now + CLOCK_LEEWAY_MS < max(hop.not_before, hop.issued_at):
        raise DELEGATION_EXPIRED("the hop is not valid yet")
    if now >= hop.expires_at:
        raise DELEGATION_EXPIRED("the hop has expired")
    if parent is not None and hop.expires_at > parent.expires_at:
        raise DELEGATION_EXPIRED("the hop outlives its parent")
    if form == "offline" and hop.expires_at - hop.issued_at > OFFLINE_SECONDS_MAX * 1000:
        raise DELEGATION_EXPIRED(
            f"the hop is valid for more than {OFFLINE_SECONDS_MAX} seconds, and no token service signed it"
        )


def _check_status(found: Status) -> None:
    """Step 7."""
    if found == "revoked":
        raise DELEGATION_REVOKED()
    if found != "valid":
        raise DELEGATION_STATUS_UNKNOWN()


def _check_audience(hop: Hop, audience: str) -> None:
    """Step 8. Checked for every hop, not for the last alone: a hop for another deployment cannot be handed on to this
    one.

    A hop for one resource of this deployment passes; the caller that knows the resource checks which resource that is.
    """
    if not any(one == audience or one.startswith(f"{audience}/") for one in hop.audiences):
        raise DELEGATION_AUDIENCE_MISMATCH(
            f"audience is {shown(', '.join(hop.audiences))}, expected {shown(audience, 60)}"
        )


def _hop(hop: UnverifiedHop, depth: int, form: Form) -> Hop:
    return Hop(
        jti=hop.jti,
        depth=depth,
        agent=hop.agent,
        principal=hop.principal,
        issuer=hop.issuer,
        audiences=hop.audiences,
        confirmation=hop.confirmation,
        authority=hop.authority,
        not_before=max(hop.not_before, hop.issued_at),
        expires_at=hop.expires_at,
        form=form,
        mission=hop.mission,
        token=hop.raw.token,
        digest=sha256(hop.raw.token.encode("ascii")).digest(),
        manifest=_said(hop, terms.MANIFEST),
        instance=_said(hop, terms.INSTANCE),
        single_use=hop.raw.claims.get(terms.SINGLE_USE) is True,
        consent=_at(depth, consent_in, hop),
    )


def _said(hop: UnverifiedHop, claim: str) -> str:
    value = hop.raw.claims.get(claim)
    return value if isinstance(value, str) else ""


_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


def _at(index: int, check: Callable[_Given, _Made], *given: _Given.args, **named: _Given.kwargs) -> _Made:
    """Run a check, and prefix its error with the index of the hop."""
    try:
        return check(*given, **named)
    except Unverified as error:
        raise Unverified(f"hop {index}: {error.message}", code=error.code, step=error.step) from None
    except Malformed as error:
        raise Malformed(f"hop {index}: {error.message}", code=error.code) from None
