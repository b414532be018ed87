"""The kinds `kubernetes`, `github_app`, `aws` and `openbao` as settings build them: a lease from its issue to its end,
with the tool, and a secret of each kind looked for wherever it could have gone."""

from __future__ import annotations

import json
import logging
import ssl
import subprocess
from pathlib import Path

import httpx2
import pytest

from answerable.adapters.system import SystemClock
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import LeaseOrder
from answerable.core.lease.name import lease_name
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable
from answerable.targets.kind import TargetContext
from answerable.testing.entropy import SeededEntropy
from answerable.wiring.target_kinds import kind_named
from tests.contracts.test_aws_leases import SCOPE as AWS_SCOPE
from tests.contracts.test_aws_leases import server
from tests.contracts.test_github_leases import KEY, KEY_PEM
from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.github_stand_in import APP, INSTALLATION, OWNER, GitHubStandIn
from tests.stand_ins.kubernetes_stand_in import BROKER_TOKEN
from tests.stand_ins.moto_server import BUCKET, REGION, ROLE
from tests.stand_ins.openbao_stand_in import ROLE_ID, SECRET_ID, OpenBaoStandIn
from tests.worlds.kubernetes import SCOPE as K8S_SCOPE
from tests.worlds.kubernetes import cluster

__all__ = ["server"]
pytestmark = pytest.mark.anyio

CLOCK = SystemClock()


def built(kind, secrets, **settings):
    found = kind_named(kind)
    chosen = found.settings(**settings)
    assert not found.faults(chosen)
    world = TargetContext(clock=CLOCK, entropy=SeededEntropy(), secret_of=lambda name: secrets[name])
    return found.build(chosen, world)


def order(scope, number=1):
    return LeaseOrder(
        name=lease_name(number.to_bytes(16, "big")), scope=scope, expires_at=UnixMillis(CLOCK.now() + 60_000)
    )


async def lived(made, scope, arguments, caplog, canaries):
    """One lease: issued, used by the tool, revoked, and refused by the target afterwards. What it left in words."""
    caplog.set_level(logging.DEBUG)
    credential = await made.issuer.issue(order(scope))
    said = [repr(credential)]
    async with made.target.connected(credential) as session:
        done = await session.perform("request", arguments, tag="act1", seconds_max=5)
        assert not done.result["isError"], done.result
        with pytest.raises(Refused) as refused:
            await session.perform("request", {"method": "GET"}, tag="", seconds_max=5)
        revoked = await made.issuer.revoke(credential.lease)
        assert revoked.is_gone
        after = await session.perform("request", arguments, tag="act1", seconds_max=5)
        assert after.result["isError"]
        said += [repr(session), json.dumps(done.result), json.dumps(after.result), repr(refused.value)]
    said += [repr(done.session), repr(revoked), caplog.text, command_lines()]
    kept = [credential.secret.reveal(name) for name in credential.secret.names()]
    rights = ("requests", "actions")
    hidden = [
        *canaries,
        *(one for one, name in zip(kept, credential.secret.names(), strict=True) if name not in rights),
    ]
    # The id of a key of AWS is no secret: it is told on purpose.
    for canary in (one for one in hidden if not one.startswith("ASIA")):
        for text in said:
            assert canary not in text
    return done


def command_lines() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


@pytest.mark.requirement("K8S-04", "K8S-05")
async def test_a_lease_on_kubernetes_from_its_issue_to_its_end(caplog):
    api = cluster()
    secrets = {"file:token": BROKER_TOKEN.encode()}
    made = built("kubernetes", secrets, url=api.url, token="file:token", namespaces=("support",))
    asked = {"method": "GET", "path": "/api/v1/namespaces/support/pods/web-1"}
    done = await lived(made, K8S_SCOPE, asked, caplog, [BROKER_TOKEN])
    assert done.session == (("kubernetes_audit_id", "act1"),)
    assert done.result["structuredContent"]["json"]["metadata"]["name"] == "web-1"
    api.stop()


