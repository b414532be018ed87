"""Claims about the settings of witnesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.flows.ledger.gather_cosignatures import CosigningLimits
from answerable.wiring.setting_tree import Settings
from answerable.wiring.settings import parse_settings
from answerable.wiring.witness_settings import WitnessesSettings, remote_witness
from tests.worlds.witness import Log, cosigners

DATA = Path("/srv/a")
VKEY = cosigners()[0].key.formatted()
LATTICE = cosigners(lattice=True)[1].key.formatted()
OTHER = cosigners(seed=5, name="witness.example/w2")[0].key.formatted()


def parsed(text: str) -> tuple[Settings | None, list[str]]:
    tree, found = parse_settings(text.encode(), data=DATA)
    return tree, [f"{fault.line} {fault.key}: {fault.message}" for fault in found]


def test_by_default_one_local_witness_is_enough_and_nothing_stops() -> None:
    tree, found = parsed("")
    assert found == []
    assert tree is not None
    assert (tree.witnesses, tree.witnesses.local, tree.witnesses.quorum) == (WitnessesSettings(), True, 1)
    assert tree.witnesses.stop_after_seconds == 0
    assert tree.local_witness.directory == DATA / "witness"
    assert tree.local_witness.socket == DATA / "witness.sock"
    limits = CosigningLimits()
    assert (limits.quorum, limits.round_seconds, limits.skew_seconds_max, limits.stop_after_seconds) == (
        tree.witnesses.quorum,
        tree.witnesses.round_seconds,
        tree.witnesses.skew_seconds_max,
        tree.witnesses.stop_after_seconds,
    )


@pytest.mark.parametrize(
    "address",
    [
        "https://witness.example",
        "https://witness.example:8443/prefix/",
        "http://127.0.0.1:7070",
        "http://[::1]:7070/",
        "http://localhost:7070",
        "unix:/run/witness.sock",
    ],
)
def test_witnesses_are_reached_privately_or_on_this_machine(address: str) -> None:
    tree, found = parsed(f'[witnesses]\nquorum = 2\nremote = ["{VKEY} {address}"]\n')
    assert found == []
    assert tree is not None
    found_witness = remote_witness(tree.witnesses.remote[0])
    assert (found_witness.key.formatted(), found_witness.address) == (VKEY, address)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "https://witness.example",
        VKEY,
        f"{VKEY} http://witness.example",
        f"{VKEY} http://10.0.0.1:80",
        f"{VKEY} ftp://127.0.0.1",
        f"{VKEY} https://",
        f"{VKEY} https://user:secret@witness.example",
        f"{VKEY} https://witness.example/?a=b",
        f"{VKEY} https://witness.example:99999",
        f"{VKEY} unix:relative.sock",
        f"{Log().key.formatted()} https://witness.example",
        f"{VKEY[:-4]}AAA= https://witness.example",
    ],
)
def test_a_witness_that_cannot_be_trusted_to_be_the_one_is_a_fault(entry: str) -> None:
    _, found = parsed(f'[witnesses]\nremote = ["{entry}"]\n')
    assert len(found) == 1
    assert found[0].startswith("2 witnesses.remote: ")
    assert "secret" not in found[0]


def test_a_quorum_needs_as_many_witnesses_of_different_names() -> None:
    both = f'remote = ["{VKEY} https://a.example", "{OTHER} https://b.example"]\n'
    assert parsed(f"[witnesses]\nquorum = 3\n{both}")[1] == []
    assert "number of witnesses, 2, got 3" in parsed(f"[witnesses]\nlocal = false\nquorum = 3\n{both}")[1][0]
    assert "number of witnesses, 1, got 2" in parsed("[witnesses]\nquorum = 2\n")[1][0]
    twice = f'remote = ["{VKEY} https://a.example", "{LATTICE} https://b.example"]\n'
    assert "two witnesses are called" in parsed(f"[witnesses]\n{twice}")[1][0]
    assert parsed("[witnesses]\nlocal = false\n")[1] == [], "no witness at all is a choice"


def test_yes_and_no_are_true_and_false() -> None:
    tree, found = parsed("[witnesses]\nlocal = false\n[local_witness]\nml_dsa_44 = true\n")
    assert found == []
    assert tree is not None
    assert (tree.witnesses.local, tree.local_witness.ml_dsa_44) == (False, True)
    for value in ("1", '"true"', "0.0"):
        assert parsed(f"[witnesses]\nlocal = {value}\n")[1][0].startswith(
            "2 witnesses.local: expected true or false, got "
        )
    assert "a whole number" in parsed("[witnesses]\nquorum = true\n")[1][0]
