"""Sigsum's policies, whose format became C2SP tlog-policy, and its proofs, whose signatures are those of notes."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import Note, NoteSignature, VerifierKey
from answerable.core.tlog.policy import NONE, Log, Policy, Witness, parse_policy
from answerable.core.tlog.proof import TlogProof
from answerable.errors import Malformed, Unverified
from tests.worlds.tlog import flipped, relined

# Logs, witnesses, and for each group its threshold and the number of its members.
POLICIES = {
    "sigsum-generic-2025-1": (2, 3, {"quorum-rule": (2, 3)}),
    "sigsum-test-2025-3": (2, 8, {"glasklar-test-witnesses": (2, 3), "quorum-rule": (4, 6)}),
    "sigsum-test1-2025": (1, 3, {"quorum-rule": (2, 3)}),
    "sigsum-test2-2025": (1, 7, {"glasklar-test-witnesses": (2, 3), "quorum-rule": (4, 5)}),
}


def origin_of(public: bytes) -> str:
    """The origin line of a Sigsum log."""
    return f"sigsum.org/v1/tree/{sha256(public).hexdigest()}"


def in_c2sp(policy: str) -> str:
    """Sigsum writes bare keys in hex where C2SP has vkeys; nothing else differs."""

    def log(match: re.Match[str]) -> str:
        public = bytes.fromhex(match[2])
        return match[1] + VerifierKey.ed25519(origin_of(public), public).formatted()

    def witness(match: re.Match[str]) -> str:
        return match[1] + VerifierKey.ed25519_cosignature(match[2], bytes.fromhex(match[3])).formatted()

    policy = re.sub(r"(?m)^(log\s+)([0-9a-f]{64})\b", log, policy)
    return re.sub(r"(?m)^(witness\s+(\S+)\s+)([0-9a-f]{64})\b", witness, policy)


@pytest.mark.requirement("TLOG-10")
@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_is_read_once_its_keys_are_vkeys(vector_set: Callable[[str], Path], name: str) -> None:
    text = (vector_set("sigsum") / "policies" / f"{name}.policy.txt").read_text()
    with pytest.raises(Malformed):
        parse_policy(text.encode())
    policy = parse_policy(in_c2sp(text).encode())
    logs, witnesses, groups = POLICIES[name]
    assert (len(policy.logs), len(policy.witnesses)) == (logs, witnesses)
    assert {one.name: (one.threshold, len(one.members)) for one in policy.groups} == groups
    assert all(one.url is not None and one.url.startswith("https://") for one in policy.logs)
    assert all(one.url is None for one in policy.witnesses)
    assert parse_policy(policy.text()) == policy
    rule = next(one for one in policy.groups if one.name == policy.quorum)
    assert policy.is_met_by([one.key for one in policy.witnesses])
    direct = [one for one in rule.members if one not in groups]
    assert policy.is_met_by(direct) is (len(direct) >= rule.threshold)
    assert not policy.is_met_by(direct[: rule.threshold - 1])
    assert not policy.is_met_by([])


class SigsumProof:
    """A proof of version 2 with its keys, as the C2SP formats say the same."""

    def __init__(self, directory: Path, case: dict[str, Any]) -> None:
        lines = (directory / case["file"]).read_text().splitlines()
        fields: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition("=")
            fields.setdefault(name, []).append(value)
        public = ssh_key(case["logKey"])
        self.log = VerifierKey.ed25519(origin_of(public), public)
        text = Checkpoint(
            origin=self.log.name, size=int(fields["size"][0]), root=bytes.fromhex(fields["root_hash"][0])
        ).text()
        signatures = [
            NoteSignature(
                name=self.log.name,
                key_id=self.log.key_id,
                signature=bytes.fromhex(fields["signature"][0]),
            )
        ]
        self.witness: VerifierKey | None = None
        for cosignature in fields.get("cosignature", []):
            key_hash, timestamp, signature = cosignature.split(" ")
            self.witness = VerifierKey.ed25519_cosignature("witness.example", ssh_key(case["witnessKey"]))
            assert sha256(self.witness.public).hexdigest() == key_hash
            signatures.append(
                NoteSignature(
                    name=self.witness.name,
                    key_id=self.witness.key_id,
                    signature=int(timestamp).to_bytes(8, "big") + bytes.fromhex(signature),
                )
            )
        self.note = Note(text=text, signatures=tuple(signatures))
        key_hash, signature = fields["leaf"][0].split(" ")
        checksum = sha256(bytes.fromhex(case["message_hex"])).digest()
        self.leaf = leaf_hash(checksum + bytes.fromhex(signature) + bytes.fromhex(key_hash))
        self.proof = TlogProof(
            index=int(fields["leaf_index"][0]),
            hashes=tuple(bytes.fromhex(one) for one in fields["node_hash"]),
            checkpoint=self.note.encoded(),
        )


def ssh_key(text: str) -> bytes:
    return b64decode(text.split(" ")[1])[-32:]


def verifiable(vector_set: Callable[[str], Path]) -> dict[bool, SigsumProof]:
    """The two proofs whose keys are published, by whether they are cosigned."""
    directory = vector_set("sigsum")
    cases = json.loads((directory / "proofs.json").read_text())["proofs"]
    return {"witnessKey" in case: SigsumProof(directory, case) for case in cases if "logKey" in case}


@pytest.mark.requirement("TLOG-10")
def test_a_cosigned_proof_stands_under_a_policy_of_its_log_and_witness(
    vector_set: Callable[[str], Path],
) -> None:
    sigsum = verifiable(vector_set)[True]
    assert sigsum.witness is not None
    policy = Policy(
        logs=(Log(key=sigsum.log),), witnesses=(Witness(name="w", key=sigsum.witness),), quorum="w"
    )
    proof = TlogProof.parse(sigsum.proof.encoded())
    checkpoint, (cosigned,) = proof.verify_under(policy, leaf=sigsum.leaf, origin=sigsum.log.name)
    assert (checkpoint.size, cosigned.cosigner, cosigned.timestamp) == (4, sigsum.witness, 1683202758)
    for line, bit in ((line, bit) for line in (0, 1) for bit in range(0, 64 * 8, 5)):
        bad = relined(sigsum.note, line, flipped(sigsum.note.signatures[line].signature, bit))
        forged = TlogProof(index=proof.index, hashes=proof.hashes, checkpoint=bad.encoded())
        with pytest.raises(Unverified):
            forged.verify_under(policy, leaf=sigsum.leaf, origin=sigsum.log.name)
    with pytest.raises(Unverified):
        proof.verify_under(policy, leaf=leaf_hash(b"another"), origin=sigsum.log.name)


@pytest.mark.requirement("TLOG-10")
def test_a_proof_without_a_cosignature_stands_only_where_none_is_asked_for(
    vector_set: Callable[[str], Path],
) -> None:
    proofs = verifiable(vector_set)
    sigsum, witness = proofs[False], proofs[True].witness
    assert witness is not None
    nobody = Policy(logs=(Log(key=sigsum.log),), quorum=NONE)
    checkpoint, cosigned = sigsum.proof.verify_under(nobody, leaf=sigsum.leaf, origin=sigsum.log.name)
    assert (checkpoint.size, cosigned) == (4, ())
    somebody = Policy(logs=(Log(key=sigsum.log),), witnesses=(Witness(name="w", key=witness),), quorum="w")
    with pytest.raises(Unverified) as caught:
        sigsum.proof.verify_under(somebody, leaf=sigsum.leaf, origin=sigsum.log.name)
    assert caught.value.step == "checkpoint.quorum"