@pytest.mark.requirement("GITHUB-04", "GITHUB-06")
async def test_a_lease_on_github_from_its_issue_to_its_end(caplog):
    api = GitHubStandIn(KEY)
    made = built(
        "github_app",
        {"file:key": KEY_PEM},
        url=api.url,
        app=APP,
        key="file:key",
        installation=INSTALLATION,
        owner=OWNER,
    )
    lets = [{"methods": ["GET"], "path": "/repos/octo/hello/issues", "query": {"state": True}}]
    scope = freeze({"repositories": ["octo/hello"], "permissions": {"issues": "write"}, "requests": lets})
    asked = {"method": "GET", "path": "/repos/octo/hello/issues", "query": {"state": "open"}}
    key = KEY_PEM.decode().splitlines()[1]
    done = await lived(made, scope, asked, caplog, [key])
    assert dict(done.session)["github_request_id"].endswith(":1")
    credential = await made.issuer.issue(order(scope, 2))
    async with made.target.connected(credential) as session:
        for other in (
            {"method": "POST", "path": "/repos/octo/hello/issues", "body": {"title": "x"}},
            {"method": "GET", "path": "/repos/octo/hello/contents/a"},
            {"method": "POST", "path": "/graphql", "body": {"query": "{}"}},
            {"method": "DELETE", "path": "/installation/token"},
        ):
            with pytest.raises(Refused) as refused:
                await session.perform("request", other, tag="", seconds_max=5)
            assert refused.value.code == "target.arguments"
    api.stop()


@pytest.mark.requirement("AWS-05", "AWS-06")
async def test_a_lease_on_aws_from_its_issue_to_its_end(caplog, server):
    server.reset()
    secret = server.broker["secret_key"]
    made = built(
        "aws",
        {"file:secret": secret.encode() + b"\n"},
        region=REGION,
        roles=(ROLE,),
        access_key=server.broker["access_key"],
        secret_key="file:secret",
        endpoint=server.endpoint,
        denies=True,
    )
    asked = {"service": "s3", "operation": "GetObject", "parameters": {"Bucket": BUCKET, "Key": "42/a"}}
    done = await lived(made, AWS_SCOPE, asked, caplog, [secret])
    assert done.result["structuredContent"]["answer"]["Body"] == {"text": "text of the case"}


@pytest.mark.requirement("BAO-04", "BAO-05")
async def test_a_lease_by_openbao_is_acted_with_by_the_kind_of_the_settings(caplog):
    caplog.set_level(logging.DEBUG)
    api = OpenBaoStandIn()
    made = built(
        "openbao",
        {"file:secret": SECRET_ID.encode()},
        url=api.url,
        role_id=ROLE_ID,
        secret_id="file:secret",
        paths=("database/creds/readonly",),
        acts_by="postgres",
        acts_with='databases = ["support"]\nport = 1\n',
    )
    terms = {"database": "support", "rows_max": 1, "seconds": 1}
    credential = await made.issuer.issue(
        order(freeze({"credentials": "database/creds/readonly", "terms": terms}))
    )
    assert next(tool["name"] for tool in made.target.tools()) == "query"
    with pytest.raises(Unavailable) as raised:
        async with made.target.connected(credential):
            pass
    assert raised.value.code == "target.connection"
    await made.issuer.revoke(credential.lease)
    for canary in (SECRET_ID, credential.secret.reveal("password")):
        assert canary not in caplog.text + repr(raised.value) + repr(credential) + command_lines()
    api.stop()


def unreadable(_):
    raise Malformed("the file is not there", code="settings.secret")


