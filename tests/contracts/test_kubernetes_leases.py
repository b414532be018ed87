"""Leases on Kubernetes: the contract of issuers against a stand-in for the API server, named so."""

from __future__ import annotations

import httpx2
import pytest

from answerable.adapters.kubernetes_tokens import KubernetesIssuer
from answerable.adapters.system import SystemClock
from answerable.core.canonical import freeze
from answerable.core.lease.credential import LeaseOrder
from answerable.errors import Refused, Unavailable
from answerable.targets.bearer_api import JsonApi
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from tests.worlds.kubernetes import SCOPE, broker_token, cluster

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("K8S-01")]


def rule(**members):
    whole = {
        "apiGroups": [""],
        "resources": ["pods"],
        "resourceNames": ["web-1"],
        "verbs": ["get"],
        **members,
    }
    return freeze({"namespace": "support", "rules": [whole]})


HOSTILE = (
    rule(resourceNames=["*"]),
    rule(resourceNames=[]),
    rule(resourceNames=[""]),
    rule(resourceNames=["web-1/../web-2"]),
    rule(resourceNames=["web-1\n"]),
    rule(verbs=["*"]),
    rule(verbs=["get", "impersonate"]),
    rule(resources=["*"]),
    rule(resources=["*/log"]),
    rule(resources=["serviceaccounts/token"], resourceNames=["default"], verbs=["create"]),
    rule(apiGroups=["*"]),
    rule(apiGroups=["rbac.authorization.k8s.io"], resources=["roles"], verbs=["update"]),
    freeze({"namespace": "billing/../support", "rules": SCOPE.thaw()["rules"]}),
    freeze({"namespace": "kube-system", "rules": SCOPE.thaw()["rules"]}),
)


def labelled(cluster, namespace, kind, name) -> None:
    """An object that has our label, whosever it is."""
    cluster.put(namespace, kind, name, rules=[], subjects=[], roleRef={"name": "x"})
    cluster.objects[namespace, kind, name]["metadata"]["labels"] = {"answerable/lease": "x"}


def with_scope(order, scope) -> LeaseOrder:
    return LeaseOrder(name=order.name, scope=scope, expires_at=order.expires_at)


class ClusterBench(IssuerBench):
    scope = SCOPE
    hostile = HOSTILE

    def __init__(self) -> None:
        self.cluster = cluster()
        self.clock = SystemClock()
        api = JsonApi(what="the cluster", url=self.cluster.url, answer_seconds_max=5)
        self.issuer = KubernetesIssuer(
            api=api, token=broker_token, clock=self.clock, namespaces=("support", "billing")
        )

    def now(self):
        return self.clock.now()

    async def asked(self, credential, method, path, **options) -> bool:
        headers = {"authorization": f"Bearer {credential.secret.reveal('token')}"}
        async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
            answer = await client.request(method, self.cluster.url + path, **options)
        return answer.status_code < 300

    async def use(self, credential) -> bool:
        return await self.asked(credential, "GET", "/api/v1/namespaces/support/pods/web-1")

    def neighbours(self):
        tried = {
            "another pod": ("GET", "/api/v1/namespaces/support/pods/web-2"),
            "all pods": ("GET", "/api/v1/namespaces/support/pods"),
            "its log": ("GET", "/api/v1/namespaces/support/pods/web-1/log"),
            "another verb": ("DELETE", "/api/v1/namespaces/support/pods/web-1"),
            "another namespace": ("GET", "/api/v1/namespaces/billing/pods/web-1"),
            "a secret": ("GET", "/api/v1/namespaces/support/secrets/db"),
            "service accounts": ("GET", "/api/v1/namespaces/support/serviceaccounts"),
        }
        return {what: lambda credential, how=how: self.asked(credential, *how) for what, how in tried.items()}

    async def stop(self) -> bool:
        self.cluster.stop()
        return True

    async def start(self) -> None:
        self.cluster.start()

    async def passed(self, credential) -> None:
        self.cluster.skew_ms += credential.expires_at - self.now() + 1


