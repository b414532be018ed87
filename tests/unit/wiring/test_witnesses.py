"""Claims about what is known of witnesses without asking them: the local one's memory, and policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.witness_files import publish_keys
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.note import Note
from answerable.core.tlog.policy import parse_policy, verified_checkpoint_under
from answerable.errors import Broken, Malformed, Unavailable, Unverified
from answerable.flows.ledger.cosign_checkpoint import cosign_checkpoint
from answerable.wiring.setting_tree import Settings
from answerable.wiring.settings import load_settings
from answerable.wiring.witness_view import add_watched_log, policy_text, watched_logs, witness_keys
from answerable.wiring.witnesses import require_known_history
from tests.worlds.witness import ORIGIN, Log, cosigners, desk

TRUE, FORK = Log(), Log(forked_at=2)


def settings(data: Path, text: str = "") -> Settings:
    data.mkdir(exist_ok=True)
    (data / "answerable.toml").write_text(text)
    return load_settings(data)


def remembered(data: Path, size: int) -> None:
    """The local witness has cosigned so much."""
    with desk(data / "witness", TRUE) as at:
        publish_keys(data / "witness", [one.key for one in at.cosigners])
        if size:
            cosign_checkpoint(at, TRUE.request(0, size))


def on_disk(data: Path, note: bytes | None) -> None:
    (data / "ledger").mkdir(exist_ok=True)
    if note is not None:
        (data / "ledger/checkpoint").write_bytes(note)


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (None, "size 0, and .* size 8"),
        (TRUE.note(3), "size 3, and .* size 8"),
        (FORK.note(8), "forked.* size 8 .* size 8"),
    ],
)
def test_a_log_on_disk_that_is_behind_its_witness_is_told_before_it_is_opened(
    tmp_path: Path, note: bytes | None, words: str
) -> None:
    remembered(tmp_path, 8)
    on_disk(tmp_path, note)
    with pytest.raises(Broken, match=words) as told:
        require_known_history(settings(tmp_path), [TRUE.key])
    assert told.value.code == "ledger.rolled_back"


@pytest.mark.parametrize("note", [TRUE.note(8), TRUE.note(9), FORK.note(9), b"noise", b""])
def test_what_takes_a_proof_or_an_opened_log_to_judge_is_left_to_later(tmp_path: Path, note: bytes) -> None:
    remembered(tmp_path, 8)
    on_disk(tmp_path, note)
    require_known_history(settings(tmp_path), [TRUE.key])


def cosigned_on_disk(data: Path, size: int, *, seed: int = 9, name: str = "") -> None:
    """The ledger has a checkpoint that a witness cosigned."""
    (signer,) = cosigners(seed=seed, **({"name": name} if name else {}))
    line = cosignature(TRUE.text(size), key=signer.key, timestamp=1_700_000_000, sign=signer.sign)
    note = Note.parse(TRUE.note(size))
    (data / "ledger").mkdir(parents=True, exist_ok=True)
    (data / "ledger/cosigned").write_bytes(
        Note(text=note.text, signatures=(*note.signatures, line)).encoded()
    )


@pytest.mark.requirement("WITNESS-18")
@pytest.mark.parametrize(
    ("knows", "seed", "words"),
    [(None, 9, "nothing"), (None, 5, "nothing"), (0, 9, "nothing"), (0, 5, "nothing"), (3, 9, "size 3")],
)
def test_a_witness_that_remembers_less_than_it_cosigned_is_told(
    tmp_path: Path, knows: int | None, seed: int, words: str
) -> None:
    if knows is not None:
        remembered(tmp_path, knows)
    on_disk(tmp_path, TRUE.note(8))
    cosigned_on_disk(tmp_path, 8, seed=seed)
    with pytest.raises(Broken, match=f"size 8 .* remembers {words}: .* accept-ledger") as told:
        require_known_history(settings(tmp_path), [TRUE.key])
    assert told.value.code == "witness.state_lost"
    require_known_history(settings(tmp_path, "[witnesses]\nlocal = false\n"), [TRUE.key])


@pytest.mark.requirement("WITNESS-18")
@pytest.mark.parametrize("case", ["as much", "another witness", "one that was configured", "damaged"])
def test_cosignatures_that_the_local_witness_need_not_remember_stop_nothing(
    tmp_path: Path, case: str
) -> None:
    remembered(tmp_path, {"as much": 8, "one that was configured": 3}.get(case, 0))
    on_disk(tmp_path, TRUE.note(8))
    text = ""
    if case == "another witness":
        (other,) = cosigners(seed=5, name="witness.example/w2")
        text = f'[witnesses]\nremote = ["{other.key.formatted()} https://{other.key.name}"]\n'
    if case in ("another witness", "one that was configured"):
        cosigned_on_disk(tmp_path, 8, seed=5, name="witness.example/w2")
    else:
        cosigned_on_disk(tmp_path, 8)
    if case == "damaged":
        (tmp_path / "ledger/cosigned").write_bytes(b"noise")
    require_known_history(settings(tmp_path, text), [TRUE.key])


@pytest.mark.parametrize("state", ["no witness", "nothing cosigned", "another log", "forged", "damaged"])
def test_a_memory_that_proves_nothing_stops_nothing(tmp_path: Path, state: str) -> None:
    keys = [TRUE.key]
    if state != "no witness":
        remembered(tmp_path, 0 if state == "nothing cosigned" else 8)
    for path in (tmp_path / "witness").glob("logs/*/checkpoint"):
        if state == "forged":
            path.write_bytes(Log(seed=2).note(9))
        if state == "damaged":
            path.write_bytes(b"")
    if state == "another log":
        keys = [Log(origin="log.example/two").key]
    require_known_history(settings(tmp_path), keys)


def test_the_policy_of_one_local_witness_is_one_of_one(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    with pytest.raises(Unavailable) as told:
        policy_text(chosen)
    assert told.value.code == "witness.key_unknown"
    remembered(tmp_path, 0)
    with pytest.raises(Unavailable, match="answerable up"):
        policy_text(chosen)
    on_disk(tmp_path, None)
    (tmp_path / "ledger/log.pub").write_text(f"{TRUE.key.formatted()}\n")
    policy = parse_policy(policy_text(chosen).encode())
    assert [one.key for one in policy.logs] == [TRUE.key]
    assert [one.key for one in policy.witnesses] == [cosigners()[0].key]
    assert policy.quorum == "local"


def test_the_policy_of_three_witnesses_takes_two_and_not_one(tmp_path: Path) -> None:
    names = ("witness.example/w2", "witness.example/w3")
    remote = [cosigners(seed=seed, name=name)[0] for seed, name in zip((5, 6), names, strict=True)]
    listed = ", ".join(f'"{one.key.formatted()} https://{one.key.name}"' for one in remote)
    remembered(tmp_path, 0)
    on_disk(tmp_path, None)
    (tmp_path / "ledger/log.pub").write_text(f"{TRUE.key.formatted()}\n")
    policy = parse_policy(
        policy_text(settings(tmp_path, f"[witnesses]\nquorum = 2\nremote = [{listed}]\n")).encode()
    )
    assert [one.name for one in policy.witnesses] == ["local", *names]
    local, first = cosigners()[0].key, remote[0].key
    assert not policy.is_met_by([local])
    assert policy.is_met_by([local, first])
    assert policy.is_met_by([one.key for one in remote])
    # And a checkpoint that one witness has really cosigned is judged by it.
    with desk(tmp_path / "other", TRUE) as at:
        cosign_checkpoint(at, TRUE.request(0, 8))
        log = at.register.log(ORIGIN)
        assert log is not None
        assert log.newest is not None
        with pytest.raises(Unverified):
            verified_checkpoint_under(log.newest, policy, origin=ORIGIN)


def test_what_is_shown_of_a_witness_is_what_its_files_say(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    assert (witness_keys(chosen), watched_logs(chosen)) == ((), ())
    remembered(tmp_path, 8)
    with desk(tmp_path / "witness") as at:
        cosign_checkpoint(at, TRUE.request(0, 3))
    assert witness_keys(chosen) == (cosigners()[0].key.formatted(),)
    (log,) = watched_logs(chosen)
    assert (log.origin, log.size, log.root, log.damage) == (ORIGIN, 8, TRUE.root(8).hex(), "")
    assert log.cosigned_at == "2026-11-18T11:06:40Z"
    (one,) = log.evidence
    assert (one.kind, one.size) == ("older", 3)
    assert "8 was cosigned" in one.says
    (path,) = (tmp_path / "witness").glob("logs/*/checkpoint")
    for content, why in (
        (TRUE.note(8), "not cosigned"),
        (b"noise\n", "blank line"),
        (b"", "changed or damaged"),
    ):
        path.write_bytes(content)
        assert why in watched_logs(chosen)[0].damage


def test_only_keys_that_sign_logs_are_added(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    assert add_watched_log(chosen, f" {TRUE.key.formatted()}\n")
    assert not add_watched_log(chosen, TRUE.key.formatted())
    for vkey in ("noise", cosigners()[0].key.formatted()):
        with pytest.raises(Malformed):
            add_watched_log(chosen, vkey)
