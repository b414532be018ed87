"""The vectors of Agent Delegation Chain (PyPI attenu-guard), 103 in four sets, by our verifier, with their outcomes.

| set       | cases | what of ours it exercises                                                                |
|-----------|-------|------------------------------------------------------------------------------------------|
| -02 token | 35    | `read_hop` and `checked_chain` as they are: steps 1 to 5, and the audience of step 8     |
| -01 token | 20    | the same, after the claims were lifted to -02, see `lifted`: they are older than ours    |
| bundles   | 29    | told as ours, see `attenu_ledgers.py`: `verified_chain`, `chain_failure`, `verify_ledger` |
| envelopes | 19    | the same for the ledger; canonical bytes, choice of key, Ed25519 of the signatures       |

All tokens are signed with HS256 by a secret that stands in the file. The product has no such algorithm, and refuses
each of these chains for it, which is tested too; the table of algorithms that lets them in exists here alone. So the
delegator-bound rule, possession (step 6) and status (step 7) are not exercised by any of these sets.

What ours says of every bundle and envelope stands in `attenu_guard.toml`, exactly, with the reason where it does not
refuse what is refused there; docs/reference/conformance.md is made from it.
"""

from __future__ import annotations

import hmac
import json
import tomllib
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import resources
from typing import Any

import pytest

from answerable.core.canonical import FrozenJSON, JSONValue, encode
from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.keys import (public_key, verify_signature)
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.delegation_chain import (
    checked_chain,
    holder_not_asked,
    status_not_asked,
    verified_chain,
)
from answerable.core.mandate.hop_signature import signature_fault
from answerable.core.mandate.hop_token import RawHop, UnverifiedHop, read_claims, read_hop, read_raw
from answerable.errors import Malformed, Unverified
from set_up import ROOT
from tests.vectors.attenu_ledgers import anchored_ledger, delegation_faults, ledger_faults

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
NOT_REFUSED_MAX = 13
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
    secret: dict[str, JSONValue] = {
        "kty": "oct",
        "k": to_base64url(bytes.fromhex(case["signer"]["secret_hex"])),
    }
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

TABLE = ROOT / "tests/vectors/attenu_guard.toml"
KNOWN = [case["bundle"]["entries"] for case in (*BUNDLES.values(), *ENVELOPES.values())]


def table(name: str) -> dict[str, dict[str, Any]]:
    """The rows of one set, by name of the case."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))[name]
    made = {row["name"]: row for row in rows}
    assert len(made) == len(rows), "a case is in the table twice"
    return made


def check_row(row: dict[str, Any], case: dict[str, Any], ours: set[str]) -> None:
    """A row says what was published, what ours says, and why where the two differ; and nothing else."""
    due = [one["reason"] for one in case["expect_failures"]]
    assert row["published"] == due
    assert row["ours"] == sorted(ours), "the table must say exactly what our verifiers say"
    assert bool(row.get("reason")) is (bool(due) and not ours), "what is not refused here says why, and only that"
    assert not (ours and not due), "what was published as sound is sound here"


@pytest.mark.requirement("DELEG-12")
@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_our_verifiers_say_of_each_bundle_what_the_table_says(name, tmp_path):
    case = BUNDLES[name]
    faults = delegation_faults(case["bundle"]["entries"])
    due = [(one["reason"], one["seq"]) for one in case["expect_failures"]]
    assert faults == [one for one in due if one[0] in ("monotonicity", "containment")], "where, and not only that"
    bundle = case["bundle"]
    ours = {word for word, _ in faults} | ledger_faults(bundle, anchored_ledger(bundle, KNOWN), tmp_path)
    check_row(table("bundle")[name], case, ours)


def envelope_faults(case: dict[str, Any]) -> list[str]:
    found: list[str] = []
    seen: set[int] = set()
    for envelope in case["bundle"].get("envelopes", []):
        if envelope["subject"]["seq"] in seen:
            continue  # A second one for the same entry is a fault whatever its signature is.
        seen.add(envelope["subject"]["seq"])
        witness = envelope["witness"]
        trusted = [
            one
            for one in case["witness_keys"]
            if (one["kid"], one["alg"]) == (witness["kid"], witness["alg"])
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
def test_our_verifiers_say_of_each_envelope_what_the_table_says(name, tmp_path):
    case = ENVELOPES[name]
    due = [
        one["reason"]
        for one in case["expect_failures"]
        if one["reason"] in ("envelope_unknown_witness", "envelope_non_canonical", "envelope_bad_signature")
    ]
    found = envelope_faults(case)
    assert found == due
    bundle = case["bundle"]
    assert delegation_faults(bundle["entries"]) == []
    ours = {*found, *ledger_faults(bundle, anchored_ledger(bundle, KNOWN), tmp_path)}
    check_row(table("envelope")[name], case, ours)


@pytest.mark.requirement("DELEG-12")
def test_every_case_of_the_four_sets_was_counted():
    counts = (len(OF_01), len(OF_02), len(BUNDLES), len(ENVELOPES))
    assert counts == (20, 35, 29, 19)
    assert table("bundle").keys() == BUNDLES.keys()
    assert table("envelope").keys() == ENVELOPES.keys()
    without = [row for name in ("bundle", "envelope") for row in table(name).values() if row.get("reason")]
    assert len(without) <= NOT_REFUSED_MAX, "the list of what ours does not refuse only shrinks"
