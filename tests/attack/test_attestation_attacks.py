"""Whoever tries to be taken for another workload."""

from __future__ import annotations

import json
import threading
from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.serialization.ssh import SSHCertificateType

from answerable.adapters.sqlite import SqliteStore
from answerable.adapters.sqlite.join_tokens import SqliteJoinTokens
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.attestation import (
    RegistrationEntry,
    matching_agent,
    possession_message,
)
from answerable.errors import AnswerableError
from answerable.testing import ManualClock
from tests.worlds.attestation import (
    CLUSTER,
    ISSUER,
    SECONDS,
    THUMBPRINT,
    Authority,
    GivenKeys,
    attestor,
    claims,
    curve_key,
    edwards_key,
    jose_key,
    key_set,
    kubernetes_claims,
    mac_token,
    possession,
    public_jwk,
    rsa_key,
    ssh_certificate,
    ssh_line,
    ssh_signature,
    token,
    unsigned_token,
)

RACERS = 64


def code_of(ask) -> str:
    with pytest.raises(AnswerableError) as told:
        ask()
    return told.value.code


async def oidc_code(text, *, keys=None, clock=None) -> str:
    with pytest.raises(AnswerableError) as told:
        await attestor(keys=keys, clock=clock).oidc(text)
    return told.value.code


# --- join tokens ----------------------------------------------------------------------------------


@pytest.mark.requirement("ATTEST-04")
def test_of_64_racing_uses_of_a_join_token_one_wins(tmp_path):
    stores = [SqliteStore.open(tmp_path / "registers.db") for _ in range(4)]
    desks = [attestor(tokens=SqliteJoinTokens(store)) for store in stores]
    text = desks[0].new_join_token("first", AgentId("biller"))
    won: list[object] = []
    codes: list[str] = []
    barrier = threading.Barrier(RACERS)

    def race(number: int) -> None:
        barrier.wait()
        try:
            won.append(desks[number % 4].join_token(text))
        except AnswerableError as told:
            codes.append(told.code)

    racers = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert (len(won), set(codes), len(codes)) == (1, {"join_token.refused"}, RACERS - 1)


@pytest.mark.requirement("ATTEST-04")
def test_an_expired_join_token_and_one_from_the_future_are_refused_and_look_alike():
    clock = ManualClock()
    desk = attestor(clock=clock)
    text = desk.new_join_token("first", AgentId("biller"), seconds=60)
    clock.jump(-10)
    messages = []
    for seconds in (0, 70, 3600):
        clock.jump(seconds)
        with pytest.raises(AnswerableError) as told:
            desk.join_token(text)
        messages.append((told.value.code, told.value.message))
    assert len(set(messages)) == 1


@pytest.mark.requirement("ATTEST-04", "ATTEST-02")
def test_a_join_token_of_one_agent_does_not_enrol_as_another():
    desk = attestor()
    evidence = desk.join_token(desk.new_join_token("first", AgentId("biller")))
    entry = RegistrationEntry(agent=AgentId("payer"), selectors=frozenset({"join_token:name:first"}))
    assert matching_agent([entry], evidence.selectors) is None


# --- tokens of issuers ----------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.requirement("ATTEST-05")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (claims(iss="https://foreign.test"), "oidc.issuer"),
        (claims(iss=ISSUER + "/"), "oidc.issuer"),
        (claims(aud=["answerable", "other"]), "oidc.audience"),
        (claims(aud="other"), "oidc.audience"),
        (claims(exp=SECONDS - 61, iat=SECONDS - 600, nbf=None), "oidc.expired"),
        (claims(iat=SECONDS + 300, exp=SECONDS + 600, nbf=None), "oidc.future"),
        (claims(nbf=SECONDS + 300), "oidc.future"),
        (claims(exp=SECONDS + 10_000_000), "oidc.lifetime"),
    ],
)
async def test_a_token_of_others_for_others_or_of_another_time_is_refused(body, code):
    assert await oidc_code(token(body)) == code


@pytest.mark.anyio
@pytest.mark.requirement("ATTEST-05")
@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", "ES256K", "RS1", "dir"]
)
async def test_no_signature_and_no_mac_passes_for_one(alg):
    assert await oidc_code(unsigned_token(claims(), alg, kid="ES256-issuer")) in {
        "oidc.algorithm",
        "oidc.malformed",
    }
    with_mac = token(claims()).rsplit(".", 1)[1]
    assert await oidc_code(unsigned_token(claims(), alg, kid="ES256-issuer") + with_mac) == "oidc.algorithm"


def _public_texts() -> list[bytes]:
    public = rsa_key("issuer").public_key()
    return [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(public_jwk("RS256")).encode(),
        str(jose_key("RS256").as_dict(private=False)["n"]).encode(),
    ]


