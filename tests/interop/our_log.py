"""A log of ours as strangers get it, and what somebody may do to a copy of it."""

from __future__ import annotations

import functools
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    reader_over,
    root_of,
)
from answerable.core.tlog.note import Note, VerifierKey, signed_note
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import (
    TILE_HEIGHT,
    TILE_WIDTH,
    encode_bundle,
    entries_path,
    tile_path,
    tiles_of,
)
from answerable.testing.contracts.ledger import log_key
from tests.interop.judges import Shown, ShownProof

ORIGIN = "ledger.example/agent-log-1"
WITNESS = "witness.example/w1"
COSIGNED_AT = 1_795_000_000

# More than 256 × 256 entries, so that there are three levels of tiles, and none of them ends at a full tile.
SIZE = 70_001
OLD_SIZE = 1_000
INDEX = 4_711


class OurLog:
    """Entries in memory: any of its states can be signed and published. Its key and its witness's protect nothing."""

    def __init__(self, entries: Sequence[bytes], origin: str = ORIGIN) -> None:
        self.entries = entries
        self.leaves = [leaf_hash(entry) for entry in entries]
        self.hash_at = reader_over(self.leaves)
        signer, self.sign = log_key(ORIGIN)
        self.key = VerifierKey.ed25519(origin, signer.public)
        self.witness = VerifierKey.ed25519_cosignature(WITNESS, log_key(WITNESS)[0].public)

    def checkpoint(self, size: int, *, cosigned: bool = False) -> bytes:
        """The signed checkpoint at this size."""
        text = Checkpoint(origin=self.key.name, size=size, root=root_of(self.leaves[:size])).text()
        note = signed_note(text, key=self.key, sign=self.sign)
        if cosigned:
            sign = log_key(WITNESS)[1]
            line = cosignature(text, key=self.witness, timestamp=COSIGNED_AT, sign=sign)
            note = Note(text=text, signatures=(*note.signatures, line))
        return note.encoded()

    def growth(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """The consistency proof between two sizes."""
        return consistency_proof(old_size=old_size, new_size=new_size, hash_at=self.hash_at)

    def proof(self, index: int, size: int) -> TlogProof:
        """The proof file of one entry, under the cosigned checkpoint."""
        hashes = inclusion_proof(index=index, size=size, hash_at=self.hash_at)
        return TlogProof(index=index, hashes=hashes, checkpoint=self.checkpoint(size, cosigned=True))

    def publish(self, directory: Path) -> None:
        """Write tiles, bundles and the cosigned checkpoint of all entries."""
        size = len(self.entries)
        for tile in tiles_of(size):
            first = tile.index * TILE_WIDTH
            if tile.level is None:
                content = encode_bundle(self.entries[first : first + tile.width])
            else:
                height = tile.level * TILE_HEIGHT
                content = b"".join(self.hash_at(height, first + place) for place in range(tile.width))
            path = directory / tile.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (directory / "checkpoint").write_bytes(self.checkpoint(size, cosigned=True))


@functools.cache
def big_log() -> OurLog:
    """The log that all of these tests are about."""
    return OurLog([f'{{"entry":{number},"v":2}}'.encode() for number in range(SIZE)])


# What may be done to a copy of the directory, or to what is said of it -------------------------------------------


def flipped(content: bytes, place: int) -> bytes:
    """With one bit of one byte changed."""
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)


def changed_file(name: str, change: Callable[[bytes], bytes]) -> Callable[[Shown], Shown]:
    """The copy with this file changed."""

    def tamper(shown: Shown) -> Shown:
        path = shown.directory / name
        before = path.read_bytes()
        after = change(before)
        assert after != before
        path.unlink()  # The copy may share its files with the original.
        path.write_bytes(after)
        return shown

    return tamper


