"""SSH host keys and host certificates, and signatures in the format of `ssh-keygen -Y sign`."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization.ssh import SSHCertificateType

from answerable.core.identity.workload import ssh_host
from answerable.core.identity.workload.ssh_host import ssh_trust, verified_ssh_host
from answerable.core.identity.workload.ssh_signature import fingerprint, read_signature, strings
from answerable.errors import AnswerableError, Malformed
from answerable.testing.clock import START
from tests.worlds.attestation import (
    SECONDS,
    armoured,
    curve_key,
    edwards_key,
    rsa_key,
    ssh_certificate,
    ssh_line,
)
from tests.worlds.attestation import (
    ssh_signature as signature_of,
)

MESSAGE = b"answerable-enrol\nchallenge\nkey\n"
HOST, CA = edwards_key("host"), edwards_key("ca")
HOST_MARK, CA_MARK = fingerprint(HOST.public_key()), fingerprint(CA.public_key())
TRUSTED = f"@cert-authority *.example,other.test {ssh_line(CA)}\n"
KEYS = [
    HOST,
    curve_key("host"),
    curve_key("host4", ec.SECP384R1),
    curve_key("host5", ec.SECP521R1),
    rsa_key("host"),
]


def verified(identity, *, signature=None, key=HOST, trust=TRUSTED, message=MESSAGE, now=START):
    made = signature_of(key, MESSAGE) if signature is None else signature
    return verified_ssh_host(identity, signature=made, message=message, trust=ssh_trust(trust), now=now)


def code_of(identity, **given) -> str:
    with pytest.raises(AnswerableError) as told:
        verified(identity, **given)
    return told.value.code


@pytest.mark.parametrize("key", KEYS)
def test_a_host_with_a_certificate_is_believed(key):
    found = verified(ssh_certificate(key, CA, names=("host-1.example", "other.test")), key=key)
    assert found == (
        f"ssh:ca:{CA_MARK}",
        "ssh:host:host-1.example",
        "ssh:host:other.test",
        f"ssh:key:{fingerprint(key.public_key())}",
    )


@pytest.mark.parametrize("authority", KEYS)
def test_every_kind_of_authority_is_believed(authority):
    trust = f"@cert-authority * {ssh_line(authority)}"
    assert verified(ssh_certificate(HOST, authority), trust=trust)


@pytest.mark.parametrize("key", KEYS)
def test_a_known_host_key_is_believed(key):
    trust = f"# known\n\nhost-1.example,10.0.0.1 {ssh_line(key)} remark\n"
    assert verified(ssh_line(key), key=key, trust=trust) == (
        "ssh:host:10.0.0.1",
        "ssh:host:host-1.example",
        f"ssh:key:{fingerprint(key.public_key())}",
    )


def test_a_key_that_is_not_known_is_refused():
    assert code_of(ssh_line(HOST)) == "ssh.unknown"
    assert code_of(ssh_certificate(HOST, edwards_key("other"))) == "ssh.unknown"


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"kind": SSHCertificateType.USER}, "ssh.certificate"),
        ({"names": ()}, "ssh.certificate"),
        ({"names": ("*.example",)}, "ssh.certificate"),
        ({"names": ("Host.example",)}, "ssh.certificate"),
        ({"names": ("host.elsewhere",)}, "ssh.certificate"),
        ({"names": ("host-1.example", "host.elsewhere")}, "ssh.certificate"),
        ({"names": (".example",)}, "ssh.certificate"),
        ({"names": tuple(f"h{n}.example" for n in range(33))}, "ssh.certificate"),
        ({"critical": (b"force-command", b"x")}, "ssh.certificate"),
        ({"valid": (SECONDS - 60, SECONDS)}, "ssh.expired"),
        ({"valid": (SECONDS + 1, SECONDS + 60)}, "ssh.expired"),
    ],
)
def test_a_certificate_that_is_not_for_this_is_refused(terms, code):
    assert code_of(ssh_certificate(HOST, CA, **terms)) == code


def test_a_certificate_that_was_changed_is_refused():
    kind, body = ssh_certificate(HOST, CA).split()
    octets = b64decode(body).replace(b"host-1.example", b"host-2.example")
    assert code_of(f"{kind} {b64encode(octets).decode()}") == "ssh.certificate"


def test_an_authority_that_signs_with_sha1_is_refused(monkeypatch):
    authority = rsa_key("ca")
    line = ssh_certificate(HOST, authority)
    trust = f"@cert-authority * {ssh_line(authority)}"
    assert verified(line, trust=trust)
    kind, body = line.split()
    # The name of the algorithm is not under the signature, so this is all that it takes.
    octets = b64decode(body)
    size = (256).to_bytes(4, "big")
    sha2 = len(b"rsa-sha2-512").to_bytes(4, "big") + b"rsa-sha2-512" + size
    sha1 = len(b"ssh-rsa").to_bytes(4, "big") + b"ssh-rsa" + size
    at = octets.rindex(sha2)
    octets = octets[: at - 4] + (len(sha1) + 256).to_bytes(4, "big") + sha1 + octets[at + len(sha2) :]
    with pytest.raises(AnswerableError) as told:
        verified(f"{kind} {b64encode(octets).decode()}", trust=trust)
    assert (told.value.code, "SHA-1" in told.value.message) == ("ssh.certificate", True)


@pytest.mark.parametrize("key", [CA, HOST])
def test_a_revoked_key_counts_nowhere(key):
    trust = TRUSTED + f"@revoked * {ssh_line(key)}\nhost-1.example {ssh_line(HOST)}\n"
    assert code_of(ssh_certificate(HOST, CA), trust=trust) == "ssh.revoked"
    if key is HOST:
        assert code_of(ssh_line(HOST), trust=trust) == "ssh.revoked"


@pytest.mark.parametrize("key", KEYS)
def test_another_key_message_or_purpose_does_not_fit(key):
    line = ssh_certificate(key, CA)
    assert code_of(line, key=key, message=MESSAGE + b"x") == "ssh.signature"
    assert code_of(line, key=edwards_key("thief")) == "ssh.key"
    wire = b64decode(ssh_line(key).split()[1])
    forged = signature_of(edwards_key("thief"), MESSAGE, public=wire)
    expected = "ssh.signature" if key is HOST else "ssh.algorithm"
    assert code_of(line, signature=forged) == expected
    assert code_of(line, signature=signature_of(key, MESSAGE, namespace=b"git")) == "ssh.namespace"
    assert code_of(line, signature=signature_of(key, MESSAGE, hash_name=b"sha1")) == "ssh.algorithm"
    assert code_of(line, signature=signature_of(key, MESSAGE, algorithm=b"ssh-rsa")) == "ssh.algorithm"
    assert code_of(line, signature=signature_of(key, MESSAGE, hash_name=b"sha256")) == "ssh.signature"


def test_a_signature_may_name_the_certificate_instead_of_the_key():
    line = ssh_certificate(HOST, CA)
    assert verified(line, signature=signature_of(HOST, MESSAGE, public=b64decode(line.split()[1])))
    other = ssh_certificate(HOST, CA, names=("host-2.example",))
    named = signature_of(HOST, MESSAGE, public=b64decode(other.split()[1]))
    assert code_of(line, signature=named) == "ssh.key"


def test_bytes_left_over_make_an_ecdsa_signature_unfit():
    key = curve_key("host")
    line = f"host-1.example {ssh_line(key)}"
    good = b64decode("".join(signature_of(key, MESSAGE).splitlines()[1:-1]))
    parts, _ = strings(good[10:], 5)
    (name, value), _ = strings(parts[4], 2)

    def again(changed: bytes) -> str:
        def string(part: bytes) -> bytes:
            return len(part).to_bytes(4, "big") + part

        blob = string(name) + string(changed)
        return armoured(good[:10] + b"".join(map(string, (*parts[:4], blob))))

    assert verified(ssh_line(key), signature=again(value), trust=line)
    for changed in (value + b"x", value[:-1], b"", value[:5]):
        assert code_of(ssh_line(key), signature=again(changed), trust=line) == "ssh.signature"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk",
        "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\n=\n-----END SSH SIGNATURE-----\n",
        signature_of(HOST, MESSAGE).replace("U1NIU0lH", "=U1NIU0lH"),
        armoured(b"SSHSIG" + (2).to_bytes(4, "big")),
        armoured(b"SSHSIG" + (1).to_bytes(4, "big")),
        armoured(b"SSHSIG" + (1).to_bytes(4, "big") + b"\xff" * 8),
        signature_of(HOST, MESSAGE, tail=b"x"),
        signature_of(HOST, MESSAGE) * 40,
    ],
)
def test_what_is_no_signature_is_malformed(text):
    with pytest.raises(Malformed) as told:
        read_signature(text)
    assert told.value.code == "ssh.malformed"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        ssh_line(HOST) + "\nssh-ed25519 AAAA",
        "ssh-dss " + ssh_line(HOST).split()[1],
        "ssh-rsa " + ssh_line(HOST).split()[1],
        ssh_line(HOST)[:-4],
        "sk-ssh-ed25519@openssh.com " + ssh_line(HOST).split()[1],
        ssh_certificate(HOST, CA)[:-8],
        "x" * 20_000,
    ],
    ids=range(10),  # keys are made at run time, and names of tests must not be
)
def test_what_is_no_key_is_malformed(line):
    assert code_of(line) == "ssh.malformed"


def test_what_the_library_does_not_implement_is_malformed_and_no_crash():
    kind, body = ssh_line(curve_key("host")).split()
    octets = bytearray(b64decode(body))
    octets[-65] = 2  # what a compressed point begins with
    assert code_of(f"{kind} {b64encode(octets).decode()}") == "ssh.malformed"
    kind, body = ssh_certificate(HOST, curve_key("ca")).split()
    point = b64decode(ssh_line(curve_key("ca")).split()[1])[-65:]
    changed = b64decode(body).replace(point, b"\x02" + point[1:])
    assert code_of(f"{kind} {b64encode(changed).decode()}") == "ssh.certificate"


def test_small_rsa_keys_are_refused():
    small = rsa_key("small", 1024)
    assert code_of(ssh_line(small), key=small) == "ssh.malformed"
    assert code_of(ssh_certificate(small, CA), key=small) == "ssh.malformed"
    line = ssh_certificate(HOST, small)
    assert code_of(line) == "ssh.certificate"


@pytest.mark.parametrize(
    "text",
    [
        "junk",
        "host-1.example junk",
        f"*.example {ssh_line(HOST)}",
        f"|1|hash= {ssh_line(HOST)}",
        f"HOST {ssh_line(HOST)}",
        f"@unknown host {ssh_line(HOST)}",
        f"@cert-authority a*b {ssh_line(CA)}",
        f"@cert-authority * {ssh_certificate(HOST, CA)}",
        "#\n" * (ssh_host.KNOWN_MAX + 1),
        "#" * (ssh_host.TEXT_CHARS_MAX + 1),
    ],
    ids=range(10),
)
def test_known_hosts_that_are_not_understood_are_refused(text):
    with pytest.raises(Malformed) as told:
        ssh_trust(text)
    assert told.value.code == "ssh.known_hosts"


def test_line_ends_of_other_systems_are_read():
    assert verified(ssh_certificate(HOST, CA), signature=signature_of(HOST, MESSAGE).replace("\n", "\r\n"))