@pytest.mark.requirement("AWS-05", "BAO-04", "GITHUB-04", "K8S-04")
@pytest.mark.parametrize("secret_of", [unreadable, lambda _: b"canary-\xff\n\xfe"])
@pytest.mark.parametrize("kind", ["aws", "github_app", "kubernetes", "openbao"])
async def test_a_secret_that_cannot_be_read_or_sent_is_a_target_that_cannot_be_asked(kind, secret_of, server):
    server.reset()
    deputy_validity = {
        "github_app": lambda: GitHubStandIn(KEY),
        "kubernetes": cluster,
        "openbao": OpenBaoStandIn,
    }
    api = deputy_validity[kind]() if kind in deputy_validity else None
    settings = {
        "aws": {
            "region": REGION,
            "roles": (ROLE,),
            "access_key": server.broker["access_key"],
            "secret_key": "file:secret",
            "endpoint": server.endpoint,
        },
        "github_app": {"app": APP, "key": "file:key", "installation": INSTALLATION, "owner": OWNER},
        "kubernetes": {"token": "file:token", "namespaces": ("support",)},
        "openbao": {
            "role_id": ROLE_ID,
            "secret_id": "file:secret",
            "paths": ("database/creds/readonly",),
            "acts_by": "postgres",
            "acts_with": 'databases = ["support"]',
        },
    }
    scope = {
        "aws": AWS_SCOPE,
        "github_app": freeze({"repositories": ["octo/hello"], "permissions": {"issues": "read"}}),
        "kubernetes": K8S_SCOPE,
        "openbao": freeze({"credentials": "database/creds/readonly"}),
    }
    found = kind_named(kind)
    chosen = found.settings(**settings[kind] | ({"url": api.url} if api else {}))
    world = TargetContext(clock=CLOCK, entropy=SeededEntropy(), secret_of=secret_of)
    with pytest.raises(Unavailable) as raised:
        await found.build(chosen, world).issuer.issue(order(scope[kind]))
    assert (raised.value.code, raised.value.effect) == ("lease.target", "none")
    assert "canary" not in repr(raised.value)
    if api:
        api.stop()


@pytest.mark.requirement("BAO-05")
@pytest.mark.parametrize(
    ("acts_by", "acts_with", "fault"),
    [
        ("", "", "acts_by"),
        ("openbao", "", "acts_by"),
        ("unheard-of", "", "unknown kind of target"),
        ("postgres", "{", "not TOML"),
        ("postgres", "unheard = 1", "unknown setting"),
        ("postgres", 'port = "x"', "whole number"),
        ("postgres", "port = 0", "1 to"),
        ("postgres", "databases = [1]", "list of texts"),
        ("postgres", 'password = "canary"', "reference"),
        ("postgres", "", "databases"),
    ],
)
def test_settings_of_who_acts_are_checked_as_its_own(acts_by, acts_with, fault):
    kind = kind_named("openbao")
    found = kind.faults(kind.settings(acts_by=acts_by, acts_with=acts_with))
    assert any(fault in one for one in found), found
    assert "canary" not in repr(found)


@pytest.mark.requirement("K8S-05")
async def test_the_certificate_of_an_api_is_checked(tmp_path):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=tmp_path)

    try:
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        )
    except FileNotFoundError:
        skip_loudly("openssl", "apt-get install openssl", name="openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    api = cluster(tls=context)
    secrets = {"file:token": BROKER_TOKEN.encode(), "file:ca": (tmp_path / "cert.pem").read_bytes()}
    settings = {"url": api.url, "token": "file:token", "namespaces": ("support",)}
    with pytest.raises(Unavailable) as raised:
        await built("kubernetes", secrets, **settings).issuer.issue(order(K8S_SCOPE))
    assert raised.value.effect == "none"
    assert not api.asked
    made = built("kubernetes", secrets, **settings, authorities="file:ca")
    credential = await made.issuer.issue(order(K8S_SCOPE))
    async with made.target.connected(credential) as session:
        asked = {"method": "GET", "path": "/api/v1/namespaces/support/pods/web-1"}
        assert not (await session.perform("request", asked, tag="", seconds_max=5)).result["isError"]
    assert httpx2.URL(api.url).scheme == "https"
    with pytest.raises(AnswerableError) as malformed:
        built("kubernetes", {**secrets, "file:ca": b"none"}, **settings, authorities="file:ca")
    assert malformed.value.code == "target.authorities"
    api.stop()
