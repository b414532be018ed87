"""The contract suite of stores of keys, and what only files, and only an HSM, can get wrong."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import Unavailable
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from answerable.testing.contracts.authority_keys import (
    NAME,
    DurableAuthorityKeysContract,
    fits,
    same,
)
from tests.probes import warm_starts
from tests.worlds.trust import PIN, TOKEN, WORKLOAD, TrustWorld, hsm_library, new_token, workload_key

pytestmark = pytest.mark.requirement("TRUST-06")

KEY = workload_key().public_key()


def keys_in(directory: Path) -> LocalAuthorityKeys:
    return LocalAuthorityKeys.open(directory / "authorities")


class TestLocalAuthorityKeys(DurableAuthorityKeysContract):
    def opened(self, tmp_path: Path) -> LocalAuthorityKeys:
        return keys_in(tmp_path)


# --- files --------------------------------------------------------------------------------------------


def test_a_key_is_a_pkcs8_file_of_0600_in_a_directory_of_0700_and_nothing_else_is_left(
    tmp_path: Path,
) -> None:
    previous = os.umask(0)
    try:
        public = keys_in(tmp_path).create(NAME)
    finally:
        os.umask(previous)
    directory = tmp_path / "authorities"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [file.name for file in directory.iterdir()] == [f"{NAME}.pem"]
    file = directory / f"{NAME}.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert same(key.public_key(), public)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_could_have_read_is_not_read(mode: int, tmp_path: Path) -> None:
    keys_in(tmp_path).create(NAME)
    (tmp_path / "authorities" / f"{NAME}.pem").chmod(mode)
    with pytest.raises(Unavailable) as told:
        keys_in(tmp_path).sign(NAME, b"m")
    assert told.value.code == "authority_keys.exposed"


def test_a_directory_that_others_may_enter_is_not_opened(tmp_path: Path) -> None:
    keys_in(tmp_path)
    (tmp_path / "authorities").chmod(0o750)
    with pytest.raises(Unavailable) as told:
        keys_in(tmp_path)
    assert told.value.code == "authority_keys.exposed"


def test_a_link_is_not_followed_to_a_key(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    keys.create("elsewhere")
    (tmp_path / "authorities" / f"{NAME}.pem").symlink_to(tmp_path / "authorities" / "elsewhere.pem")
    with pytest.raises(Unavailable):
        keys.sign(NAME, b"m")


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\xff" * 5000, "p384", "encrypted"]
)
def test_a_damaged_file_signs_nothing_and_the_message_shows_nothing_of_it(
    content: bytes | str, tmp_path: Path
) -> None:
    if isinstance(content, str):
        key = ec.generate_private_key(ec.SECP384R1() if content == "p384" else ec.SECP256R1())
        closed = serialization.BestAvailableEncryption(b"secret") if content == "encrypted" else None
        content = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            closed or serialization.NoEncryption(),
        )
    keys = keys_in(tmp_path)
    file = tmp_path / "authorities" / f"{NAME}.pem"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(Unavailable) as told:
        keys.public(NAME)
    assert told.value.code == "authority_keys.unreadable"
    assert "PRIVATE" not in told.value.message


def test_a_key_that_is_taken_away_signs_no_more_in_a_process_that_has_used_it(tmp_path: Path) -> None:
    keys, other = keys_in(tmp_path), keys_in(tmp_path)
    keys.create(NAME)
    keys.sign(NAME, b"m")
    other.destroy(NAME)
    with pytest.raises(Unavailable) as told:
        keys.sign(NAME, b"m")
    assert told.value.code == "authority_keys.missing"


def test_where_nothing_can_be_written_no_key_is_made(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    (tmp_path / "authorities").rmdir()
    with pytest.raises(Unavailable) as told:
        keys.create(NAME)
    assert told.value.code == "authority_keys.unavailable"
    assert keys.public(NAME) is None
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as told:
        LocalAuthorityKeys.open(tmp_path / "file" / "authorities")
    assert told.value.code == "authority_keys.unavailable"


KILLED = """
import os, signal, sys
from pathlib import Path
from answerable.adapters.local_keys import LocalAuthorityKeys
keys = LocalAuthorityKeys.open(Path(sys.argv[1]))
at, calls = int(sys.argv[2]), 0
def killing(call):
    def made(*given, **named):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **named)
    return made
