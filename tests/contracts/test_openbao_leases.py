"""Leases by OpenBao: the contract of issuers against a stand-in, named so, and its first promises by a real server."""

from __future__ import annotations

import json
import os

import httpx2
import pytest

from answerable.adapters.openbao import AppRole, JwtLogin, OpenBaoIssuer, OpenBaoLogin
from answerable.adapters.system import SystemClock
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import LeaseOrder
from answerable.core.lease.name import lease_name
from answerable.errors import Refused, Unavailable
from answerable.targets.bearer_api import JsonApi
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from tests.contracts.openbao_server import PATH as REAL_PATH
from tests.contracts.openbao_server import TOKEN_ROLE, openbao_server
from tests.stand_ins.openbao_stand_in import JWT, ROLE_ID, SECRET_ID, OpenBaoStandIn
from tests.stand_ins.postgres_server import session_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BAO-01")]

PATH = "database/creds/readonly"
SCOPE = freeze({"credentials": PATH})
PATHS = (
    "database/creds/other2",
    "database/creds/readonly/../other",
    "database/creds/readonly%2f..%2fother",
    "database/creds/readonly?list=true",
    "database/config/main",
    "sys/seal",
    "database/creds/readonly\n",
    "",
    None,
    [PATH],
)
HOSTILE = (
    *(freeze({"credentials": path}) for path in PATHS),
    freeze({"credentials": PATH, "terms": "x"}),
    freeze({"credentials": PATH, "terms": {"x": "y" * 5000}}),
)


class OpenBaoBench(IssuerBench):
    scope = SCOPE
    hostile = HOSTILE

    def __init__(self) -> None:
        self.bao = OpenBaoStandIn()
        self.clock = SystemClock()
        self.issuer = self.issuer_of_a_process()

    def issuer_of_a_process(self, method=None, *, namespace="", answer_seconds_max=5.0) -> OpenBaoIssuer:
        login = OpenBaoLogin(
            api=JsonApi(what="OpenBao", url=self.bao.url, answer_seconds_max=answer_seconds_max),
            method=method or AppRole(role_id=ROLE_ID, secret_id=SECRET_ID.encode),
            clock=self.clock,
            namespace=namespace,
        )
        return OpenBaoIssuer(
            login=login, paths=(PATH,), token_role="answerable", seconds_max=3600, clock=self.clock
        )

    def now(self):
        return self.clock.now()

    async def asked(self, credential, method, table) -> bool:
        auth = (credential.account, credential.secret.reveal("password"))
        async with httpx2.AsyncClient(trust_env=False, auth=auth) as client:
            return (await client.request(method, f"{self.bao.url}/db/{table}")).status_code == 200

    async def use(self, credential) -> bool:
        return await self.asked(credential, "GET", "cases")

    def neighbours(self):
        tried = {"another table": ("GET", "invoices"), "another verb": ("DELETE", "cases")}
        return {what: lambda credential, how=how: self.asked(credential, *how) for what, how in tried.items()}

    async def stop(self) -> bool:
        self.bao.stop()
        return True

    async def start(self) -> None:
        self.bao.start()

    async def passed(self, credential) -> None:
        self.bao.skew_ms += credential.expires_at - self.now() + 1000


@pytest.fixture
async def bench():
    made = OpenBaoBench()
    yield made
    await made.issuer.close()
    made.bao.stop()


class TestOpenBaoIssuerOnAStandIn(CredentialIssuerContract):
    """Not proven here: OpenBao and Vault themselves."""


@pytest.mark.requirement("BAO-02")
async def test_a_token_that_a_dead_broker_left_is_found_by_the_name_in_it_and_ended_with_what_hangs_on_it(
    bench,
):
    credential = await bench.issuer.issue(bench.order())
    other = await bench.issuer.issue(bench.order(2))
    after = bench.issuer_of_a_process()
    assert await after.live() == tuple(sorted((credential.lease, other.lease)))
    left = await after.revoke(credential.lease)
    assert "in the background" in left.left[0]
    assert left.live_until > bench.now()
    assert (await after.revoke(credential.lease)).is_gone
    assert not await bench.use(credential)
    assert await bench.use(other)
    assert await after.live() == (other.lease,)


@pytest.mark.requirement("BAO-02")
async def test_tokens_of_others_are_never_taken_for_leases(bench):
    for meta in ({}, {"answerable_lease": "x"}, {"answerable_lease": 7}, {"answerable_lease": "../../sys"}):
        bench.bao._token("lease", 60, parent="", meta=meta)
    await bench.issuer.issue(bench.order())
    assert await bench.issuer.live() == (bench.order().name,)
    await bench.issuer_of_a_process().revoke(bench.order(5).name)
    assert len(bench.bao.tokens) == 7


@pytest.mark.requirement("BAO-02")
async def test_a_system_that_does_not_let_go_of_an_account_is_tried_again_until_it_does(bench):
    credential = await bench.issuer.issue(bench.order())
    bench.bao.is_database_down = True
    for _ in range(2):
        with pytest.raises(Unavailable) as raised:
            await bench.issuer.revoke(credential.lease)
        assert raised.value.code == "lease.target"
    bench.bao.is_database_down = False
    assert (await bench.issuer.revoke(credential.lease)).is_gone
    assert not await bench.use(credential)


@pytest.mark.requirement("BAO-02")
@pytest.mark.parametrize(
    "given", [{"lease_id": ""}, {"lease_id": None}, {"data": {}}, {"data": {"username": 7}}]
)
async def test_a_secret_without_a_lease_or_a_text_is_not_used_and_its_token_is_ended(bench, given):
    bench.bao.given = given
    with pytest.raises(Unavailable):
        await bench.issuer.issue(bench.order())
    assert not await bench.issuer.live()
    assert not bench.bao.accounts


