"""Sunlight's test data: cosignatures by witnesses and a mirror, the mirror's tiles, and those of a real log."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.cosignature import verified_cosignatures
from answerable.core.tlog.merkle import inclusion_proof, root_of, verify_inclusion
from answerable.core.tlog.note import Note, VerifierKey
from answerable.core.tlog.policy import Policy, Witness, verified_checkpoint_under
from answerable.core.tlog.tile import (
    TileName,
    edge_from_tiles,
    hash_reader,
    parse_tile_path,
    tile_hashes,
    tiles_of,
    verified_hash_reader,
)
from answerable.errors import Malformed, Unverified
from tests.worlds.tlog import flipped, relined

LOG = "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706"
OTHER_LOG = "88ad7a28caeb0b2aa890fdf0304c2fcaf59fca2ee140134ff8c1300bac493482"
# Where each checkpoint lies, whose keys are beside it, and how many lines it has.
COSIGNED = {
    "witness": (f"witness/{LOG}/checkpoint", "witness/witness.v0.json", 2),
    "mirror": (f"witness/mirror/{LOG}/checkpoint", "witness/mirror/mirror.v0.json", 1),
    "witness2": (f"witness2/{OTHER_LOG}/checkpoint", "witness2/witness.v0.json", 1),
}


@pytest.fixture
def skylight(vector_set: Callable[[str], Path]) -> Path:
    return vector_set("sunlight") / "skylight"


def cosigned(skylight: Path, who: str) -> tuple[Note, VerifierKey]:
    checkpoint, keys, lines = COSIGNED[who]
    note = Note.parse((skylight / checkpoint).read_bytes())
    assert len(note.signatures) == lines
    (key,) = json.loads((skylight / keys).read_text())["verifier_keys"]
    return note, VerifierKey.parse(key)


@pytest.mark.requirement("TLOG-08")
@pytest.mark.parametrize("who", list(COSIGNED))
def test_the_cosignature_of_every_witness_verifies_and_no_changed_one_does(skylight: Path, who: str) -> None:
    note, key = cosigned(skylight, who)
    (found,) = verified_cosignatures(note, cosigners=[key])
    # 2025-12-31T00:00:00Z, as in the `final_tree_head` of the log.
    assert (found.cosigner, found.timestamp) == (key, 1_767_139_200)
    line = len(note.signatures) - 1
    for bit in range(72 * 8):
        with pytest.raises(Unverified):
            verified_cosignatures(
                relined(note, line, flipped(note.signatures[line].signature, bit)), cosigners=[key]
            )
    moved = Note(text=note.text.replace(b"\n300\n", b"\n299\n"), signatures=note.signatures)
    with pytest.raises(Unverified):
        verified_cosignatures(moved, cosigners=[key])
    # The cosignature is not one of the log, and the witness of one checkpoint did not cosign the others.
    with pytest.raises(Unverified):
        note.verify([key])
    for other in set(COSIGNED) - {who}:
        assert verified_cosignatures(note, cosigners=[cosigned(skylight, other)[1]]) == ()


@pytest.mark.requirement("TLOG-08")
@pytest.mark.parametrize("who", list(COSIGNED))
def test_the_witnesses_directories_are_named_by_the_hash_of_the_origin(skylight: Path, who: str) -> None:
    note, _ = cosigned(skylight, who)
    origin = Checkpoint.parse(note.text).origin
    assert Path(COSIGNED[who][0]).parent.name == sha256(origin.encode()).hexdigest()


@pytest.mark.requirement("TLOG-10")
def test_a_log_that_signs_in_a_type_we_do_not_verify_is_never_believed_for_its_witness(
    skylight: Path,
) -> None:
    note, witness = cosigned(skylight, "witness")
    origin = Checkpoint.parse(note.text).origin
    log = note.signatures[0]
    key = VerifierKey(name=log.name, key_id=log.key_id, kind=0x05, public=b"SPKI, DER")
    policy = Policy(witnesses=(Witness(name="w", key=witness),), quorum="w")
    for keys in ([], [key], [key, witness]):
        with pytest.raises((Unverified, Malformed)):
            verified_checkpoint(note.encoded(), origin=origin, log_keys=keys)
        with pytest.raises((Unverified, Malformed)):
            verified_checkpoint_under(note.encoded(), policy, origin=origin, log_keys=keys)


@pytest.mark.requirement("TLOG-07")
def test_every_entry_of_the_mirror_is_proven_under_the_root_that_it_cosigned(skylight: Path) -> None:
    note, key = cosigned(skylight, "mirror")
    assert verified_cosignatures(note, cosigners=[key])
    checkpoint = Checkpoint.parse(note.text)
    mirror = skylight / "witness" / "mirror" / LOG

    def read(name: TileName) -> bytes:
        return (mirror / name.path).read_bytes()

    found = {
        parse_tile_path(path.relative_to(mirror).as_posix())
        for path in (mirror / "tile").rglob("*")
        if path.is_file()
    }
    assert found == {name for name in tiles_of(300) if name.level is not None}
    assert edge_from_tiles(300, read).root() == checkpoint.root
    hash_at = verified_hash_reader(checkpoint.size, checkpoint.root, read)
    for index in range(300):
        proof = inclusion_proof(index=index, size=300, hash_at=hash_at)
        verify_inclusion(leaf=hash_at(0, index), index=index, size=300, proof=proof, root=checkpoint.root)
    # The witness's checkpoint has another root, and no tiles lead to it.
    other = Checkpoint.parse(cosigned(skylight, "witness")[0].text)
    assert (other.size, other.origin) == (checkpoint.size, checkpoint.origin)
    with pytest.raises(Unverified):
        verified_hash_reader(other.size, other.root, read)


@pytest.mark.requirement("TLOG-07")
def test_no_byte_of_the_mirrors_tiles_can_be_changed_without_being_seen(skylight: Path) -> None:
    root = Checkpoint.parse(cosigned(skylight, "mirror")[0].text).root
    mirror = skylight / "witness" / "mirror" / LOG
    tiles = {name: (mirror / name.path).read_bytes() for name in tiles_of(300) if name.level is not None}
    for name, content in tiles.items():
        for at in range(len(content)):
            changed = {**tiles, name: flipped(content, at * 8)}
            with pytest.raises(Unverified):
                verified_hash_reader(300, root, changed.__getitem__)(8 * (name.level or 0), name.index * 256)


@pytest.mark.requirement("TLOG-06")
@pytest.mark.parametrize("size", [1024, 778])
def test_the_leaf_tiles_of_a_real_log_lead_to_the_roots_that_others_computed(
    vector_set: Callable[[str], Path], size: int
) -> None:
    directory = vector_set("sunlight") / "navigli2025h2"
    computed = json.loads((vector_set("sunlight") / "expectations.json").read_text())["navigli2025h2"][
        "computed_not_published"
    ]

    def leaf_tile(name: TileName) -> bytes:
        return (directory / name.path).read_bytes()

    def read(name: TileName) -> bytes:
        if name.level == 0:
            return leaf_tile(name)
        # The set has no higher tiles: their hashes are the roots of the full ones below.
        below = (TileName(level=0, index=name.index * 256 + at) for at in range(name.width))
        return b"".join(root_of(tile_hashes(leaf_tile(one), width=256)) for one in below)

    root = b64decode(computed[f"root_at_{size}"])
    assert edge_from_tiles(size, read).root() == root
    verified = verified_hash_reader(size, root, read)
    trusted = hash_reader(size, read)
    for index in range(0, size, 7):
        proof = inclusion_proof(index=index, size=size, hash_at=verified)
        assert proof == inclusion_proof(index=index, size=size, hash_at=trusted)
        verify_inclusion(leaf=verified(0, index), index=index, size=size, proof=proof, root=root)


@pytest.mark.requirement("TLOG-06")
def test_only_the_leaf_tiles_of_a_static_ct_log_have_the_names_of_tiles(
    vector_set: Callable[[str], Path],
) -> None:
    directory = vector_set("sunlight") / "navigli2025h2"
    for path in directory.rglob("*"):
        if path.is_file():
            relative = path.relative_to(directory).as_posix()
            name = parse_tile_path(relative)
            assert (name is not None) == relative.startswith("tile/0/"), relative
            assert name is None or len(path.read_bytes()) == name.width * 32
