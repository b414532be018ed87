"""Laws of witnessing: no changed cosignature counts, requests have one spelling, quorums are what their groups say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import Cosignature, verified_cosignatures
from answerable.core.tlog.cosigned import TIMESTAMP_MAX
from answerable.core.tlog.merkle import SIZE_MAX, leaf_hash
from answerable.core.tlog.note import Note, NoteSignature
from answerable.core.tlog.policy import (
    NONE,
    Group,
    Log,
    Policy,
    Witness,
    parse_policy,
    verified_checkpoint_under,
)
from answerable.core.tlog.witnessing import WITNESS_PROOF_HASHES_MAX, AddCheckpoint
from answerable.errors import Malformed, Unverified
from tests.worlds.tlog import (
    CHECKPOINT,
    LEAVES,
    ORIGIN,
    Signer,
    ed25519_log,
    ed25519_witness,
    flipped,
    ml_dsa_44,
    relined,
    signed_by,
)

LOG = ed25519_log()
ONE = ed25519_witness("witness.example/one")
LATTICE = ml_dsa_44("witness.example/lattice")
SIGNERS = st.sampled_from([ONE, LATTICE])

Read = TypeVar("Read")


def read_or_refused(parse: Callable[[bytes], Read], data: bytes) -> Read | None:
    try:
        return parse(data)
    except Malformed as fault:
        if "\n" in fault.message or len(fault.message) > 400:
            raise AssertionError(fault.message) from fault
        return None


# ---- cosignatures


@pytest.mark.requirement("TLOG-08")
@given(SIGNERS, st.integers(0, TIMESTAMP_MAX), st.integers(0, SIZE_MAX), st.binary(min_size=1, max_size=9))
def test_a_cosignature_says_who_and_when_about_this_tree_alone(
    signer: Signer, timestamp: int, size: int, entry: bytes
) -> None:
    text = Checkpoint(origin=ORIGIN, size=size or 1, root=leaf_hash(entry)).text()
    note = Note.parse(signed_by(LOG, signer, text=text, timestamp=timestamp).encoded())
    assert verified_cosignatures(note, cosigners=[signer.key]) == (
        Cosignature(cosigner=signer.key, timestamp=timestamp),
    )
    assume(text != CHECKPOINT.text())
    with pytest.raises(Unverified):
        verified_cosignatures(
            Note(text=CHECKPOINT.text(), signatures=note.signatures), cosigners=[signer.key]
        )


@pytest.mark.requirement("TLOG-08")
@given(SIGNERS, st.data())
def test_a_flipped_bit_of_a_cosignature_or_its_time_rejects_the_checkpoint(
    signer: Signer, data: st.DataObject
) -> None:
    note = signed_by(LOG, signer)
    good = note.signatures[1].signature
    bit = data.draw(st.one_of(st.integers(0, 63), st.integers(0, len(good) * 8 - 1)))
    with pytest.raises(Unverified):
        verified_cosignatures(relined(note, 1, flipped(good, bit)), cosigners=[signer.key])


@pytest.mark.requirement("TLOG-08")
@given(SIGNERS, st.binary(min_size=1, max_size=100), st.data())
def test_no_bytes_under_a_known_key_raise_anything_but_unverified(
    signer: Signer, signature: bytes, data: st.DataObject
) -> None:
    text = data.draw(st.one_of(st.just(CHECKPOINT.text()), st.binary(max_size=40)))
    with pytest.raises(Unverified):
        signer.key.verify(text, signature)


# ---- requests


NOTES = st.sampled_from([signed_by(LOG).encoded(), signed_by(LOG, ONE, LATTICE).encoded()])
REQUESTS = st.builds(
    AddCheckpoint,
    old_size=st.integers(0, SIZE_MAX),
    proof=st.lists(st.sampled_from(LEAVES), max_size=WITNESS_PROOF_HASHES_MAX).map(tuple),
    checkpoint=NOTES,
)


@pytest.mark.requirement("TLOG-09")
@given(REQUESTS, st.data())
def test_a_request_is_read_back_and_an_edited_one_is_in_its_one_spelling_or_refused(
    request: AddCheckpoint, data: st.DataObject
) -> None:
    body = request.encoded()
    assert AddCheckpoint.parse(body) == request
    at = data.draw(st.integers(0, min(len(body), 300)))
    for changed in (
        body[:at] + data.draw(st.sampled_from([b"\n", b" ", b"=", b"0", b"\xff"])) + body[at:],
        body[:at] + body[at + 1 :],
        body[at:],
    ):
        read = read_or_refused(AddCheckpoint.parse, changed)
        assert read is None or read.encoded() == changed


# ---- policies


WORDS = st.one_of(
    st.sampled_from(["all", "any", "1", "witness", "group", "#", "è", "\u00a0", "\udcff", "K", "\u212a"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" "), min_size=1, max_size=6),
).filter(lambda word: word != NONE)
URLS = st.one_of(st.none(), WORDS)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    names = draw(st.lists(WORDS, min_size=1, max_size=9, unique=True))
    count = draw(st.integers(1, len(names)))
    witnesses = tuple(
        Witness(
            name=name,
            key=(ml_dsa_44 if at == 1 else ed25519_witness)(f"w/{at}").key,
            url=draw(URLS),
        )
        for at, name in enumerate(names[:count])
    )
    free, groups = list(names[:count]), list[Group]()
    for name in names[count:]:
        if not free:
            break
        members = draw(st.lists(st.sampled_from(free), min_size=1, max_size=4, unique=True))
        groups.append(Group(name=name, threshold=draw(st.integers(1, len(members))), members=tuple(members)))
        free = [one for one in free if one not in members] + [name]
    defined = [*names[:count], *(group.name for group in groups), NONE]
    logs = draw(
        st.lists(st.sampled_from([LOG, ed25519_log("log/2"), ml_dsa_44(ORIGIN)]), max_size=3, unique=True)
    )
    return Policy(
        logs=tuple(Log(key=one.key, url=draw(URLS)) for one in logs),
        witnesses=witnesses,
        groups=tuple(groups),
        quorum=draw(st.sampled_from(defined)),
    )


def model(policy: Policy, name: str, cosigned: set[str]) -> bool:
    """The definition: a witness counts if it cosigned, a group if enough of its members count."""
    for group in policy.groups:
        if group.name == name:
            return [model(policy, member, cosigned) for member in group.members].count(
                True
            ) >= group.threshold
    return name == NONE or name in cosigned


@pytest.mark.requirement("TLOG-10")
@given(policies())
def test_a_policy_is_read_back(policy: Policy) -> None:
    assert parse_policy(policy.text()) == policy
    noisy = b"".join(
        b"# x\n \t\n\t" + line.replace(b" ", b" \t ") + b" \n" for line in policy.text().splitlines()
    )
    assert parse_policy(noisy) == policy


@pytest.mark.requirement("TLOG-10")
@given(policies(), st.data())
def test_a_quorum_is_what_its_groups_say_and_more_cosignatures_never_lose_it(
    policy: Policy, data: st.DataObject
) -> None:
    cosigned = set(data.draw(st.lists(st.sampled_from([one.name for one in policy.witnesses]))))
    keys = [one.key for one in policy.witnesses if one.name in cosigned]
    met = policy.is_met_by(keys)
    assert met == policy.is_met_by(cosigned) == model(policy, policy.quorum, cosigned)
    more = [*keys, data.draw(st.sampled_from(policy.witnesses)).key]
    assert policy.is_met_by(more) or not met
    said = policy.explain(keys)
    assert (" is not met: " in said) is not met
    assert "\n" not in said


@pytest.mark.requirement("TLOG-10")
@given(policies(), st.data())
def test_a_checkpoint_is_accepted_under_a_policy_exactly_when_a_log_signed_and_a_quorum_cosigned(
    policy: Policy, data: st.DataObject
) -> None:
    # ML-DSA-44 takes long to sign with; the laws of quorums do not depend on it.
    able = [one for one in policy.witnesses if one.key.name != "w/1"]
    cosigned = data.draw(st.lists(st.sampled_from(able), max_size=4, unique=True))
    lines: list[NoteSignature] = [ed25519_witness(one.key.name).line(CHECKPOINT.text()) for one in cosigned]
    is_signed = data.draw(st.booleans())
    signer = LOG if is_signed else ed25519_log("log/2")
    lines.insert(data.draw(st.integers(0, len(lines))), signer.line(CHECKPOINT.text()))
    encoded = Note(text=CHECKPOINT.text(), signatures=tuple(lines)).encoded()
    known = not policy.logs or LOG.key in [one.key for one in policy.logs]
    expected = is_signed and known and model(policy, policy.quorum, {one.name for one in cosigned})
    try:
        _, found = verified_checkpoint_under(encoded, policy, origin=ORIGIN, log_keys=[LOG.key])
    except Unverified:
        assert not expected
        return
    assert expected
    assert {one.cosigner for one in found} == {one.key for one in cosigned}


POLICY_PIECES = st.sampled_from(
    [
        b"log", b"witness", b"group", b"quorum", b" ", b"\t", b"\n", b"#", b"none", b"all", b"any", b"1", b"2", b"01",
        b"w", b"g",
        b"\xff", b"\x00", b"\r", LOG.key.formatted().encode(), ONE.key.formatted().encode(),
        b"witness w " + ONE.key.formatted().encode() + b"\n", b"group g 1 w\n", b"quorum g\n", b"quorum none\n",
    ]
)  # fmt: skip


@pytest.mark.requirement("TLOG-10")
@given(st.one_of(st.binary(max_size=60), st.lists(POLICY_PIECES, max_size=16).map(b"".join)))
def test_any_bytes_are_a_policy_that_is_read_back_or_refused(data: bytes) -> None:
    policy = read_or_refused(parse_policy, data)
    assert policy is None or parse_policy(policy.text()) == policy
