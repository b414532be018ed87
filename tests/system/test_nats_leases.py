"""What NATS alone gets wrong by itself, on real servers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from nats.aio.msg import Msg

from answerable.adapters.nats_users import (
    NatsIssuer,
    NatsServer,
    NatsTarget,
)
from answerable.adapters.nats_users.revocations import revoked_in
from answerable.adapters.nats_users.tokens import signing_key, token, verified_claims
from answerable.core.lease.credential import Credential
from answerable.errors import Malformed, Refused, Unavailable
from answerable.targets.addresses import tls_context
from answerable.testing.clock import ManualClock
from answerable.wiring.target_kinds import kind_named
from tests.probes.waiting import past
from tests.stand_ins.nats_server import RunningNats, nats_server, new_key
from tests.stand_ins.own_server import made_certificate
from tests.stand_ins.ports import free_port
from tests.worlds.nats_lease import (
    account_claims,
    call,
    issuer_of,
    issuer_on,
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
async def issuer(server):
    async with issuer_on(server) as made:
        yield made


@pytest.fixture
async def credential(issuer: NatsIssuer) -> AsyncIterator[Credential]:
    made = await issuer.issue(order())
    yield made
    await issuer.revoke(made.lease)


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


@pytest.mark.requirement("NATS-07")
async def test_nothing_is_said_without_tls_where_the_address_asks_for_it(server, credential, tmp_path):
    made_certificate(tmp_path)
    ca = str(tmp_path / "cert.pem")
    plain = NatsServer(address=f"tls://localhost:{server.port}", tls=tls_context(ca), connect_seconds_max=2)
    with pytest.raises(Unavailable) as refused:
        async with NatsTarget(plain).connected(credential):
            pass
    assert refused.value.code == "target.unreachable"


@pytest.mark.requirement("NATS-07")
def test_settings_that_nobody_could_connect_with_have_a_fault_each():
    kind = kind_named("nats")
    half = kind.settings(
        address="nats://elsewhere.test", account="A", account_key="x", operator_key="x", operators=("O",)
    )
    assert len(kind.faults(half)) == 4
