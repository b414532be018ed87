"""Attacks on quorums: checkpoints that too few, the wrong ones, or nobody cosigned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import Cosignature
from answerable.core.tlog.note import Note
from answerable.core.tlog.policy import (
    NONE,
    WITNESSES_MAX,
    Group,
    Log,
    Policy,
    Witness,
    verified_checkpoint_under,
)
from answerable.errors import Unverified
from tests.worlds.tlog import (
    CHECKPOINT,
    NOW,
    ORIGIN,
    ed25519_log,
    ed25519_witness,
    failed_step,
    malformed_code,
    ml_dsa_44,
    relined,
    signed_by,
)

LOG = ed25519_log()
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
SIGNERS = {name: ed25519_witness(f"witness.example/{name}") for name in NAMES}
LATTICE = ml_dsa_44("witness.example/lattice")
POLICY = Policy(
    logs=(Log(key=LOG.key),),
    witnesses=tuple(Witness(name=name, key=SIGNERS[name].key) for name in NAMES),
    groups=(
        Group(name="X-witnesses", threshold=2, members=("X1", "X2", "X3")),
        Group(name="Y-witnesses", threshold=1, members=("Y1", "Y2", "Y3")),
        Group(name="X-and-Y", threshold=2, members=("X-witnesses", "Y-witnesses")),
    ),
    quorum="X-and-Y",
)


@pytest.mark.parametrize(
    ("names", "met"),
    [
        ([], False),
        (["X1", "X2", "Y1"], True),
        (["X1", "X3", "Y3", "X2"], True),
        (["X1", "X2", "X3"], False),
        (["X1", "Y1", "Y2", "Y3"], False),
        (["X1", "X1", "Y1"], False),
        (["X-witnesses", "Y-witnesses", "X-and-Y", "none"], False),
        (["X1", "X2", "Y1", "a stranger"], True),
    ],
)
def test_the_quorum_is_met_by_enough_witnesses_of_each_group(names: list[str], met: bool) -> None:
    assert POLICY.is_met_by(names) is met
    keys = [SIGNERS[name].key for name in names if name in SIGNERS]
    assert POLICY.is_met_by(keys) is met
    assert POLICY.is_met_by([*keys, *names, LOG.key, LATTICE.key]) is met
    assert POLICY.explain(keys).endswith("is met") is met


def test_a_single_witness_can_be_the_quorum() -> None:
    policy = replace(POLICY, quorum="Y2")
    assert policy.is_met_by([SIGNERS["Y2"].key])
    assert not policy.is_met_by([one.key for name, one in SIGNERS.items() if name != "Y2"])
    assert policy.explain([]) == "quorum `Y2` is not met: `Y2` has not cosigned"


def test_no_quorum_is_met_by_nobody() -> None:
    policy = Policy(quorum=NONE)
    assert policy.is_met_by([])
    assert policy.explain([]) == "no cosignature is needed"


def test_what_is_missing_is_said_in_one_bounded_line() -> None:
    assert POLICY.explain(["X3"]) == (
        "quorum `X-and-Y` is not met: `X-and-Y` has 0 of the 2 it needs; `X-witnesses` has 1 of the 2 it needs; "
        "`Y-witnesses` has 0 of the 1 it needs; `X1` has not cosigned; `X2` has not cosigned; `Y1` has not cosigned; "
        "`Y2` has not cosigned; `Y3` has not cosigned"
    )
    names = [f"{'long' * 50}{at}" for at in range(WITNESSES_MAX)]
    wide = Policy(
        witnesses=tuple(Witness(name=name, key=ed25519_witness(f"w/{name}").key) for name in names),
        groups=(Group(name="g", threshold=len(names), members=tuple(names)),),
        quorum="g",
    )
    said = wide.explain(names[1:10])
    assert said.endswith("and 240 more")
    assert len(said) < 1500
    assert "\n" not in said


# ---- checkpoints under a policy


def cosigned(*names: str) -> bytes:
    return signed_by(LOG, *(SIGNERS[name] for name in names)).encoded()


def under(encoded: bytes, policy: Policy = POLICY, **changed: Any) -> Callable[[], object]:
    return partial(verified_checkpoint_under, encoded, policy, **{"origin": ORIGIN, **changed})


def test_a_checkpoint_that_a_quorum_cosigned_is_accepted_and_says_who_and_when() -> None:
    assert under(cosigned("Y1", "X1", "X2"))() == (
        CHECKPOINT,
        tuple(Cosignature(cosigner=SIGNERS[name].key, timestamp=NOW) for name in ("Y1", "X1", "X2")),
    )


def test_a_checkpoint_that_too_few_cosigned_is_refused_and_says_what_is_missing() -> None:
    for names in ((), ("X1", "X2"), ("X1", "Y1"), ("X1", "X1", "Y1")):
        assert failed_step(under(cosigned(*names))) == "checkpoint.quorum"
    with pytest.raises(Unverified, match="`X-witnesses` has 1 of the 2 it needs") as caught:
        under(cosigned("X1", "Y1"))()
    assert caught.value.code == "checkpoint.quorum_unmet"


def test_strangers_cosignatures_count_for_nothing() -> None:
    strangers = [ed25519_witness(f"stranger/{at}") for at in range(5)]
    same_names = [ed25519_witness(SIGNERS[name].key.name + "x") for name in NAMES]
    note = signed_by(LOG, SIGNERS["X1"], SIGNERS["Y1"], *strangers, *same_names, LATTICE)
    assert failed_step(under(note.encoded())) == "checkpoint.quorum"


def test_a_bad_cosignature_by_a_known_witness_refuses_even_with_a_quorum_of_others() -> None:
    note = signed_by(LOG, SIGNERS["X1"], SIGNERS["X2"], SIGNERS["Y1"], SIGNERS["Y2"])
    bad = relined(note, 4, bytes(72))
    assert failed_step(under(bad.encoded())) == "note.signature"


def test_the_logs_own_signature_is_needed_whoever_cosigned() -> None:
    witnesses = [SIGNERS[name] for name in NAMES]
    assert failed_step(under(signed_by(*witnesses).encoded())) == "note.signer"
    stranger = ed25519_log("ledger.example/two")
    assert failed_step(under(signed_by(stranger, *witnesses).encoded())) == "note.signer"


def test_only_a_log_of_the_policy_with_that_origin_is_believed() -> None:
    other = ed25519_log("ledger.example/two")
    both = replace(POLICY, logs=(*POLICY.logs, Log(key=other.key)), groups=(), quorum=NONE)
    text = Checkpoint(origin=other.key.name, size=CHECKPOINT.size, root=CHECKPOINT.root).text()
    by_other = signed_by(other, text=text).encoded()
    assert under(by_other, both, origin=other.key.name)() == (Checkpoint.parse(text), ())
    # One log of the policy cannot speak for another, nor its checkpoint pass for the other's.
    assert failed_step(under(by_other, both)) == "note.signer"
    assert failed_step(under(signed_by(other).encoded(), both)) == "note.signer"
    assert failed_step(under(signed_by(LOG, text=text).encoded(), both)) == "checkpoint.origin"
    assert failed_step(under(by_other, both, origin="ledger.example/three")) == "note.signer"
    # Keys known from elsewhere do not add to the logs that a policy lists.
    only = replace(both, logs=POLICY.logs)
    assert failed_step(under(by_other, only, origin=other.key.name, log_keys=[other.key])) == "note.signer"


def test_a_policy_without_logs_takes_the_keys_known_from_elsewhere() -> None:
    without = replace(POLICY, logs=())
    encoded = cosigned("X1", "X2", "Y1")
    assert failed_step(under(encoded, without)) == "note.signer"
    checkpoint, cosignatures = verified_checkpoint_under(encoded, without, origin=ORIGIN, log_keys=[LOG.key])
    assert (checkpoint, len(cosignatures)) == (CHECKPOINT, 3)


def test_a_logs_signature_never_counts_as_that_of_a_witness() -> None:
    own = ml_dsa_44(ORIGIN)
    policy = Policy(witnesses=(Witness(name="w", key=own.key),), quorum="w")
    encoded = signed_by(own).encoded()
    assert malformed_code(under(encoded, policy, log_keys=[own.key])) == "policy.key_twice"
    assert malformed_code(under(encoded, policy, log_keys=[LOG.key, own.key])) == "policy.key_twice"
    assert failed_step(under(encoded, policy, log_keys=[LOG.key])) == "note.signer"


def test_a_checkpoint_of_ml_dsa_44_keys_alone_is_accepted_where_the_policy_says_so() -> None:
    own = ml_dsa_44(ORIGIN)
    policy = Policy(logs=(Log(key=own.key),), witnesses=(Witness(name="w", key=LATTICE.key),), quorum="w")
    encoded = signed_by(own, LATTICE).encoded()
    assert under(encoded, policy)() == (CHECKPOINT, (Cosignature(cosigner=LATTICE.key, timestamp=NOW),))
    assert failed_step(under(signed_by(own).encoded(), policy)) == "checkpoint.quorum"


def test_what_is_no_checkpoint_is_malformed_under_any_policy() -> None:
    text = b"not a checkpoint\n"
    note = Note(text=text, signatures=(LOG.line(text),))
    assert malformed_code(under(note.encoded(), Policy(logs=POLICY.logs, quorum=NONE))) == "checkpoint.line"
    assert malformed_code(under(b"", POLICY)) == "note.newline"