def with_lattice_signatures(encoded: bytes) -> bytes:
    """The checkpoint signed with ML-DSA-44 as well, by the log and by its witness; the keys protect nothing."""
    note = Note.parse(encoded)
    added = []
    for line in note.signatures[:2]:
        private = MLDSA44PrivateKey.from_seed_bytes(sha256(line.name.encode()).digest())
        key = VerifierKey.ml_dsa_44(line.name, private.public_key().public_bytes_raw())
        added.append(cosignature(note.text, key=key, timestamp=COSIGNED_AT, sign=private.sign))
    return Note(text=note.text, signatures=(*added, *note.signatures)).encoded()


def changed_root(note: bytes) -> bytes:
    """A checkpoint with another root under the old signatures."""
    origin, size, root, *rest = note.split(b"\n")
    return b"\n".join((origin, size, b64encode(flipped(b64decode(root), 0)), *rest))


def changed_size(note: bytes) -> bytes:
    """A checkpoint that claims one entry less under the old signatures."""
    origin, size, *rest = note.split(b"\n")
    return b"\n".join((origin, str(int(size) - 1).encode(), *rest))


def changed_signature(line: int) -> Callable[[bytes], bytes]:
    """Changes the signature of one line: 0 is the log's, 1 the witness's."""

    def change(encoded: bytes) -> bytes:
        note = Note.parse(encoded)
        signatures = list(note.signatures)
        signatures[line] = replace(signatures[line], signature=flipped(signatures[line].signature, -1))
        return Note(text=note.text, signatures=tuple(signatures)).encoded()

    return change


def without_cosignature(encoded: bytes) -> bytes:
    """Only the log's own signature left."""
    note = Note.parse(encoded)
    return Note(text=note.text, signatures=note.signatures[:1]).encoded()


def signed_by_another(encoded: bytes) -> bytes:
    """Every line made anew with other keys, under the old names."""
    note = Note.parse(encoded)
    private = log_key("mallory.example")[1]
    other = log_key("mallory.example")[0].public
    forged = signed_note(note.text, key=VerifierKey.ed25519(note.signatures[0].name, other), sign=private)
    line = cosignature(
        note.text,
        key=VerifierKey.ed25519_cosignature(WITNESS, other),
        timestamp=COSIGNED_AT,
        sign=private,
    )
    return Note(text=note.text, signatures=(*forged.signatures, line)).encoded()


def with_stolen_key(shown: Shown) -> Shown:
    """The whole log rewritten with one entry changed, under the log's own key; no witness cosigned it."""
    entries = list(big_log().entries)
    entries[INDEX] = flipped(entries[INDEX], 0)
    rewritten, directory = OurLog(entries), shown.directory.with_name("rewritten")
    rewritten.publish(directory)
    (directory / "checkpoint").write_bytes(rewritten.checkpoint(SIZE))
    old = rewritten.checkpoint(OLD_SIZE)
    return replace(shown, directory=directory, entry=entries[INDEX], old=old)


def forked_past(shown: Shown) -> Shown:
    """An earlier checkpoint, well signed, of another history."""
    past = OurLog([flipped(entry, 0) for entry in big_log().entries[:OLD_SIZE]])
    return replace(shown, old=past.checkpoint(OLD_SIZE))