@pytest.mark.anyio
@pytest.mark.requirement("ATTEST-05")
@pytest.mark.parametrize("form", range(4))
async def test_a_mac_under_the_public_key_is_refused(form):
    keys = GivenKeys(**{ISSUER: key_set(public_jwk("RS256"))})
    assert await oidc_code(mac_token(claims(), _public_texts()[form], kid="RS256-issuer"), keys=keys) == (
        "oidc.algorithm"
    )


@pytest.mark.anyio
@pytest.mark.requirement("ATTEST-05")
async def test_key_ids_cannot_lead_to_another_key():
    thief = public_jwk("ES256", "thief", kid="ES256-issuer")
    good = public_jwk("ES256")
    text = token(claims(), "ES256", "thief", kid="ES256-issuer")
    assert await oidc_code(text) == "oidc.signature"
    # The same id twice names nobody, in either order.
    for order in ((good, thief), (thief, good)):
        assert await oidc_code(text, keys=GivenKeys(**{ISSUER: key_set(*order)})) == "oidc.key"
    # Keys that the token brings along, or says where to find.
    own = jose_key("ES256", "thief").as_dict(private=False)
    for header in (
        {"jwk": own},
        {"x5c": ["AAAA"]},
        {"jku": "https://thief.test"},
        {"x5u": "https://thief.test"},
    ):
        code = await oidc_code(token(claims(), "ES256", "thief", **header))
        assert code in {"oidc.header", "oidc.malformed"}
    for odd in ("../keys", "", "ES256-issuer\x00", "' OR 1=1 --"):
        assert await oidc_code(token(claims(), kid=odd)) == "oidc.key"
    # The id is right, the algorithm another: RSA keys do not check ECDSA.
    both = GivenKeys(**{ISSUER: key_set(public_jwk("RS256", kid="k"), public_jwk("ES384", kid="l"))})
    assert await oidc_code(token(claims(), "ES256", kid="k"), keys=both) == "oidc.key"
    assert await oidc_code(token(claims(), "ES256", kid="l"), keys=both) == "oidc.key"


@pytest.mark.anyio
@pytest.mark.requirement("ATTEST-06")
async def test_another_issuer_cannot_speak_for_the_cluster():
    """Both issuers are configured; the plain one writes what the cluster would."""
    found = await attestor().oidc(token(kubernetes_claims(iss=ISSUER, aud="answerable")))
    assert not [one for one in found.selectors if one.startswith("k8s:")]
    # And under the cluster's name its keys do not check.
    keys = GivenKeys(
        **{ISSUER: key_set(public_jwk("ES256")), CLUSTER: key_set(public_jwk("ES256", "cluster"))}
    )
    assert await oidc_code(token(kubernetes_claims()), keys=keys) == "oidc.key"


# --- proofs of possession -------------------------------------------------------------------------

ROOT = Authority("root")
KEY, HOST, CA = curve_key("leaf"), edwards_key("host"), edwards_key("ca")
KNOWN = f"@cert-authority *.example {ssh_line(CA)}\n"


def desk(clock=None):
    return attestor(clock=clock, pem=ROOT.pem, known_hosts=KNOWN)


@pytest.mark.requirement("ATTEST-08", "ATTEST-10")
def test_a_proof_for_another_challenge_key_or_process_is_refused():
    here, there = desk(), attestor(pem=ROOT.pem, clock=ManualClock(monotonic=5.0))
    leaf = [ROOT.leaf(KEY)]
    challenge, other = here.challenge(), here.challenge()
    made = possession(KEY, possession_message(challenge, THUMBPRINT))
    assert code_of(lambda: here.x509_pop(leaf, made, other, THUMBPRINT)) == "x509_pop.signature"
    assert code_of(lambda: here.x509_pop(leaf, made, challenge, "B" * 43)) == "x509_pop.signature"
    assert code_of(lambda: here.x509_pop(leaf, made, "made-up", THUMBPRINT)) == "challenge.unknown"
    assert code_of(lambda: there.x509_pop(leaf, made, challenge, THUMBPRINT)).startswith("challenge.")
    assert here.x509_pop(leaf, made, challenge, THUMBPRINT), "nothing was used up"


