"""The store of static secrets: what it promises, on real files."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.adapters.secret_store import Keyring
from answerable.adapters.secret_store.sealing import opened
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.stored_secret import decoded_secret, encoded_secret
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from tests.probes.example_counts import examples
from tests.worlds.secret_store import VALUE, put, store_in, value_of

DAY_SECONDS = 86_400


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.requirement("SECRET-01")
def test_a_value_is_on_no_medium_and_in_no_listing_and_comes_back_as_it_was(tmp_path):
    store = store_in(tmp_path)
    put(store)
    for clear in (VALUE, VALUE[3:], VALUE.hex().encode()):
        assert clear not in everything(tmp_path)
    assert VALUE.decode() not in repr([store.listed(), store.watch(), store.check_out("crm", by="x"), store])
    assert value_of(store) == VALUE
    assert value_of(store_in(tmp_path, seed=2)) == VALUE
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path == tmp_path


@pytest.mark.requirement("SECRET-01")
def test_every_check_out_is_on_record_before_the_value_is_handed_out(tmp_path, monkeypatch):
    clock = ManualClock()
    store = store_in(tmp_path, clock=clock)
    put(store)
    assert store.uses("crm") == ()
    store.check_out("crm", by="crm-api")
    clock.advance(5)
    store.check_out("crm", by="mailer")
    store.check_out("crm", by="crm-api")
    assert [(use.by, use.count) for use in store.uses("crm")] == [("crm-api", 2), ("mailer", 1)]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Unavailable) as failed:
        store.check_out("crm", by="mailer")
    assert failed.value.code == "secrets.unavailable"


@pytest.mark.requirement("SECRET-01")
def test_the_users_that_are_remembered_are_bounded(tmp_path):
    store = store_in(tmp_path)
    put(store)
    for number in range(80):
        store.check_out("crm", by=f"user{number}")
    assert [use.by for use in store.uses("crm")] == [f"user{number}" for number in range(79, 15, -1)]


@pytest.mark.requirement("SECRET-02")
@pytest.mark.parametrize(
    "call", ["put", "rotate", "retire", "expose", "check_out", "change_key", "prepare", "settle"]
)
def test_a_call_that_is_cut_off_at_any_step_leaves_what_was_or_what_is_to_be(tmp_path, monkeypatch, call):
    class Killed(BaseException):
        """As a killed process: nothing of ours cleans up after it."""

    new = b"another-value-entirely"
    calls = {
        "put": lambda store: put(store, "new", new),
        "rotate": lambda store: store.rotate("crm", new),
        "retire": lambda store: store.retire("crm"),
        "expose": lambda store: store.expose("crm", "seen in a log"),
        "check_out": lambda store: store.check_out("crm", by="x"),
        "change_key": lambda store: store.change_key(),
        "prepare": lambda store: store.prepare("crm", new),
        "settle": lambda store: store.settle("crm"),
    }
    real = {name: getattr(os, name) for name in ("open", "fsync", "replace", "unlink")}
    for step in range(1, 60):
        folder = tmp_path / str(step)
        store = store_in(folder, seed=step)
        put(store)
        put(store, "other", b"other-value")
        if call == "settle":
            store.prepare("crm", new)
        left = [step]

        def counted(name: str, left: list[int] = left):
            def run(*args: object, **named: object) -> object:
                left[0] -= 1
                if left[0] <= 0:
                    raise Killed
                return real[name](*args, **named)

            return run

        with monkeypatch.context() as patched:
            for name in real:
                patched.setattr(os, name, counted(name))
            try:
                calls[call](store)
                finished = True
            except Killed:
                finished = False
        again = store_in(folder, seed=1000 + step)
        assert value_of(again, "other") == b"other-value"
        known = {one.name: one for one in again.listed()}
        assert set(known) <= {"crm", "other", "new"}
        if known["crm"].current is not None:
            assert value_of(again) in {VALUE, new}
        again.change_key()
        assert not list(folder.rglob("*.draft"))
        assert value_of(again, "other") == b"other-value"
        if finished:
            assert step > 2
            return
    raise AssertionError("it never came to its end")


@pytest.mark.requirement("SECRET-02")
def test_several_processes_write_one_store_and_lose_nothing(tmp_path):
    store = store_in(tmp_path)
    put(store)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_writes, args=(tmp_path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert {one.name for one in store.listed()} == {
        "crm",
        *(f"s{number}-{n}" for number in range(4) for n in range(5)),
    }
    assert sum(use.count for use in store.uses("crm")) == 20


def _writes(folder: Path, number: int) -> None:
    store = store_in(folder, seed=100 + number)
    for n in range(5):
        put(store, f"s{number}-{n}")
        store.check_out("crm", by=f"process{number}")


@pytest.mark.requirement("SECRET-02")
def test_another_keyring_or_none_says_what_to_bring_back(tmp_path):
    store = store_in(tmp_path)
    put(store)
    kept = (tmp_path / "keyring").read_bytes()
    (tmp_path / "keyring").unlink()
    with pytest.raises(Unavailable) as gone:
        store_in(tmp_path, seed=3)
    assert gone.value.code == "secrets.keyring"
    Keyring(tmp_path / "keyring", SeededEntropy(9)).keys(creates=True)
    with pytest.raises(Unavailable) as wrong:
        value_of(store)
    assert wrong.value.code == "secrets.key"
    (tmp_path / "keyring").write_bytes(kept)
    assert value_of(store) == VALUE
    (tmp_path / "keyring").write_bytes(b"rubbish\n")
    with pytest.raises(Unavailable) as odd:
        value_of(store)
    assert odd.value.code == "secrets.keyring"
    assert "rubbish" not in odd.value.message


@pytest.mark.requirement("SECRET-02")
@pytest.mark.parametrize("where", ["secrets", "keyring", "secrets/crm.secret", "secrets/crm.uses"])
def test_what_others_could_have_read_is_refused(tmp_path, where):
    store = store_in(tmp_path)
    put(store)
    value_of(store)
    path = tmp_path / where
    path.chmod(path.stat().st_mode | 0o044)
    with pytest.raises(Unavailable) as exposed:
        value_of(store_in(tmp_path))
    assert exposed.value.code == "secrets.exposed"


@pytest.mark.requirement("SECRET-02")
def test_a_file_cannot_stand_in_for_another(tmp_path):
    store = store_in(tmp_path)
    put(store)
    put(store, "other", b"other-value")
    folder = tmp_path / "secrets"
    (folder / "crm.secret").write_bytes((folder / "other.secret").read_bytes())
    with pytest.raises(Unavailable) as swapped:
        value_of(store)
    assert swapped.value.code == "secrets.damaged"
    (folder / "crm.secret").unlink()
    (folder / "crm.secret").symlink_to(folder / "other.secret")
    with pytest.raises(Unavailable):
        value_of(store)


@pytest.mark.requirement("SECRET-02")
@settings(max_examples=examples(200), deadline=None)
@given(data=st.data())
def test_the_reader_refuses_whatever_was_changed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    store = store_in(folder)
    put(store)
    keys = Keyring(folder / "keyring", SeededEntropy(1)).keys()
    content = (folder / "secrets" / "crm.secret").read_bytes()
    if data.draw(st.booleans()):
        odd = data.draw(st.binary(max_size=200))
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        odd = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
        odd = odd[: data.draw(st.integers(0, len(odd)))] if data.draw(st.booleans()) else odd
    with pytest.raises(Unavailable) as refused:
        opened(odd, "crm", keys)
    assert refused.value.code in {"secrets.key", "secrets.damaged"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@pytest.mark.requirement("SECRET-02")
@settings(max_examples=examples(200), deadline=None)
@given(
    value=JSON,
    member=st.sampled_from(["name", "kind", "owner", "rotate_days", "versions", "exposed_at", "prepared_at"]),
)
def test_a_record_is_read_back_whole_or_refused(tmp_path_factory, value, member):
    store = store_in(tmp_path_factory.mktemp("record"))
    put(store)
    good = encoded_secret(store.listed()[0])
    assert encoded_secret(decoded_secret(good)) == good
    for odd in (value, {**good, member: value}):
        read: object = odd
        with suppress(Malformed):
            read = encoded_secret(decoded_secret(odd))
        assert read == odd


@pytest.mark.requirement("SECRET-03")
def test_a_secret_is_due_by_its_schedule_and_after_exposure_until_it_was_rotated(tmp_path):
    clock = ManualClock()
    store = store_in(tmp_path, clock=clock)
    put(store)
    assert store.listed()[0].due(clock.now()) == ""
    clock.advance(30 * DAY_SECONDS)
    assert "30 days old" in store.listed()[0].due(clock.now())
    store.rotate("crm", b"the-next-value-of-it")
    assert store.listed()[0].due(clock.now()) == ""
    store.expose("crm", "seen in a ticket")
    assert "seen in a ticket" in store.listed()[0].due(clock.now())
    store.rotate("crm", b"the-third-value-of-it")
    assert store.listed()[0].due(UnixMillis(clock.now() + 1)) == ""


@pytest.mark.requirement("SECRET-03")
def test_a_retired_version_is_forgotten_and_its_value_never_comes_back(tmp_path):
    store = store_in(tmp_path)
    put(store)
    store.rotate("crm", b"the-next-value-of-it", keep_old=True)
    assert store.watch().found_in(VALUE) == ("crm",)
    with pytest.raises(Refused) as same:
        store.rotate("crm", VALUE)
    assert same.value.code == "secret.same"
    store.retire("crm", only_old=True)
    assert store.watch().found_in(VALUE) == ()
    assert value_of(store) == b"the-next-value-of-it"
    store.retire("crm")
    store.retire("crm")
    with pytest.raises(Refused) as retired:
        value_of(store)
    assert retired.value.code == "secret.retired"
    assert [one.name for one in store.listed()] == ["crm"]
    assert store.listed()[0].due(UnixMillis(2**52)) == ""


@pytest.mark.requirement("SECRET-03")
def test_a_change_of_keys_seals_everything_anew_and_forgets_the_old_key(tmp_path):
    store = store_in(tmp_path)
    put(store)
    put(store, "other", b"other-value")
    before, sealed = (tmp_path / "keyring").read_bytes(), (tmp_path / "secrets/crm.secret").read_bytes()
    assert store.change_key() == 2
    after = (tmp_path / "keyring").read_bytes()
    assert len(after.splitlines()) == 1
    assert before != after
    assert value_of(store) == VALUE
    (tmp_path / "secrets/crm.secret").write_bytes(sealed)
    with pytest.raises(Unavailable) as old:
        value_of(store)
    assert old.value.code == "secrets.key"


@pytest.mark.requirement("SECRET-03")
@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda store: put(store), "secret.taken"),
        (lambda store: put(store, "A b"), "secret.name"),
        (lambda store: put(store, "../x"), "secret.name"),
        (lambda store: put(store, "x", b""), "secret.value"),
        (lambda store: put(store, "x", b"a\0b"), "secret.value"),
        (lambda store: put(store, "x", b"\xff"), "secret.value"),
        (lambda store: put(store, "x", b"a" * 65_537), "secret.value"),
        (lambda store: put(store, "x", owner="a\nb"), "secret.text"),
        (lambda store: put(store, "x", rotate_days=-1), "secret.text"),
        (lambda store: store.rotate("gone", VALUE), "secret.missing"),
        (lambda store: store.retire("gone"), "secret.missing"),
        (lambda store: store.check_out("gone", by="x"), "secret.missing"),
        (lambda store: store.check_out("/etc/passwd", by="x"), "secret.name"),
    ],
)
def test_what_cannot_be_is_refused_by_its_code_without_the_value(tmp_path, call, code):
    store = store_in(tmp_path)
    put(store)
    with pytest.raises(AnswerableError) as refused:
        call(store)
    assert refused.value.code == code
    assert VALUE.decode() not in refused.value.message
