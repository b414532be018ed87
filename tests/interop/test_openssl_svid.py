"""Our certificates before OpenSSL's own judge, and OpenSSL's before ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import Unverified
from tests.probes.loud_skips import skip_loudly
from tests.worlds.svid import (
    AGENT,
    HOUR,
    NOW,
    bundle_with,
    certificate,
    only,
    our_authority,
    our_leaf,
    our_signer,
    root,
    signer,
)

SECONDS_MAX = 30


@pytest.fixture(scope="module")
def openssl() -> str:
    found = shutil.which("openssl")
    if found is None:
        skip_loudly("openssl", "apt-get install openssl", name="openssl")
    return found


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


Judge = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def judge(openssl: str, tmp_path: Path) -> Judge:
    """`openssl verify` of a leaf, for both TLS purposes; its standard output and error together."""

    def verify(
        leaf: bytes, *, authority: bytes, between: bytes = b"", at: int = NOW, strict: bool = True
    ) -> subprocess.CompletedProcess[str]:
        for name, content in (("ca", authority), ("leaf", leaf), ("between", between)):
            (tmp_path / f"{name}.pem").write_bytes(pem(content) if content else b"")
        arguments = ["-attime", str(at // 1000), "-no-CApath", "-no-CAstore", "-CAfile", "ca.pem"]
        arguments += ["-x509_strict"] if strict else []
        arguments += ["-untrusted", "between.pem"] if between else []
        for purpose in ("sslclient", "sslserver"):
            done = subprocess.run(
                [openssl, "verify", "-purpose", purpose, *arguments, "leaf.pem"],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS_MAX,
                check=False,
            )
            if done.returncode:
                return done
        return done

    return verify


@pytest.mark.requirement("SPIFFE-08")
def test_openssl_accepts_our_leaf_under_our_authority_by_its_strict_rules(judge: Judge) -> None:
    done = judge(our_leaf(), authority=our_authority())
    assert done.returncode == 0, done.stdout


@pytest.mark.requirement("SPIFFE-08")
def test_openssl_refuses_our_leaf_once_it_is_tampered_with_too_old_too_young_or_of_another(
    judge: Judge,
) -> None:
    leaf, authority = our_leaf(), our_authority()
    at = leaf.index(b"/agent/scout")
    changed = leaf[:at] + b"/agent/boss!" + leaf[at + 12 :]
    assert "signature failure" in judge(changed, authority=authority).stdout
    broken = leaf[:-1] + bytes([leaf[-1] ^ 1])
    assert "signature failure" in judge(broken, authority=authority).stdout
    assert "has expired" in judge(leaf, authority=authority, at=NOW + HOUR + 1000).stdout
    assert "not yet valid" in judge(leaf, authority=authority, at=NOW - 31_000).stdout
    assert judge(leaf, authority=root().der).returncode != 0


@pytest.mark.requirement("SPIFFE-08")
def test_openssl_and_we_agree_that_our_authority_signs_leaves_only(judge: Judge) -> None:
    direct = certificate(issuer=our_signer())
    assert judge(direct, authority=our_authority(), strict=False).returncode == 0
    between = signer("between", issuer=our_signer())
    leaf = certificate(issuer=between)
    done = judge(leaf, authority=our_authority(), between=between.der, strict=False)
    assert "path length constraint exceeded" in done.stdout
    with pytest.raises(Unverified):
        verified_x509_svid([leaf, between.der], bundle_of=only(bundle_with(our_authority())), now=NOW)


@pytest.mark.requirement("SPIFFE-08")
def test_openssl_and_we_agree_on_chains_with_an_intermediate(judge: Judge) -> None:
    good = signer("between", issuer=root())
    old = signer("between", issuer=root(), ends=NOW - 1000)
    weak = signer("between", issuer=root(), authority=False)
    narrow = signer("root", key=root().key, path_length=0)
    for between, authority in ((good, root()), (old, root()), (weak, root()), (good, narrow)):
        leaf = certificate(issuer=between)
        theirs = judge(leaf, authority=authority.der, between=between.der, strict=False).returncode == 0
        try:
            verified_x509_svid([leaf, between.der], bundle_of=only(bundle_with(authority.der)), now=NOW)
            ours = True
        except Unverified:
            ours = False
        assert ours is theirs is (between is good and authority is root())


CONFIGURATION = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectAltName = URI:spiffe://example.org
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = URI:spiffe://example.org/agent/scout/1
[two]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
subjectAltName = URI:spiffe://example.org/agent/scout/1,URI:spiffe://example.org/agent/boss/1
"""


@pytest.mark.requirement("SPIFFE-08")
@pytest.mark.parametrize("kind", ["EC:P-256", "EC:P-384", "RSA"])
def test_we_accept_what_openssl_made_and_refuse_its_sha1_and_its_second_name(
    openssl: str, tmp_path: Path, kind: str
) -> None:
    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=tmp_path, check=True, capture_output=True, timeout=SECONDS_MAX)

    algorithm, _, curve = kind.partition(":")
    options = ["-pkeyopt", f"ec_paramgen_curve:{curve}"] if curve else ["-pkeyopt", "rsa_keygen_bits:2048"]
    (tmp_path / "c.cnf").write_text(CONFIGURATION)
    for name in ("ca", "leaf"):
        run("genpkey", "-algorithm", algorithm, *options, "-out", f"{name}.key")
    dates = ["-not_before", "20260101000000Z", "-not_after", "20300101000000Z"]
    common = ["req", "-x509", "-new", "-config", "c.cnf", "-outform", "DER", *dates]
    run(*common, "-key", "ca.key", "-subj", "/O=Theirs", "-extensions", "ca", "-out", "ca.der")
    (tmp_path / "ca.pem").write_bytes(pem((tmp_path / "ca.der").read_bytes()))

    def leaf(section: str, digest: str) -> bytes:
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-key", "leaf.key", "-subj", "/O=Scout"]
        run(*common, *signing, "-extensions", section, f"-{digest}", "-out", "leaf.der")
        return (tmp_path / "leaf.der").read_bytes()

    bundle = only(bundle_with((tmp_path / "ca.der").read_bytes()))
    assert verified_x509_svid([leaf("leaf", "sha256")], bundle_of=bundle, now=NOW).id == AGENT
    for section, digest, code in (("leaf", "sha1", "svid.path"), ("two", "sha256", "svid.uri_san")):
        with pytest.raises(Unverified) as caught:
            verified_x509_svid([leaf(section, digest)], bundle_of=bundle, now=UnixMillis(NOW))
        assert caught.value.code == code