@pytest.fixture
async def bench():
    made = ClusterBench()
    yield made
    await made.issuer.close()
    made.cluster.stop()


class TestKubernetesIssuerOnAStandIn(CredentialIssuerContract):
    """Not proven here: a real API server, its caches and its admission."""


@pytest.mark.requirement("K8S-02")
async def test_what_the_cluster_refuses_half_way_leaves_nothing(bench):
    beyond = rule(resources=["nodes"])
    with pytest.raises(Unavailable) as raised:
        await bench.issuer.issue(with_scope(bench.order(), beyond))
    assert raised.value.code == "lease.target"
    assert raised.value.effect == "none"
    assert "not currently held" in raised.value.message
    assert not await bench.issuer.live()


@pytest.mark.requirement("K8S-02")
@pytest.mark.parametrize(
    "kinds", [("serviceaccounts",), ("serviceaccounts", "roles"), ("roles", "rolebindings")]
)
async def test_what_a_killed_broker_left_half_made_is_known_by_its_name_and_goes(bench, kinds):
    """As a kill between two requests leaves it; another process, which remembers nothing, ends it."""
    name = bench.order().name
    for kind in kinds:
        labelled(bench.cluster, "billing", kind, f"ans-{name}")
    assert await bench.issuer.live() == (name,)
    assert (await bench.issuer.revoke(name)).is_gone
    assert not await bench.issuer.live()


@pytest.mark.requirement("K8S-02")
async def test_objects_of_others_are_never_taken_for_leases(bench):
    for called in ("ans-mine", "answers", f"ans-{'A' * 26}"):
        bench.cluster.put("support", "serviceaccounts", called)
        bench.cluster.objects["support", "serviceaccounts", called]["metadata"]["labels"] = {
            "answerable/lease": "x"
        }
    assert not await bench.issuer.live()


@pytest.mark.requirement("K8S-02")
async def test_a_list_of_leases_is_read_to_its_end(bench, monkeypatch):
    monkeypatch.setattr("answerable.adapters.kubernetes_tokens.issuer.PAGE", 2)
    names = {(await bench.issuer.issue(bench.order(number))).lease for number in range(1, 8)}
    assert set(await bench.issuer.live()) == names


@pytest.mark.requirement("K8S-03")
@pytest.mark.parametrize("skew_ms", [-3_600_000, 3_600_000])
async def test_a_cluster_whose_clock_is_off_ends_a_lease_after_as_many_seconds(bench, skew_ms):
    bench.cluster.skew_ms = skew_ms
    credential = await bench.issuer.issue(bench.order(ttl_ms=900_000))
    assert await bench.use(credential)
    assert abs(credential.expires_at - bench.now() - 900_000) < 5_000
    bench.cluster.skew_ms += 890_000
    assert await bench.use(credential)
    bench.cluster.skew_ms += 12_000
    assert not await bench.use(credential)


@pytest.mark.requirement("K8S-03")
async def test_a_lease_that_is_shorter_than_the_cluster_allows_lives_as_long_as_it_must_and_says_so(bench):
    credential = await bench.issuer.issue(bench.order(ttl_ms=1_000))
    assert 595_000 < credential.expires_at - bench.now() <= 600_000


@pytest.mark.requirement("K8S-04")
async def test_no_error_repeats_the_brokers_token(bench):
    canary = broker_token().decode()
    bench.cluster.broker_rules.clear()
    with pytest.raises(Unavailable) as raised:
        await bench.issuer.issue(bench.order())
    assert canary not in repr(raised.value) + str(raised.value) + repr(raised.value.__context__)


@pytest.mark.requirement("K8S-01")
async def test_a_scope_that_rbac_cannot_keep_is_refused(bench):
    for odd in (rule(verbs=["create"]), rule(verbs=["get", "deletecollection"])):
        with pytest.raises(Refused) as refused:
            await bench.issuer.issue(with_scope(bench.order(), odd))
        assert "resourceNames" in refused.value.message
