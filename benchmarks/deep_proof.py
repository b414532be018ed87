"""A proof in a log of a billion entries: how large it is and what checking it costs, two witnesses included.

All leaves of the tree are alike, so that every complete subtree of a level has one hash and the tree need not be built;
the proof is as long, and as hard to check, as in any other tree of that size.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.merkle import inclusion_proof, leaf_hash, node_hash
from answerable.core.tlog.note import Note, VerifierKey, signed_note
from answerable.core.tlog.policy import parse_policy
from answerable.core.tlog.proof import TlogProof

SIZE = 10**9
CHECKS = 400


@dataclass(frozen=True, slots=True)
class DeepProof:
    """The most hashes and bytes of any proof looked at, and the median time of a check in milliseconds."""

    hashes: int
    size: int
    check_ms: float


def deep_proof() -> DeepProof:
    """Make and check proofs of entries all over the tree."""
    levels = [leaf_hash(b'{"v":2}')]
    while 2 ** len(levels) <= SIZE:
        levels.append(node_hash(levels[-1], levels[-1]))

    def hash_at(level: int, _: int) -> bytes:
        return levels[level]

    root = b""
    for level in (level for level in range(len(levels)) if SIZE >> level & 1):
        root = node_hash(levels[level], root) if root else levels[level]
    origin = "bench.example/deep"
    log, *witnesses = [Ed25519PrivateKey.generate() for _ in range(3)]
    key = VerifierKey.ed25519(origin, log.public_key().public_bytes_raw())
    keys = [
        VerifierKey.ed25519_cosignature(f"witness-{number}.example", private.public_key().public_bytes_raw())
        for number, private in enumerate(witnesses)
    ]
    text = Checkpoint(origin=origin, size=SIZE, root=root).text()
    signed = signed_note(text, key=key, sign=log.sign)
    cosigned = [
        cosignature(text, key=one, timestamp=1_795_000_000, sign=private.sign)
        for one, private in zip(keys, witnesses, strict=True)
    ]
    checkpoint = Note(text=text, signatures=(*signed.signatures, *cosigned)).encoded()
    lines = [f"log {key.formatted()}", *(f"witness w{n} {one.formatted()}" for n, one in enumerate(keys))]
    policy = parse_policy("\n".join([*lines, "group both all w0 w1", "quorum both", ""]).encode())
    chance = random.Random(9)
    spans, hashes, size = [], 0, 0
    for index in [0, SIZE - 1, *(chance.randrange(SIZE) for _ in range(CHECKS))]:
        path = inclusion_proof(index=index, size=SIZE, hash_at=hash_at)
        encoded = TlogProof(index=index, hashes=path, checkpoint=checkpoint).encoded()
        start = time.perf_counter()
        TlogProof.parse(encoded).verify_under(policy, leaf=levels[0], origin=origin)
        spans.append((time.perf_counter() - start) * 1000)
        hashes, size = max(hashes, len(path)), max(size, len(encoded))
    return DeepProof(hashes=hashes, size=size, check_ms=statistics.median(spans))