LEAF_TILE = tile_path(0, INDEX // TILE_WIDTH)
RIGHT_TILE = tile_path(1, 1, SIZE // TILE_WIDTH % TILE_WIDTH)
TOP_TILE = tile_path(2, 0, SIZE // TILE_WIDTH**2)
BUNDLE = entries_path(INDEX // TILE_WIDTH)
SIBLING = (INDEX % TILE_WIDTH ^ 1) * 32

TAMPERED: dict[str, Callable[[Shown], Shown]] = {
    "the entry": lambda shown: replace(shown, entry=flipped(shown.entry, 3)),
    "the place of the entry": lambda shown: replace(shown, index=shown.index + 1),
    "a place beyond the end": lambda shown: replace(shown, index=SIZE),
    "the entry's neighbour in its tile": changed_file(LEAF_TILE, lambda tile: flipped(tile, SIBLING)),
    "a tile of the second level": changed_file(RIGHT_TILE, lambda tile: flipped(tile, 0)),
    # Not on the way from INDEX to the root, so the question is another one.
    "a tile of the third level": lambda shown: changed_file(TOP_TILE, lambda tile: flipped(tile, 31))(
        replace(shown, index=SIZE - 1, entry=big_log().entries[-1])
    ),
    "a tile cut short": changed_file(LEAF_TILE, lambda tile: tile[:-32]),
    "the root in the checkpoint": changed_file("checkpoint", changed_root),
    "the size in the checkpoint": changed_file("checkpoint", changed_size),
    "the origin in the checkpoint": changed_file(
        "checkpoint", lambda note: note.replace(ORIGIN.encode(), b"ledger.example/other", 1)
    ),
    "the log's signature": changed_file("checkpoint", changed_signature(0)),
    "the signers": changed_file("checkpoint", signed_by_another),
    "the earlier checkpoint": forked_past,
    "the earlier checkpoint's root": lambda shown: replace(shown, old=changed_root(shown.old)),
}
# Only who asks for the witness's word can see these.
TAMPERED_COSIGNATURE: dict[str, Callable[[Shown], Shown]] = {
    "the cosignature": changed_file("checkpoint", changed_signature(1)),
    "no cosignature": changed_file("checkpoint", without_cosignature),
    "the whole log, with its stolen key": with_stolen_key,
}
# What only reading the whole log shows.
TAMPERED_STORE: dict[str, Callable[[Shown], Shown]] = {
    "an entry in its bundle": changed_file(BUNDLE, lambda bundle: flipped(bundle, 9)),
    "a bundle cut short": changed_file(BUNDLE, lambda bundle: bundle[:-1]),
    "a bundle with something after it": changed_file(BUNDLE, lambda bundle: bundle + b"\0\0"),
    "a hash that no proof of an entry asked for": changed_file(TOP_TILE, lambda tile: flipped(tile, 0)),
}


def _proof_changed(change: Callable[[TlogProof], TlogProof]) -> Callable[[ShownProof], ShownProof]:
    def tamper(shown: ShownProof) -> ShownProof:
        return replace(shown, proof=change(TlogProof.parse(shown.proof)).encoded())

    return tamper


def _other_hash(proof: TlogProof) -> TlogProof:
    return replace(proof, hashes=(flipped(proof.hashes[0], 0), *proof.hashes[1:]))


TAMPERED_PROOF: dict[str, Callable[[ShownProof], ShownProof]] = {
    "the entry": lambda shown: replace(shown, entry=flipped(shown.entry, 3)),
    "the index": _proof_changed(lambda proof: replace(proof, index=proof.index + 1)),
    "a hash": _proof_changed(_other_hash),
    "one hash less": _proof_changed(lambda proof: replace(proof, hashes=proof.hashes[:-1])),
    "one hash more": _proof_changed(lambda proof: replace(proof, hashes=(*proof.hashes, bytes(32)))),
    "the root": _proof_changed(lambda proof: replace(proof, checkpoint=changed_root(proof.checkpoint))),
    "the size": _proof_changed(lambda proof: replace(proof, checkpoint=changed_size(proof.checkpoint))),
    "the log's signature": _proof_changed(
        lambda proof: replace(proof, checkpoint=changed_signature(0)(proof.checkpoint))
    ),
    "the signers": _proof_changed(
        lambda proof: replace(proof, checkpoint=signed_by_another(proof.checkpoint))
    ),
}
TAMPERED_PROOF_COSIGNATURE: dict[str, Callable[[ShownProof], ShownProof]] = {
    "the cosignature": _proof_changed(
        lambda proof: replace(proof, checkpoint=changed_signature(1)(proof.checkpoint))
    ),
    "no cosignature": _proof_changed(
        lambda proof: replace(proof, checkpoint=without_cosignature(proof.checkpoint))
    ),
}