@pytest.mark.requirement("ATTEST-10")
def test_of_racing_copies_of_a_proof_one_wins():
    here = desk()
    challenge = here.challenge()
    made = possession(KEY, possession_message(challenge, THUMBPRINT))
    won, codes = [], []
    barrier = threading.Barrier(16)

    def race() -> None:
        barrier.wait()
        try:
            won.append(here.x509_pop([ROOT.leaf(KEY)], made, challenge, THUMBPRINT))
        except AnswerableError as told:
            codes.append(told.code)

    racers = [threading.Thread(target=race) for _ in range(16)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert (len(won), set(codes)) == (1, {"challenge.used"})


@pytest.mark.requirement("ATTEST-10")
def test_a_flood_of_challenges_keeps_nobody_out_and_a_clock_set_back_brings_none_back():
    clock = ManualClock()
    here = desk(clock)
    challenge = here.challenge()
    for _ in range(20_000):
        here.challenge()
    made = possession(KEY, possession_message(challenge, THUMBPRINT))
    assert here.x509_pop([ROOT.leaf(KEY)], made, challenge, THUMBPRINT)
    clock.jump(-3600)
    assert code_of(lambda: here.x509_pop([ROOT.leaf(KEY)], made, challenge, THUMBPRINT)) in {
        "challenge.used",
        "x509_pop.chain",
    }
    clock.jump(3600)
    assert code_of(lambda: here.x509_pop([ROOT.leaf(KEY)], made, challenge, THUMBPRINT)) == "challenge.used"


@pytest.mark.requirement("ATTEST-08")
def test_a_certificate_without_its_key_and_one_of_strangers_prove_nothing():
    here = desk()
    challenge = here.challenge()
    thief = curve_key("thief")
    message = possession_message(challenge, THUMBPRINT)
    stranger = Authority("root-by-name-only")
    stranger.name = ROOT.name
    for chain, key in (([ROOT.leaf(KEY)], thief), ([ROOT.leaf(KEY), stranger.leaf(thief)], thief)):
        made = possession(key, message)
        code = code_of(lambda chain=chain, made=made: here.x509_pop(chain, made, challenge, THUMBPRINT))
        assert code == "x509_pop.signature"
    for chain in (
        [stranger.leaf(thief)],
        [stranger.leaf(thief), ROOT.der],
        [stranger.leaf(thief), stranger.der],
    ):
        made = possession(thief, message)
        code = code_of(lambda chain=chain, made=made: here.x509_pop(chain, made, challenge, THUMBPRINT))
        assert code == "x509_pop.chain"


@pytest.mark.requirement("ATTEST-09")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        (ssh_certificate(HOST, CA, kind=SSHCertificateType.USER, names=("root",)), "ssh.certificate"),
        (ssh_certificate(HOST, CA, kind=SSHCertificateType.USER), "ssh.certificate"),
        (ssh_certificate(HOST, edwards_key("ca-of-others")), "ssh.unknown"),
        (ssh_certificate(HOST, HOST), "ssh.unknown"),
        (ssh_certificate(HOST, CA, names=("host.elsewhere",)), "ssh.certificate"),
        (ssh_certificate(HOST, CA, names=("*",)), "ssh.certificate"),
        (ssh_certificate(HOST, CA, valid=(SECONDS - 60, SECONDS - 1)), "ssh.expired"),
        (ssh_line(HOST), "ssh.unknown"),
        (ssh_line(CA), "ssh.unknown"),
    ],
    ids=range(9),
)
def test_an_ssh_identity_that_is_not_a_hosts_of_ours_is_refused(line, code):
    here = desk()
    challenge = here.challenge()
    made = ssh_signature(HOST, possession_message(challenge, THUMBPRINT))
    assert code_of(lambda: here.ssh(line, made, challenge, THUMBPRINT)) == code


@pytest.mark.requirement("ATTEST-09", "ATTEST-10")
def test_an_ssh_signature_made_for_something_else_is_refused():
    here = desk()
    challenge = here.challenge()
    line = ssh_certificate(HOST, CA)
    message = possession_message(challenge, THUMBPRINT)
    wire = b64decode(ssh_line(HOST).split()[1])
    for made, code in (
        (ssh_signature(HOST, message, namespace=b"git"), "ssh.namespace"),
        (ssh_signature(HOST, message, namespace=b"answerable-enrol\x00"), "ssh.namespace"),
        (ssh_signature(HOST, possession_message(here.challenge(), THUMBPRINT)), "ssh.signature"),
        (ssh_signature(HOST, possession_message(challenge, "B" * 43)), "ssh.signature"),
        (ssh_signature(edwards_key("thief"), message), "ssh.key"),
        (ssh_signature(edwards_key("thief"), message, public=wire), "ssh.signature"),
    ):
        assert code_of(lambda made=made: here.ssh(line, made, challenge, THUMBPRINT)) == code
    good = ssh_signature(HOST, message)
    assert here.ssh(line, good, challenge, THUMBPRINT)
    assert code_of(lambda: here.ssh(line, good, challenge, THUMBPRINT)) == "challenge.used"