@pytest.mark.requirement("BAO-03")
async def test_leases_end_with_the_login_and_are_made_with_one_that_lasts(bench):
    bench.bao.login_seconds = 100
    first = await bench.issuer.issue(bench.order())
    second = await bench.issuer.issue(bench.order(2, ttl_ms=90_000))
    logins = [asked for asked in bench.bao.asked if asked.path.endswith("/login")]
    assert len(logins) == 2
    assert await bench.use(first)
    assert await bench.use(second)
    third = await bench.issuer.issue(bench.order(3, ttl_ms=600_000))
    assert third.expires_at - bench.now() <= 100_000
    with pytest.raises(Refused) as refused:
        await bench.issuer.renew(third.lease, UnixMillis(bench.now() + 200_000))
    assert refused.value.code == "lease.renewal"


@pytest.mark.requirement("BAO-03")
@pytest.mark.parametrize("skew_ms", [-3_600_000, 3_600_000])
async def test_an_openbao_whose_clock_is_off_ends_a_lease_after_as_many_seconds(bench, skew_ms):
    bench.bao.skew_ms = skew_ms
    credential = await bench.issuer.issue(bench.order())
    bench.bao.skew_ms += 50_000
    assert await bench.use(credential)
    bench.bao.skew_ms += 12_000
    assert not await bench.use(credential)


@pytest.mark.requirement("BAO-03")
async def test_a_login_that_does_not_answer_leaves_nothing_and_ends_in_time(bench):
    issuer = bench.issuer_of_a_process(answer_seconds_max=0.2)
    with bench.bao.lock, pytest.raises(Unavailable) as raised:
        await issuer.issue(bench.order())
    assert raised.value.effect == "none"
    assert [asked.path for asked in bench.bao.asked] in ([], ["/v1/auth/approle/login"])


@pytest.mark.requirement("BAO-03")
async def test_a_login_that_was_revoked_is_made_again(bench):
    await bench.issuer.issue(bench.order())
    bench.bao.tokens.clear()
    assert await bench.use(await bench.issuer.issue(bench.order(2)))


@pytest.mark.requirement("BAO-03")
async def test_what_openbao_does_not_renew_is_not_said_to_be_renewed(bench):
    credential = await bench.issuer.issue(bench.order())
    bench.bao.is_renewable = False
    with pytest.raises(Refused) as refused:
        await bench.issuer.renew(credential.lease, UnixMillis(credential.expires_at + 1000))
    assert refused.value.code == "lease.renewal"
    bench.bao.is_renewable = True
    with pytest.raises(Refused) as refused:
        await bench.issuer.renew(credential.lease, UnixMillis(bench.now() + 3_599_000_000))
    assert refused.value.code == "lease.renewal"


@pytest.mark.requirement("BAO-03")
async def test_login_by_jwt_and_in_a_namespace(bench):
    bench.bao.namespace = "team/one"
    method = JwtLogin(role="broker", token=JWT.encode)
    issuer = bench.issuer_of_a_process(method, namespace="team/one")
    assert await bench.use(await issuer.issue(bench.order()))
    assert (await issuer.revoke(bench.order().name)).is_gone
    await issuer.close()


@pytest.mark.requirement("BAO-04")
async def test_no_error_and_no_representation_repeats_a_secret(bench):
    wrong = AppRole(role_id=ROLE_ID, secret_id="wrong-canary-0011".encode)
    issuer = bench.issuer_of_a_process(wrong)
    with pytest.raises(Unavailable) as raised:
        await issuer.issue(bench.order())
    assert raised.value.effect == "none"
    shown = repr(raised.value) + repr(wrong) + repr(JwtLogin(role="broker", token=JWT.encode))
    assert "canary" not in shown
    token = await bench.issuer._login.token()
    assert token.text not in repr(token)


@pytest.mark.requirement("BAO-04")
async def test_terms_and_whatever_the_secret_holds_go_with_the_credential(bench):
    order = bench.order()
    scope = freeze({"credentials": PATH, "terms": {"database": "support", "rows_max": 10}})
    credential = await bench.issuer.issue(
        LeaseOrder(name=order.name, scope=scope, expires_at=order.expires_at)
    )
    assert json.loads(credential.secret.reveal("terms")) == {"database": "support", "rows_max": 10}
    assert credential.account.startswith("v-readonly-")


@pytest.fixture
def real(tmp_path):
    with session_postgres() as postgres, openbao_server(postgres, tmp_path) as bao:
        yield postgres, bao


@pytest.mark.requirement("BAO-01")
async def test_a_real_server_keeps_the_same_promises(real):
    clock = SystemClock()
    postgres, bao = real
    login = OpenBaoLogin(
        api=JsonApi(what="OpenBao", url=bao.url),
        method=AppRole(role_id=bao.role_id, secret_id=lambda: bao.secret_id),
        clock=clock,
    )
    issuer = OpenBaoIssuer(
        login=login, paths=(REAL_PATH,), token_role=TOKEN_ROLE, seconds_max=3600, clock=clock
    )
    order = LeaseOrder(
        name=lease_name(os.urandom(16)),
        scope=freeze({"credentials": REAL_PATH}),
        expires_at=UnixMillis(clock.now() + 60_000),
    )
    credential = await issuer.issue(order)
    role = f"SELECT 1 FROM pg_roles WHERE rolname = '{credential.account}'"
    assert await postgres.run(role)
    assert order.name in await issuer.live()
    assert (await issuer.revoke(order.name)).is_gone
    assert not await postgres.run(role)
    assert order.name not in await issuer.live()
    await issuer.close()