for name in ("open", "fsync", "link", "unlink", "close"):
    setattr(os, name, killing(getattr(os, name)))
keys.create("0123456789abcdef-x509")
print(calls, flush=True)
"""


def killed_at(directory: Path, call: int) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [*warm_starts.program(KILLED), str(directory / "authorities"), str(call)]
    return subprocess.run(arguments, env=environment, capture_output=True, timeout=60, check=False)


@pytest.mark.requirement("TRUST-12")
def test_a_kill_at_any_call_leaves_a_whole_key_or_none_and_destroying_leaves_nothing(tmp_path: Path) -> None:
    call = 0
    while True:
        call += 1
        place = tmp_path / str(call)
        place.mkdir()
        ended = killed_at(place, call)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        keys = keys_in(place)
        public = keys.public(NAME)
        assert public is None or fits(public, keys.sign(NAME, b"m"), b"m")
        keys.destroy(NAME)
        assert list((place / "authorities").iterdir()) == []
        again = keys.create(NAME)
        assert fits(again, keys.sign(NAME, b"m"), b"m")
    assert call >= 6, "open, sync, link, unlink and the directory were each cut off"


# --- an HSM -------------------------------------------------------------------------------------------


@pytest.mark.requirement("TRUST-07")
class TestPkcs11AuthorityKeys(DurableAuthorityKeysContract):
    """Against SoftHSM, with a token of its own for each test."""

    @pytest.fixture(autouse=True)
    def _token(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        import pkcs11

        library = hsm_library()
        new_token(tmp_path, monkeypatch)
        self._opened: list[Any] = []
        # The library reads its settings when it is loaded: each test's own.
        pkcs11.unload(str(library))
        yield
        for keys in self._opened:
            keys.close()
        pkcs11.unload(str(library))

    def opened(self, tmp_path: Path):
        from answerable.adapters.pkcs11 import Pkcs11AuthorityKeys

        for before in self._opened:
            before.close()
        keys = Pkcs11AuthorityKeys.open(module=hsm_library(), token=TOKEN, pin=PIN)
        self._opened.append(keys)
        return keys

    def test_the_private_half_is_sensitive_and_never_leaves_the_token(self, tmp_path: Path) -> None:
        import pkcs11

        self.opened(tmp_path).create(NAME)
        session = pkcs11.lib(str(hsm_library())).get_token(token_label=TOKEN).open()
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=NAME)
        assert key[pkcs11.Attribute.SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        assert key[pkcs11.Attribute.NEVER_EXTRACTABLE]
        assert key[pkcs11.Attribute.ALWAYS_SENSITIVE]
        with pytest.raises(pkcs11.exceptions.PKCS11Error):
            key[pkcs11.Attribute.VALUE]
        session.close()

    def test_a_wrong_pin_opens_nothing_and_is_in_no_message(self, tmp_path: Path) -> None:
        from answerable.adapters.pkcs11 import Pkcs11AuthorityKeys

        with pytest.raises(Unavailable) as told:
            Pkcs11AuthorityKeys.open(module=hsm_library(), token=TOKEN, pin="999999")
        assert told.value.code == "authority_keys.pin"
        assert "999999" not in told.value.message

    def test_a_pin_that_was_refused_once_is_never_tried_again(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        keys.create(NAME)
        keys.close()
        right, keys._pin = keys._pin, "999999"
        with pytest.raises(Unavailable):
            keys.sign(NAME, b"message")
        # The right one would be taken, were it asked: a few wrong ones lock a token for good.
        keys._pin = right
        with pytest.raises(Unavailable) as told:
            keys.sign(NAME, b"message")
        assert told.value.code == "authority_keys.pin"

    def test_a_token_or_library_that_is_not_there_is_told_apart(self, tmp_path: Path) -> None:
        from answerable.adapters.pkcs11 import Pkcs11AuthorityKeys

        with pytest.raises(Unavailable) as told:
            Pkcs11AuthorityKeys.open(module=hsm_library(), token="another", pin=PIN)
        assert told.value.code == "authority_keys.token"
        with pytest.raises(Unavailable) as told:
            Pkcs11AuthorityKeys.open(module=tmp_path / "none.so", token=TOKEN, pin=PIN)
        assert told.value.code == "authority_keys.module"

    @pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    )  # what the library still held
    def test_a_session_that_ended_is_opened_again(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        public = keys.create(NAME)
        keys._session.close()
        assert fits(public, keys.sign(NAME, b"m"), b"m")
        keys.close()
        keys.close()
        assert fits(public, keys.sign(NAME, b"m"), b"m")

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_key_is_not_made_twice_when_the_session_ends_while_one_is_made(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        keys._session.close()
        with pytest.raises(Unavailable) as told:
            keys.create(NAME)
        assert (told.value.code, told.value.effect) == ("authority_keys.unavailable", "unknown")
        assert keys.public(NAME) is None
        public = keys.create(NAME)
        assert fits(public, keys.sign(NAME, b"m"), b"m")

    def test_a_login_that_is_there_already_is_shared(self, tmp_path: Path) -> None:
        from answerable.adapters.pkcs11 import Pkcs11AuthorityKeys

        public = self.opened(tmp_path).create(NAME)
        second = Pkcs11AuthorityKeys.open(module=hsm_library(), token=TOKEN, pin=PIN)
        assert fits(public, second.sign(NAME, b"m"), b"m")

    def test_a_token_that_is_full_or_faulty_is_told_by_the_kind_of_fault_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import pkcs11

        keys = self.opened(tmp_path)
        keys.create(NAME)

        def faulty(session: object, label: str) -> None:
            raise pkcs11.exceptions.DeviceMemory(f"secret {label}")

        monkeypatch.setattr("answerable.adapters.pkcs11.authority_keys._private", faulty)
        with pytest.raises(Unavailable) as told:
            keys.sign(NAME, b"m")
        assert told.value.code == "authority_keys.unavailable"
        assert told.value.message.endswith(": device memory")

    def test_a_trust_domain_lives_on_a_token(self, tmp_path: Path) -> None:
        world = TrustWorld(keys=self.opened(tmp_path))
        desk = world.desk()
        issuer = world.issuer(desk)
        now = world.clock.now()

        def believed_by(judge: TrustDomainState) -> None:
            svid = issuer.x509(WORKLOAD, KEY)
            assert verified_x509_svid((svid.leaf,), bundle_of=judge.bundle, now=now) == svid
            token = issuer.jwt(WORKLOAD, ("somebody",))
            assert (
                verified_jwt_svid(token, audience="somebody", bundle_of=judge.bundle, now=now).id == WORKLOAD
            )
            wit = issuer.wit(WORKLOAD, jwk_text(KEY))
            assert verified_wit_svid(wit, bundle_of=judge.bundle, now=now).id == WORKLOAD

        believed_by(desk)
        world.keys = self.opened(tmp_path)
        desk = world.desk()
        issuer = world.issuer(desk)
        believed_by(desk)
        removed = desk.authorities()[0]
        desk.remove(removed.id)
        believed_by(desk)
        assert world.keys.public(removed.x509_key) is None
        world.keys.destroy(desk.authorities()[1].jwt_key)
        with pytest.raises(Unavailable) as told:
            world.desk()
        assert told.value.code == "authority_keys.missing"
