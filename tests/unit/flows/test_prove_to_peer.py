"""An entry proved under the log of logs, and everything that must not pass for such a proof."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.ledger.shard_proof import ShardProof
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import Note, VerifierKey
from answerable.core.tlog.policy import parse_policy
from answerable.errors import Malformed, Unverified
from answerable.flows.ledger.publish_set_checkpoint import Covering
from answerable.flows.workloads.prove_to_peer import prove_to_peer
from answerable.testing.clock import START, ManualClock
from tests.worlds.shard import BASE, ShownLog, heads_ledger, key_of, shown_heads

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SHARD-06")]

HEADS = f"{BASE}/heads"
HEADS_KEY = key_of(HEADS)[0]


async def covered(*rounds: tuple[ShownLog, ...]) -> ShownLog:
    """The log of logs after these rounds, as strangers see it."""
    ledger, keeper = heads_ledger(), Covering(base=BASE, clock=ManualClock())
    await keeper.recall(ledger)
    for shards in rounds:
        await keeper.cover(ledger, shards)
    return shown_heads(ledger)


def checked(proof: ShardProof, entry: bytes):
    return proof.verify(leaf=leaf_hash(entry), origin=HEADS, log_keys=[HEADS_KEY])


async def test_every_covered_entry_is_proved_with_the_key_of_the_log_of_logs_alone():
    a, b = ShownLog("a").grown(7), ShownLog("b").grown(3)
    heads = await covered((a, b))
    a.grown(5)
    for log, count in ((a, 7), (b, 3)):
        for index in range(count):
            proof = prove_to_peer(index, shard=log, heads=heads)
            assert checked(proof, log.entries[index]).size == len(heads.entries)


async def test_what_no_head_covers_is_not_proved():
    a, b = ShownLog("a").grown(7), ShownLog("b").grown(1)
    heads = await covered((a,))
    a.grown(1)
    for log, index in ((a, 7), (b, 0)):
        with pytest.raises(Malformed) as told:
            prove_to_peer(index, shard=log, heads=heads)
        assert told.value.code == "proof.index_range"
    with pytest.raises(Malformed):
        prove_to_peer(0, shard=a, heads=ShownLog("heads"))


async def test_another_entry_another_log_and_another_key_are_refused():
    a = ShownLog("a").grown(7)
    proof = prove_to_peer(4, shard=a, heads=await covered((a,)))
    with pytest.raises(Unverified):
        checked(proof, a.entries[5])
    with pytest.raises(Unverified):
        proof.verify(leaf=leaf_hash(a.entries[4]), origin=f"{BASE}/other", log_keys=[HEADS_KEY])
    with pytest.raises(Unverified):
        proof.verify(leaf=leaf_hash(a.entries[4]), origin=HEADS, log_keys=[key_of(HEADS, "new")[0]])


async def test_a_proof_against_another_checkpoint_of_the_shard_is_refused():
    a = ShownLog("a").grown(7)
    heads = await covered((a,))
    proof = prove_to_peer(4, shard=a, heads=heads)
    a.grown(2)
    assert a.note is not None
    later = replace(proof, entry=a.inclusion_proof(4, a.note))
    with pytest.raises(Unverified) as told:
        checked(later, a.entries[4])
    assert told.value.code == "shard.other_checkpoint"


async def test_a_shard_nobody_covered_does_not_pass_under_the_head_of_another():
    a, forged = ShownLog("a").grown(7), ShownLog("a", salt="new").grown(7, mark="other ")
    proof = prove_to_peer(4, shard=a, heads=await covered((a,)))
    assert forged.note is not None
    other = replace(proof, entry=forged.inclusion_proof(4, forged.note))
    with pytest.raises(Unverified):
        checked(other, forged.entries[4])


async def test_an_entry_of_another_kind_is_no_head():
    a = ShownLog("a").grown(7)
    heads = await covered((a,))
    proof = prove_to_peer(4, shard=a, heads=heads)
    note = heads.checkpoint()
    assert note is not None
    genesis = replace(proof, head=heads.entries[0], under=heads.inclusion_proof(0, note))
    with pytest.raises(Malformed) as told:
        checked(genesis, a.entries[4])
    assert told.value.code == "shard.head"


async def test_a_head_that_is_none_is_passed_over():
    a = ShownLog("a").grown(7)
    heads = await covered((a,))
    heads.entries += [b'{"tag":21}']
    assert checked(prove_to_peer(4, shard=a, heads=heads.signed()), a.entries[4]).size == len(heads.entries)


async def test_the_proof_is_under_what_witnesses_cosigned_if_that_covers_the_head():
    a = ShownLog("a").grown(7)
    heads = await covered((a,))
    key, signer = key_of("witness.example")
    witness = VerifierKey.ed25519_cosignature("witness.example", key.public)
    note = Note.parse(heads.checkpoint() or b"")
    line = cosignature(note.text, key=witness, timestamp=START // 1000, sign=signer.sign)
    heads.cosigned_note = Note(text=note.text, signatures=(*note.signatures, line)).encoded()
    policy = parse_policy(
        f"log {HEADS_KEY.formatted()}\nwitness w {witness.formatted()}\nquorum w\n".encode()
    )
    heads.entries.append(b"{}")
    heads.signed()
    proof = prove_to_peer(4, shard=a, heads=heads)
    checkpoint, cosigners = proof.verify_under(policy, leaf=leaf_hash(a.entries[4]), origin=HEADS)
    assert checkpoint.size == len(heads.entries) - 1
    assert [one.cosigner for one in cosigners] == [witness]
    heads.cosigned_note = None
    with pytest.raises(Unverified):
        prove_to_peer(4, shard=a, heads=heads).verify_under(
            policy, leaf=leaf_hash(a.entries[4]), origin=HEADS
        )
