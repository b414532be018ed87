"""What NATS gets wrong by itself, and where secrets could get out, on real servers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from nats.aio.msg import Msg

from answerable.adapters.nats_users import (
    NatsIssuer,
    NatsServer,
    NatsTarget,
    SystemAccount,
    tls_context,
    user_of,
)
from answerable.adapters.nats_users.revocations import revoked_in
from answerable.adapters.nats_users.tokens import signing_key, token, verified_claims
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import JSONValue, freeze
from answerable.core.lease.credential import Credential
from answerable.core.lease.name import account_of
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable
from answerable.testing.clock import ManualClock
from answerable.wiring.target_kinds import TargetWorld, kind_named
from tests.probes.waiting import past
from tests.stand_ins.nats_server import RunningNats, broker_permissions, credentials, nats_server, new_key
from tests.stand_ins.own_server import cmdlines, free_port, made_certificate
from tests.worlds.nats_lease import (
    account_claims,
    call,
    issuer_of,
    now,
    order,
    push,
    settled,
    user,
    works,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningNats]:
    with nats_server() as running:
        yield running


@pytest.fixture
async def issuer(server: RunningNats) -> AsyncIterator[NatsIssuer]:
    made = issuer_of(server)
    yield made
    await made.close()


@pytest.fixture
async def credential(issuer: NatsIssuer) -> AsyncIterator[Credential]:
    made = await issuer.issue(order())
    yield made
    await issuer.revoke(made.lease)


PAGE = Path(__file__).parents[2] / "docs/reference/adapters/nats.md"


@pytest.mark.requirement("NATS-03")
async def test_a_lease_of_a_process_that_died_is_named_while_used_and_ended_by_its_name(server):
    dead = issuer_of(server)
    credential = await dead.issue(order())
    await dead.close()
    another = issuer_of(server)
    async with NatsTarget(NatsServer(address=server.address)).connected(credential) as session:
        assert credential.lease in await another.live()
        revoked = await another.revoke(credential.lease)
        assert revoked.is_gone
        assert revoked.sessions_cut == 1
        with pytest.raises(Unavailable) as lost:
            await session.perform("publish", {"subject": "case.7.a"}, tag="t", seconds_max=5)
        assert lost.value.code == "target.lost"
    assert not await works(server, credential)
    await another.close()


@pytest.mark.requirement("NATS-03")
async def test_whoever_waits_for_an_answer_is_told_at_once_that_the_lease_has_ended(server, issuer):
    credential = await issuer.issue(order())
    async with (
        user(server) as somebody,
        NatsTarget(NatsServer(address=server.address)).connected(credential) as session,
    ):
        asked = anyio.Event()

        async def heard(_: Msg) -> None:
            asked.set()

        async def revoked() -> None:
            await asked.wait()
            await issuer.revoke(credential.lease)

        await somebody.subscribe("ask.7", cb=heard)
        await settled(somebody)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(revoked)
            with anyio.fail_after(10), pytest.raises(Unavailable) as lost:
                await session.perform("request", {"subject": "ask.7"}, tag="t", seconds_max=60)
    assert (lost.value.code, lost.value.effect) == ("target.lost", "unknown")


@pytest.mark.requirement("NATS-03")
async def test_a_name_that_was_revoked_is_not_issued_again_by_any_process(server, issuer):
    wanted = order()
    await issuer.issue(wanted)
    await issuer.revoke(wanted.name)
    another = issuer_of(server)
    with pytest.raises(Refused) as taken:
        await another.issue(wanted)
    assert taken.value.code == "lease.taken"
    await another.close()


@pytest.mark.requirement("NATS-03")
async def test_a_revocation_holds_after_a_restart_and_with_a_clock_that_was_set_back():
    with nats_server() as server:
        clock = ManualClock(now())
        issuer = issuer_of(server, clock=clock)
        credential = await issuer.issue(order(at=clock.now()))
        assert await works(server, credential)
        clock.jump(-1800)
        assert (await issuer.revoke(credential.lease)).is_gone
        assert not await works(server, credential)
        server.stop()
        server.start()
        assert not await works(server, credential)
        await issuer.close()


@pytest.mark.requirement("NATS-03")
async def test_a_revocation_that_somebody_overwrote_is_put_back_when_it_is_asked_for_again(server, issuer):
    first, second = await issuer.issue(order()), await issuer.issue(order())
    await issuer.revoke(first.lease)
    await push(server, server.account_token())
    assert await works(server, first), "the trap: a token from an administrator's files knows nothing of ours"
    await issuer.revoke(second.lease)
    assert not await works(server, first), "every push of ours puts back all that we know"
    await push(server, server.account_token())
    assert (await issuer.revoke(first.lease)).is_gone
    assert not await works(server, first)


@pytest.mark.requirement("NATS-03")
async def test_every_server_of_a_cluster_takes_a_revocation_or_it_stays_open():
    ports = free_port(), free_port()

    def cluster(own: int, other: int) -> str:
        return f"cluster {{ name: c, listen: 127.0.0.1:{own}, routes: [nats://127.0.0.1:{other}] }}\n"

    with (
        nats_server(options=cluster(*ports)) as one,
        nats_server(options=cluster(ports[1], ports[0]), like=one) as two,
    ):
        issuer = issuer_of(one, servers=2)
        credential = await issuer.issue(order())
        for _ in range(100):
            if await works(two, credential):
                break
            await anyio.sleep(0.1)
        async with NatsTarget(NatsServer(address=two.address)).connected(credential) as session:
            revoked = await _once_both_answer(issuer, credential)
            assert revoked.sessions_cut == 1
            with pytest.raises(Unavailable):
                await session.perform("publish", {"subject": "case.7.a"}, tag="t", seconds_max=5)
        assert not await works(one, credential)
        assert not await works(two, credential)
        other = await issuer.issue(order())
        two.stop()
        with pytest.raises(Unavailable) as away:
            await issuer.revoke(other.lease)
        assert away.value.code == "lease.target"
        two.start()
        assert (await _once_both_answer(issuer, other)).is_gone
        assert not await works(two, other)
        await issuer.close()


async def _once_both_answer(issuer: NatsIssuer, credential: Credential):
    """Servers need a moment to find each other."""
    for _ in range(40):
        with contextlib.suppress(Unavailable):
            return await issuer.revoke(credential.lease)
        await anyio.sleep(0.1)
    raise AssertionError("the servers did not find each other")


@pytest.mark.requirement("NATS-03")
async def test_without_a_key_of_the_operator_a_lease_says_until_when_it_lives():
    with nats_server(resolver="memory") as server:
        issuer = issuer_of(server, system=None)
        assert not issuer.traits.revocable
        credential = await issuer.issue(order(ttl_ms=3_000))
        revoked = await issuer.revoke(credential.lease)
        assert not revoked.is_gone
        assert revoked.live_until == credential.expires_at
        stranger = await issuer.revoke(order().name)
        assert stranger.live_until > now() + 3_000_000, "another process may have issued it a moment ago"
        assert await works(server, credential)
        await past(credential.expires_at + 200)
        assert not await works(server, credential)


@pytest.mark.requirement("NATS-04")
async def test_an_accounts_token_of_a_stranger_is_not_signed(server, issuer):
    credential = await issuer.issue(order())
    before = await account_claims(server)
    stranger = issuer_of(server, operator_of=lambda: new_key("O").seed)
    for attempt in (stranger.issue(order()), stranger.revoke(credential.lease)):
        with pytest.raises(Unavailable) as unsigned:
            await attempt
        assert "not signed by an operator" in unsigned.value.message
    assert await account_claims(server) == before
    await stranger.close()
    await issuer.revoke(credential.lease)


@pytest.mark.requirement("NATS-04")
async def test_all_else_in_an_accounts_token_stays(server, issuer):
    theirs = new_key("U").public
    await push(server, server.account_token(revocations={theirs: 1_700_000_000}, description="kept"))
    credential = await issuer.issue(order())
    await issuer.revoke(credential.lease)
    claims = await account_claims(server)
    assert revoked_in(claims)[theirs] == 1_700_000_000
    assert len(revoked_in(claims)) >= 2
    assert isinstance(claims["nats"], dict)
    assert claims["nats"]["description"] == "kept"
    assert claims["nats"]["signing_keys"] == [server.signing.public]


@pytest.mark.requirement("NATS-04")
def test_a_token_is_taken_from_the_right_signer_about_the_right_account_only():
    operator, account = new_key("O"), new_key("A")
    good = token({"sub": account.public, "nats": {}}, operator)
    signers = frozenset({operator.public})
    assert verified_claims(good, signers=signers, subject=account.public)["sub"] == account.public
    head, body, signature = good.split(".")
    for text, signed_by, about in [
        (good, frozenset({new_key("O").public}), account.public),
        (good, signers, new_key("A").public),
        (f"{head}.{body[:-2]}.{signature}", signers, account.public),
        (f"{head}.{body}.{signature[:-4]}AAAA", signers, account.public),
        (f"{head}.{body}", signers, account.public),
        ("", signers, account.public),
    ]:
        with pytest.raises(Malformed):
            verified_claims(text, signers=signed_by, subject=about)
    for seed in ("", "SU", account.seed[:-1], account.seed, "x" * 58):
        with pytest.raises(Malformed) as wrong:
            signing_key(seed, of="U")
        assert len(seed) < 10 or seed not in wrong.value.message


@pytest.mark.requirement("NATS-02")
async def test_a_lease_that_is_granted_nothing_to_listen_to_hears_nothing(server, issuer):
    credential = await issuer.issue(order({"publish": [["case", "7"]]}))
    done = await call(server, credential, "request", "case.7", seconds=5)
    assert done.result["isError"]
    assert "subscription" in str(done.result["content"])
    await issuer.revoke(credential.lease)


@pytest.mark.requirement("NATS-06")
async def test_secrets_are_nowhere_but_in_the_credential(server, issuer, credential):
    creds = server.broker_credentials()
    secrets = [server.operator.seed, server.account.seed, server.signing.seed, server.system.seed]
    secrets += [user_of(creds).key.seed, credential.secret.reveal("seed")]
    wrong = issuer_of(server, credentials_of=lambda: creds.replace("SU", "SA"))
    seen = [repr(issuer), repr(credential), repr(user_of(creds)), repr(server.account)]
    seen.append(str((await call(server, credential, "publish", "case.8.note")).result))
    for attempt in (
        issuer.renew(credential.lease, now()),
        wrong.issue(order()),
        issuer.granted(credential.lease),
    ):
        with pytest.raises(AnswerableError) as failed:
            await attempt
        seen += [failed.value.message, repr(failed.value), repr(failed.value.__cause__)]
    seen += [
        (server.folder / "nats.log").read_text(),
        (server.folder / "output.txt").read_text(),
        *cmdlines(),
    ]
    for secret in secrets:
        assert not [text for text in seen if secret in text]
    assert account_of(credential.lease) == credential.account


@pytest.mark.requirement("NATS-07")
async def test_the_broker_needs_the_subjects_of_the_page_and_no_others(server):
    permissions = broker_permissions("ACCOUNT")["pub"]
    assert isinstance(permissions, dict)
    subjects = permissions["allow"]
    assert isinstance(subjects, list)
    page = PAGE.read_text(encoding="utf-8")
    assert ",".join(str(one) for one in subjects) in page
    for lacking in subjects:
        kept: list[JSONValue] = [
            str(one).replace("ACCOUNT.ACCOUNT", f"ACCOUNT.{server.account.public}")
            for one in subjects
            if one != lacking
        ]
        inbox: list[JSONValue] = ["_INBOX.>"]
        own = credentials(*server.user(server.system, "b", pub={"allow": kept}, sub={"allow": inbox}))
        issuer = issuer_of(server, credentials_of=lambda own=own: own)
        with pytest.raises(Unavailable) as refused:
            await _whole_life(issuer)
        assert refused.value.code == "lease.target", lacking
        await issuer.close()


async def _whole_life(issuer: NatsIssuer) -> None:
    credential = await issuer.issue(order())
    await issuer.live()
    await issuer.revoke(credential.lease)


@pytest.mark.requirement("NATS-07")
async def test_nothing_is_said_without_tls_where_the_address_asks_for_it(server, credential, tmp_path):
    made_certificate(tmp_path)
    ca = str(tmp_path / "cert.pem")
    plain = NatsServer(address=f"tls://localhost:{server.port}", tls=tls_context(ca), connect_seconds_max=2)
    with pytest.raises(Unavailable) as refused:
        async with NatsTarget(plain).connected(credential):
            pass
    assert refused.value.code == "target.unreachable"
    options = "tls { cert_file: './cert.pem', key_file: './key.pem' }\n"
    with nats_server(options=options, prepared=made_certificate) as safe:
        own = str(safe.folder / "cert.pem")
        tried = [("localhost", own, True), ("localhost", "", False), ("127.0.0.1", own, False)]
        for host, signers, is_right in tried:
            at = NatsServer(
                address=f"tls://{host}:{safe.port}", tls=tls_context(signers), connect_seconds_max=2
            )
            system = SystemAccount(
                at, user_of=lambda: user_of(safe.broker_credentials()), servers=1, seconds_max=2
            )
            if is_right:
                assert await system.connections(safe.account.public) == []
            else:
                with pytest.raises(Unavailable):
                    await system.connections(safe.account.public)
            await system.close()


@pytest.mark.requirement("NATS-07")
async def test_settings_make_a_target_that_works_and_say_what_is_missing(server):
    kind = kind_named("nats")
    assert len(kind.faults(kind.settings())) == 3
    files: dict[str, str] = {
        "file:account": server.account.seed,
        "file:operator": server.operator.seed,
        "file:system": server.broker_credentials(),
    }
    settings = kind.settings(
        address=server.address,
        account=server.account.public,
        account_key="file:account",
        operator_key="file:operator",
        system_credentials="file:system",
    )
    assert kind.faults(settings) == ()
    asked: list[str] = []

    def secret_of(reference: str) -> bytes:
        asked.append(reference)
        return f"{files[reference]}\n".encode()

    built = kind.build(
        settings, TargetWorld(clock=SystemClock(), entropy=SystemEntropy(), secret_of=secret_of)
    )
    assert asked == []
    credential = await built.issuer.issue(order())
    async with built.target.connected(credential) as session:
        done = await session.perform("publish", {"subject": "case.7.a"}, tag="", seconds_max=5)
    assert not done.result["isError"]
    assert (await built.issuer.revoke(credential.lease)).is_gone
    assert set(asked) == set(files)
    half = kind.settings(
        address="nats://elsewhere.test", account="A", account_key="x", operator_key="x", operators=("O",)
    )
    assert len(kind.faults(half)) == 4
    for tool in built.target.tools():
        shape = freeze(dict(tool)).bytes
        assert b'"additionalProperties":false' in shape
        assert shape.count(b"Hint") == 4
