"""Certificates and proofs of possession that OpenSSL made, with its own defaults."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from answerable.core.identity.workload.attestation import possession_message
from answerable.errors import AnswerableError
from answerable.testing import ManualClock
from tests.probes.loud_skips import skip_loudly
from tests.worlds.attestation import THUMBPRINT, attestor

pytestmark = pytest.mark.requirement("ATTEST-08")

KINDS = {
    "rsa": (
        ("-newkey", "rsa:2048"),
        ("-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"),
    ),
    "p256": (("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ("-sha256",)),
    "p384": (("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"), ("-sha384",)),
}


def openssl(*arguments: str, cwd: Path) -> bytes:
    found = shutil.which("openssl")
    if found is None:
        skip_loudly("openssl", "apt-get install openssl", name="openssl")
    done = subprocess.run([found, *arguments], cwd=cwd, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def der(file: Path) -> bytes:
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A root, an authority below it, and a stranger's root."""
    directory = tmp_path_factory.mktemp("openssl")
    ec = KINDS["p256"][0]
    for name in ("root", "stranger"):
        openssl(
            "req", "-x509", *ec, "-noenc", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-addext", "keyUsage=critical,keyCertSign", "-days", "2", cwd=directory,
        )  # fmt: skip
    issue(
        directory, "middle", ec, "root", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"
    )
    return directory


def issue(directory: Path, name: str, kind: tuple[str, ...], by: str, *extensions: str) -> bytes:
    added = [part for one in extensions for part in ("-addext", one)]
    openssl(
        "req", "-x509", *kind, "-noenc", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
        "-CA", f"{by}.pem", "-CAkey", f"{by}.key", *added, "-days", "1", cwd=directory,
    )  # fmt: skip
    return der(directory / f"{name}.pem")


def signed(directory: Path, name: str, options: tuple[str, ...], message: bytes) -> bytes:
    (directory / "message").write_bytes(message)
    return openssl("dgst", *options, "-sign", f"{name}.key", "message", cwd=directory)


LEAF = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=clientAuth",
    "subjectAltName=URI:urn:host:7",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_with_a_certificate_of_openssl_signs_with_it_and_attests(kind, place):
    made, options = KINDS[kind]
    leaf = issue(place, f"leaf-{kind}", made, "middle", *LEAF)
    desk = attestor(clock=ManualClock(now=int(time.time() * 1000)), pem=(place / "root.pem").read_bytes())
    challenge = desk.challenge()
    signature = signed(place, f"leaf-{kind}", options, possession_message(challenge, THUMBPRINT))
    chain = [leaf, der(place / "middle.pem")]
    found = desk.x509_pop(chain, signature, challenge, THUMBPRINT)
    assert {f"x509_pop:cn:leaf-{kind}", "x509_pop:san_uri:urn:host:7"} <= set(found.selectors)
    with pytest.raises(AnswerableError) as told:
        desk.x509_pop(chain, signature, challenge, THUMBPRINT)
    assert told.value.code == "challenge.used"


def test_a_strangers_certificate_and_one_that_only_serves_are_refused(place):
    made, options = KINDS["p256"]
    desk = attestor(clock=ManualClock(now=int(time.time() * 1000)), pem=(place / "root.pem").read_bytes())
    serving = (*LEAF[:2], "extendedKeyUsage=serverAuth", LEAF[3])
    for by, extensions in (("stranger", LEAF), ("middle", serving)):
        leaf = issue(place, "odd", made, by, *extensions)
        challenge = desk.challenge()
        signature = signed(place, "odd", options, possession_message(challenge, THUMBPRINT))
        chain = [leaf, der(place / f"{by}.pem")]
        with pytest.raises(AnswerableError) as told:
            desk.x509_pop(chain, signature, challenge, THUMBPRINT)
        assert told.value.code == "x509_pop.chain"
