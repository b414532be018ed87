"""The vectors of Agent Delegation Chain (PyPI attenu-guard), 103 in four sets, by our verifier, with their outcomes.

| set       | cases | what of ours it exercises                                                                |
|-----------|-------|------------------------------------------------------------------------------------------|
| -02 token | 35    | `read_hop` and `checked_chain` as they are: steps 1 to 5, and the audience of step 8     |
| -01 token | 20    | the same, after the claims were lifted to -02, see `lifted`: they are older than ours    |
| bundles   | 29    | `narrower`, scopes and bounds on delegations and actions; canonical bytes of every entry |
| envelopes | 19    | canonical bytes, choice of key, and Ed25519 of the signatures in them                    |

All tokens are signed with HS256 by a secret that stands in the file. The product has no such algorithm, and refuses
each of these chains for it, which is tested too; the table of algorithms that lets them in exists here alone. So the
delegator-bound rule, possession (step 6) and status (step 7) are not exercised by any of these sets. A bundle with two
faults counts as scored when one of them lies in delegation.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import resources
from typing import Any

import pytest

from answerable.core.canonical import FrozenJSON, JSONValue, encode
from answerable.core.identity.keys import public_key, to_base64url, verify_signature
from answerable.core.identity.principal import UnixMillis
from answerable.core.mandate.attenuation import narrower
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.constraint import from_wire
from answerable.core.mandate.delegation_chain import (
    checked_chain,
    holder_not_asked,
    status_not_asked,
    verified_chain,
)
from answerable.core.mandate.hop_signature import signature_fault
from answerable.core.mandate.hop_token import RawHop, UnverifiedHop, read_claims, read_hop, read_raw
from answerable.errors import Malformed, Unverified

SETS = resources.files("attenu_guard.vectors")


def chains(folder: Any) -> dict[str, dict[str, Any]]:
    """The cases in a folder, by name."""
    return {
        one.name.removesuffix(".json"): json.loads(one.read_text())
        for one in sorted(folder.iterdir(), key=lambda one: one.name)
        if one.name.endswith(".json")
    }


OF_01 = chains(SETS)
OF_02 = chains(SETS / "draft02")
BUNDLES = {
    case["name"]: case
    for case in json.loads((SETS / "bundles" / "bundle_vectors_v1.json").read_text())["cases"]
}
ENVELOPES = {
    case["name"]: case
    for case in json.loads((SETS / "envelopes" / "envelope_vectors_v1.json").read_text())["cases"]
}
ORDER = ["none", "internal", "any"]
HERE = "https://elsewhere.example"
"""For the -01 tokens, which name no audience."""


@dataclass(frozen=True, kw_only=True)
class SharedSecret:
    """Their table of algorithms, for tests alone: HS256, one secret for the whole chain."""

    signer: dict[str, Any]
    accepted: tuple[str, ...]

    def form(self, hop: UnverifiedHop, parent: UnverifiedHop | None) -> Any:
        header, token = hop.raw.jws.header, hop.raw.token
        signed, _, signature = token.rpartition(".")
        made = hmac.digest(bytes.fromhex(self.signer["secret_hex"]), signed.encode(), "sha256")
        if header["alg"] not in self.accepted or header["alg"] != self.signer["alg"]:
            raise signature_fault("algorithm is not accepted")
        if header["kid"] != self.signer["kid"] or not hmac.compare_digest(signature, to_base64url(made)):
            raise signature_fault("the signature does not fit")
        return "online"


def lifted(raw: RawHop) -> RawHop:
    """A -01 token as -02 would say it: the agent stands in `client_id`, the ranks bring their order, and what -01 has
    not is filled in. The signed bytes, and so signatures and `par_hash`, stay as they are."""
    claims = dict(raw.claims)
    if isinstance(claims.get("sub"), str):
        claims["client_id"], claims["sub"] = claims["sub"], "acct:lifted"
    claims["aud"] = HERE
    claims["cnf"] = {"jkt": to_base64url(sha256(b"lifted").digest())}
    details = json.loads(json.dumps(claims.get("authorization_details")))
    for detail in details:
        for constraint in detail["constraints"]:
            if "rank" in constraint:
                constraint["order"] = ORDER
    return replace(raw, claims={**claims, "authorization_details": details})


def outcome(case: dict[str, Any], *, read: Any, audience: str, accepted: tuple[str, ...]) -> str:
    try:
        checked_chain(
            [read(token) for token in case["tokens"]],
            signatures=SharedSecret(signer=case["signer"], accepted=accepted),
            audience=audience,
            now=UnixMillis(case["now"] * 1000),
            proved=holder_not_asked,
            status=status_not_asked,
            depth_max=16,
            mission_needed=False,
        )
    except (Malformed, Unverified) as error:
        return error.code.removeprefix("delegation.")
    return "accept"


def expected(case: dict[str, Any]) -> str:
    return str(case.get("expect") or case["expect_reject_reason"])


@pytest.mark.requirement("DELEG-10")
@pytest.mark.parametrize("name", OF_02)
def test_each_chain_of_revision_02_ends_as_published(name):
    case = OF_02[name]
    verifier = case["verifier"]
    found = outcome(
        case, read=read_hop, audience=verifier["audience"], accepted=tuple(verifier["accepted_algs"])
    )
    assert found == expected(case)


@pytest.mark.requirement("DELEG-10")
@pytest.mark.parametrize("name", OF_01)
def test_each_chain_of_revision_01_ends_as_published_once_its_claims_are_lifted(name):
    case = OF_01[name]
    found = outcome(
        case, read=lambda token: read_claims(lifted(read_raw(token))), audience=HERE, accepted=("HS256",)
    )
    assert found == expected(case)


@pytest.mark.requirement("DELEG-10")
def test_a_chain_of_revision_01_as_it_stands_is_malformed_as_revision_02_says():
    case = OF_01["valid_chain"]
    assert outcome(case, read=read_hop, audience=HERE, accepted=("HS256",)) == "malformed"


@pytest.mark.requirement("DELEG-11")
@pytest.mark.parametrize("name", OF_02)
def test_the_product_itself_takes_no_chain_that_a_shared_secret_signed(name):
    """Although every token of the set is offered with its secret as a trusted key would be: there is no such key."""
    case = OF_02[name]
    secret: dict[str, JSONValue] = {"kty": "oct", "k": to_base64url(bytes.fromhex(case["signer"]["secret_hex"]))}
    with pytest.raises(Malformed) as no_key:
        public_key(secret)
    assert no_key.value.code == "key.private"
    with pytest.raises((Malformed, Unverified)) as refused:
        verified_chain(
            case["tokens"],
            keys_of=lambda issuer: (public_key({"kty": "OKP", "crv": "Ed25519", "x": ED25519_X}),),
            audience=case["verifier"]["audience"],
            now=UnixMillis(0),
            proved=holder_not_asked,
            status=status_not_asked,
        )
    early = expected(case) if expected(case) == "malformed" else "signature_invalid"
    assert refused.value.code == f"delegation.{early}"


ED25519_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
"""The public key of RFC 8037, appendix A.2."""

NOT_OURS = {
    "reject_params_mismatch": "their record of arguments as invoked; ours is the action digest in intent and warrant",
    "reject_outcome_without_allow": "order of their ledger's events; ours is checked by `verify/links.py`",
    "reject_outcome_before_allow": "order of their ledger's events",
    "reject_duplicate_outcome": "order of their ledger's events",
    "reject_duplicate_call_id": "ids of their ledger's events",
    "reject_rehashed_chain": "their anchor, an HMAC over the head; ours is a signed checkpoint",
    "reject_policy_on_spawn": "a member that only their ledger has",
    "reject_unknown_ledger_fields": "the closed set of their ledger's members",
    "reject_v2_field_on_v1": "the closed set of their ledger's members",
    "reject_unknown_ledger_event": "the closed set of their ledger's events",
    "reject_outcome_event_on_v1": "the closed set of their ledger's events",
    "reject_invalid_ledger_entry": "the shape of their ledger's entries",
    "reject_invalid_ledger_entry_array": "the shape of their ledger's entries",
}
"""Bundles whose fault lies outside delegation, each with what it lies in. This list only shrinks."""


def authority_then_end(wire: dict[str, Any]) -> tuple[Authority, float]:
    """Their ledger's authority: ours, and a lifetime, which for us is the hop's window."""
    constraints = [{name: one[name] for name in one if name != "type"} for one in wire["constraints"]]
    made = Authority(scopes=tuple(wire["scopes"]), constraints=tuple(map(from_wire, constraints)))
    return made, wire["ttl"] if wire["ttl"] is not None else float("inf")


def delegation_faults(entries: list[Any]) -> list[tuple[str, int]]:
    """What of a ledger is wider than what it was taken from: `monotonicity` of hops, `containment` of actions."""
    found: list[tuple[str, int]] = []
    held: dict[str, tuple[Authority, float]] = {}
    for entry in entries:
        match entry:
            case {"event": "root", "node": str(node), "authority": dict(authority)}:
                held[node] = authority_then_end(authority)
            case {"event": "spawn", "node": str(node), "parent": str(parent), "granted": dict(granted)}:
                held[node] = authority_then_end(granted)
                child, above = held[node], held[parent]
                if narrower(child[0], above[0]) is not None or child[1] > above[1]:
                    found.append(("monotonicity", entry["seq"]))
            case {"event": "allow", "node": str(node), "scope": str(scope), "context": dict(facts)}:
                if entry.get("policy") != "unlisted" and not contained(held[node][0], scope, facts):
                    found.append(("containment", entry["seq"]))
    return found


def contained(authority: Authority, scope: str, facts: dict[str, Any]) -> bool:
    """Their actions state what they used by names of their own, `rows` for `max_rows`, and only where they used it."""
    stated = {one: facts[one.key.removeprefix("max_")] for one in authority.constraints if facts}
    return authority.names(scope) and all(one.failure(fact) is None for one, fact in stated.items())


@pytest.mark.requirement("DELEG-12")
@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_each_bundle_is_refused_exactly_where_its_fault_is_one_of_delegation(name):
    case = BUNDLES[name]
    due = [(one["reason"], one["seq"]) for one in case["expect_failures"]]
    ours = [one for one in due if one[0] in ("monotonicity", "containment")]
    assert delegation_faults(case["bundle"]["entries"]) == ours
    broken = broken_entry(case["bundle"]["entries"])
    assert broken == next((seq for reason, seq in due if reason == "integrity"), None)
    scored = case["expect"] == "accept" or bool(ours) or broken is not None
    assert scored is (name not in NOT_OURS), "the list of what is not ours must name exactly what was not scored"


def broken_entry(entries: list[Any]) -> int | None:
    """The first entry whose stored hash is not that of its canonical bytes after the hash before it."""
    before = "0" * 64
    for entry in entries:
        if not isinstance(entry, dict):
            return None
        rest = {member: entry[member] for member in entry if member != "hash"}
        if sha256(before.encode() + encode(rest)).hexdigest() != entry["hash"]:
            return int(entry["seq"])
        before = entry["hash"]
    return None


NOT_SIGNATURES = {
    "reject_rehashed_chain_sparse": "what an envelope is about: their ledger's entry, which we do not keep",
    "reject_subject_mismatch": "what an envelope is about",
    "reject_unknown_version": "the closed set of an envelope's members and versions",
    "reject_member_without_bump": "the closed set of an envelope's members and versions",
    "reject_masked_bundle_mutation": "what an envelope is about",
    "reject_rehashed_chain_anchored": "what an envelope is about",
    "reject_rehashed_chain_unanchored": "what an envelope is about",
    "reject_locator_mismatch": "what an envelope is about",
    "reject_duplicate_subject": "one envelope an entry",
    "reject_duplicate_subject_defective_second": "one envelope an entry",
}
"""Envelopes whose fault is in no signature, each with where it is. Our own log has cosigned checkpoints instead, which
have their own vectors. This list only shrinks."""


def envelope_faults(case: dict[str, Any]) -> list[str]:
    found: list[str] = []
    seen: set[int] = set()
    for envelope in case["bundle"].get("envelopes", []):
        if envelope["subject"]["seq"] in seen:
            continue  # A second one for the same entry is a fault whatever its signature is.
        seen.add(envelope["subject"]["seq"])
        witness = envelope["witness"]
        trusted = [
            one for one in case["witness_keys"] if (one["kid"], one["alg"]) == (witness["kid"], witness["alg"])
        ]
        if not trusted:
            found.append("envelope_unknown_witness")
            continue
        x = to_base64url(bytes.fromhex(trusted[0]["public_key_hex"]))
        signed = encode({name: envelope[name] for name in envelope if name != "sig"})
        if "canonical_hex" in case:
            assert signed == bytes.fromhex(case["canonical_hex"])
        try:
            if "raw_hex" in case:
                FrozenJSON.from_canonical(bytes.fromhex(case["raw_hex"]))
            verify_signature(
                public_key({"kty": "OKP", "crv": "Ed25519", "x": x}), signed, bytes.fromhex(envelope["sig"])
            )
        except Malformed as error:
            found.append("envelope_non_canonical" if error.code == "json.not_canonical" else error.code)
        except Unverified:
            found.append("envelope_bad_signature")
    return found


@pytest.mark.requirement("DELEG-12")
@pytest.mark.parametrize("name", sorted(ENVELOPES))
def test_each_envelope_is_refused_exactly_where_its_fault_is_in_bytes_key_or_signature(name):
    case = ENVELOPES[name]
    due = [
        one["reason"]
        for one in case["expect_failures"]
        if one["reason"] in ("envelope_unknown_witness", "envelope_non_canonical", "envelope_bad_signature")
    ]
    assert envelope_faults(case) == due
    scored = case["expect"] == "accept" or bool(due)
    assert scored is (name not in NOT_SIGNATURES)


@pytest.mark.requirement("DELEG-12")
def test_every_case_of_the_four_sets_was_counted():
    counts = (len(OF_01), len(OF_02), len(BUNDLES), len(ENVELOPES))
    assert counts == (20, 35, 29, 19)
    assert NOT_OURS.keys() <= BUNDLES.keys()
    assert NOT_SIGNATURES.keys() <= ENVELOPES.keys()
