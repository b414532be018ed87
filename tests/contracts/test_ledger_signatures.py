"""Who signs checkpoints beside the log's first key: a second key of the log, and witnesses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.adapters.tlog_files import SecondKey, TlogFilesLedger
from answerable.adapters.tlog_files.tiles import TileFiles
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import cosignature, verified_cosignatures
from answerable.core.tlog.note import Note, VerifierKey, signed_note
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import verified_hash_reader
from answerable.errors import Broken, Malformed, Unavailable, Unverified
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import ORIGIN, log_key, refusal_entry
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger_files import SMALL, checkpoint_of, grown, small_log

WITNESS = Ed25519PrivateKey.from_private_bytes(sha256(b"a witness").digest())
WITNESS_KEY = VerifierKey.ed25519_cosignature("witness.example/unit", WITNESS.public_key().public_bytes_raw())


def second_key(name: str = ORIGIN, seed: int = 1) -> SecondKey:
    private = MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)
    return SecondKey(
        key=VerifierKey.ml_dsa_44(name, private.public_key().public_bytes_raw()), sign=private.sign
    )


def doubly_signed(path: Path, second: SecondKey | None) -> TlogFilesLedger:
    key, sign = log_key()
    return TlogFilesLedger.open(path, key=key, sign=sign, clock=ManualClock(), settings=SMALL, second=second)


@pytest.mark.requirement("LEDGER-17")
def test_a_second_key_signs_beside_the_first_and_either_is_enough_for_a_reader(tmp_path: Path) -> None:
    key, second = log_key()[0], second_key()

    async def run() -> None:
        await doubly_signed(tmp_path / "log", None).close()
        assert (tmp_path / "log/log.pub").read_text() == f"{key.formatted()}\n"
        async with doubly_signed(tmp_path / "log", second) as ledger:
            await ledger.append(refusal_entry(1))
            note = Note.parse(ledger.seal().encode())
            assert note.verify((key, second.key)) == (key, second.key)
            assert note.verify((second.key,)) == (second.key,)
        assert (tmp_path / "log/log.pub").read_text() == f"{key.formatted()}\n{second.key.formatted()}\n"
        report = verify_ledger(tmp_path / "log", key=key)
        assert (report.errors, report.warnings) == (0, 0), report.as_lines()
        async with doubly_signed(tmp_path / "log", None) as ledger:
            await ledger.append(refusal_entry(2))
            assert Note.parse(ledger.seal().encode()).verify((key, second.key)) == (key,)
        with pytest.raises(Broken) as refused:
            doubly_signed(tmp_path / "log", second_key(seed=2))
        assert refused.value.code == "ledger.key_mismatch"
        await doubly_signed(tmp_path / "log", second).close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-17")
def test_a_second_key_of_another_kind_or_name_is_refused(tmp_path: Path) -> None:
    key, sign = log_key()
    with pytest.raises(Malformed):
        SecondKey(key=key, sign=sign)
    with pytest.raises(Malformed):
        doubly_signed(tmp_path / "log", second_key("ledger.example/other"))


@pytest.mark.requirement("LEDGER-17")
def test_a_second_signer_that_does_not_sign_keeps_the_checkpoint_back(tmp_path: Path) -> None:
    second = second_key()
    wrong = SecondKey(key=second.key, sign=lambda text: bytes(2420))

    async def run() -> None:
        with pytest.raises(Unverified):
            doubly_signed(tmp_path / "log", wrong)
        async with doubly_signed(tmp_path / "log", second) as ledger:
            assert checkpoint_of(ledger).size == ledger.size

    asyncio.run(run())


def cosigned(note: str, *, seconds: int = 1_795_000_000, more: tuple[bytes, ...] = ()) -> bytes:
    parsed = Note.parse(note.encode())
    signatures = list(parsed.signatures)
    for private in (WITNESS, *(Ed25519PrivateKey.from_private_bytes(one) for one in more)):
        key = VerifierKey.ed25519_cosignature(WITNESS_KEY.name, private.public_key().public_bytes_raw())
        signatures.append(cosignature(parsed.text, key=key, timestamp=seconds, sign=private.sign))
    return Note(text=parsed.text, signatures=tuple(signatures)).encoded()


@pytest.mark.requirement("LEDGER-18")
def test_a_cosigned_checkpoint_is_published_and_proofs_are_under_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            assert ledger.cosigned == ""
            await grown(ledger, 270)
            early = ledger.seal()
            await grown(ledger, 300)
            ledger.seal()
            ledger.publish_cosigned(cosigned(early))
            assert (tmp_path / "log/cosigned").read_bytes() == ledger.cosigned.encode() == cosigned(early)
            proof = TlogProof.parse(ledger.inclusion_proof(260).encode())
            assert verified_cosignatures(Note.parse(proof.checkpoint), cosigners=(WITNESS_KEY,))
            stored = ledger.entry(260)
            under = proof.verify(leaf=stored.leaf_hash, origin=ORIGIN, log_keys=(log_key()[0],))
            assert under.size == 270
            beyond = TlogProof.parse(ledger.inclusion_proof(299).encode())
            assert Checkpoint.parse(Note.parse(beyond.checkpoint).text).size == 300
        async with small_log(tmp_path / "log") as again:
            assert again.cosigned.encode() == cosigned(early)

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert report.errors == 0, report.as_lines()


@pytest.mark.requirement("LEDGER-18")
def test_what_is_published_as_cosigned_only_grows(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            early = ledger.seal()
            await grown(ledger, 5)
            late = ledger.seal()
            ledger.publish_cosigned(cosigned(late))
            history = (tmp_path / "log/cosigned.log").read_bytes()
            for old in (cosigned(early), cosigned(late), cosigned(late, seconds=1), late.encode()):
                ledger.publish_cosigned(old)
                assert ledger.cosigned.encode() == cosigned(late)
            assert (tmp_path / "log/cosigned.log").read_bytes() == history
            both = cosigned(late, more=(bytes(32),))
            ledger.publish_cosigned(both)
            assert ledger.cosigned.encode() == both
            assert (tmp_path / "log/cosigned.log").read_bytes() == history + both + b"\n"

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-18")
def test_only_checkpoints_of_this_log_are_published_as_cosigned(tmp_path: Path) -> None:
    key, sign = log_key()
    other_key, other_sign = log_key("ledger.example/other")

    def note(size: int, root: bytes, *, origin: str = ORIGIN, forged: bool = False) -> bytes:
        text = Checkpoint(origin=origin, size=size, root=root).text()
        used = (other_key, other_sign) if forged else (key, sign)
        return signed_note(text, key=used[0], sign=used[1]).encoded()

    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await grown(ledger, 300)
            ledger.seal()
            root = checkpoint_of(ledger).root
            for wrong in (
                note(300, bytes(32)),
                note(299, root),
                note(1, root),
                note(301, root),
                note(300, root, origin="ledger.example/other"),
                note(300, root, forged=True),
                note(0, sha256(b"").digest()),
            ):
                with pytest.raises(Unverified):
                    ledger.publish_cosigned(wrong)
            with pytest.raises(Malformed):
                ledger.publish_cosigned(b"rubbish")
            assert ledger.cosigned == ""
            assert not (tmp_path / "log/cosigned").exists()
            # Between two checkpoints, but a true prefix: tiles tell.
            true = verified_hash_reader(300, root, TileFiles(tmp_path / "log").read)
            assert true(0, 0) == ledger.entry(0).leaf_hash
            ledger.publish_cosigned(note(1, true(0, 0)))
            assert ledger.cosigned
        with pytest.raises(Unavailable):
            ledger.publish_cosigned(note(300, root))

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-18")
def test_a_cosigned_checkpoint_of_a_longer_log_keeps_this_one_shut(tmp_path: Path) -> None:
    """Everything of the log was rolled back but what the witness signed."""
    key, sign = log_key()

    async def run() -> None:
        await small_log(tmp_path / "log").close()
        text = Checkpoint(origin=ORIGIN, size=9, root=bytes(32)).text()
        note = cosigned(signed_note(text, key=key, sign=sign).encoded().decode())
        for name, content in (("cosigned", note), ("cosigned.log", note + b"\n"), ("cosigned", b"rubbish")):
            path = tmp_path / "log" / name
            path.write_bytes(content)
            with pytest.raises(Broken):
                small_log(tmp_path / "log")
            path.unlink()
        await small_log(tmp_path / "log").close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-13")
def test_a_log_that_was_moved_without_its_keys_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    own, sign = log_key()
    other, other_sign = log_key("log.example/another")

    def opened(key: VerifierKey, by: Callable[[bytes], bytes]) -> TlogFilesLedger:
        return TlogFilesLedger.open(tmp_path / "log", key=key, sign=by, clock=ManualClock(), settings=SMALL)

    async def run() -> None:
        await opened(own, sign).close()
        with pytest.raises(Broken) as refused:
            opened(other, other_sign)
        assert refused.value.code == "ledger.key_mismatch"
        assert own.formatted() in refused.value.message
        assert other.formatted() in refused.value.message
        assert "moved or copied" in refused.value.message
        await opened(own, sign).close()

    asyncio.run(run())
