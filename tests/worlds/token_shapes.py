"""Tokens of well-known issuers, claim by claim as their documents show them, which `oidc_shapes` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/DataProcessingRole"
AWS = "https://sts.amazonaws.com/"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """kind: of the issuer. path: of its address. claims: beside issuer, audience and times. header: of the token.

    gives: the selectors of this shape, all of them.
    """

    kind: str
    claims: Mapping[str, Any]
    gives: frozenset[str]
    path: str = ""
    header: Mapping[str, Any] | None = None

    def with_claims(self, **changed: Any) -> dict[str, Any]:
        """The claims with some changed; None takes one out."""
        return {**self.claims, **changed}


KUBERNETES = Shape(
    kind="kubernetes",
    header={"typ": None},
    claims={
        "jti": "5f0e8a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f",
        "kubernetes.io": {
            "namespace": "prod",
            "node": {"name": "node-1", "uid": "7a0e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f"},
            "pod": {"name": "biller-5c4d", "uid": "1d3e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f"},
            "serviceaccount": {"name": "biller", "uid": "9b9e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f"},
            "warnafter": 1795003600,
        },
        "sub": "system:serviceaccount:prod:biller",
    },
    gives=frozenset(
        {
            "k8s:ns:prod",
            "k8s:sa:biller",
            "k8s:sa_uid:9b9e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f",
            "k8s:pod:biller-5c4d",
            "k8s:pod_uid:1d3e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f",
            "k8s:node:node-1",
            "k8s:node_uid:7a0e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f",
        }
    ),
)
GITHUB = Shape(
    kind="github",
    path="/_services/token",
    header={"typ": "JWT"},
    claims={
        "sub": "repo:acme/biller:environment:production",
        "ref": "refs/heads/main",
        "sha": "5a4d1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2",
        "repository": "acme/biller",
        "repository_owner": "acme",
        "repository_id": "74",
        "repository_owner_id": "65",
        "repository_visibility": "private",
        "run_id": "30433642",
        "run_number": "1",
        "run_attempt": "2",
        "actor": "octocat",
        "actor_id": "12",
        "workflow": "deploy",
        "workflow_ref": "acme/biller/.github/workflows/deploy.yml@refs/heads/main",
        "workflow_sha": "5a4d1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2",
        "job_workflow_ref": "acme/shared/.github/workflows/release.yml@refs/tags/v2",
        "job_workflow_sha": "6b5d1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2",
        "head_ref": "",
        "base_ref": "",
        "event_name": "push",
        "ref_type": "branch",
        "ref_protected": "true",
        "environment": "production",
        "environment_node_id": "EN_kwDOA",
        "runner_environment": "github-hosted",
        "enterprise": "acme-corp",
        "enterprise_id": "3",
    },
    gives=frozenset(
        {
            "github:repository:acme/biller",
            "github:repository_owner:acme",
            "github:repository_id:74",
            "github:repository_owner_id:65",
            "github:repository_visibility:private",
            "github:ref:refs/heads/main",
            "github:ref_type:branch",
            "github:ref_protected:true",
            "github:environment:production",
            "github:workflow:deploy",
            "github:workflow_ref:acme/biller/.github/workflows/deploy.yml@refs/heads/main",
            "github:job_workflow_ref:acme/shared/.github/workflows/release.yml@refs/tags/v2",
            "github:event_name:push",
            "github:actor:octocat",
            "github:actor_id:12",
            "github:runner_environment:github-hosted",
            "github:enterprise:acme-corp",
            "github:enterprise_id:3",
        }
    ),
)
AWS_ROLE = Shape(
    kind="aws",
    header={"typ": "JWT"},
    claims={
        "sub": ROLE,
        "jti": "xyz123-def456",
        AWS: {
            "aws_account": ACCOUNT,
            "source_region": "us-east-1",
            "org_id": "o-abc1234567",
            "ou_path": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/",
            "principal_tags": {"environment": "production", "team": "data:engineering", "cost:center": "no"},
            "lambda_source_function_arn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:process-data",
            "request_tags": {"job-id": "job-2026-001", "environment": "whatever I like"},
        },
    },
    gives=frozenset(
        {
            f"aws:arn:{ROLE}",
            f"aws:account:{ACCOUNT}",
            "aws:region:us-east-1",
            "aws:org_id:o-abc1234567",
            "aws:ou_path:o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/",
            "aws:tag.environment:production",
            "aws:tag.team:data:engineering",
            f"aws:lambda:arn:aws:lambda:us-east-1:{ACCOUNT}:function:process-data",
        }
    ),
)
GCP = Shape(
    kind="gcp",
    header={"typ": "JWT"},
    claims={
        "azp": "102837465564738291012",
        "sub": "102837465564738291012",
        "email": "biller@acme-prod.iam.gserviceaccount.com",
        "email_verified": True,
        "google": {
            "compute_engine": {
                "instance_creation_timestamp": 1795000000,
                "instance_id": "152986662232938449",
                "instance_name": "biller-1",
                "license_id": ["1000204"],
                "project_id": "acme-prod",
                "project_number": 739419398126,
                "zone": "europe-west1-b",
            }
        },
    },
    gives=frozenset(
        {
            "gcp:service_account:biller@acme-prod.iam.gserviceaccount.com",
            "gcp:service_account_id:102837465564738291012",
            "gcp:project:acme-prod",
            "gcp:instance:acme-prod/europe-west1-b/biller-1",
            "gcp:instance_id:acme-prod/152986662232938449",
        }
    ),
)
_IDENTITY = "/subscriptions/0000/resourcegroups/prod/providers/Microsoft.ManagedIdentity/userAssignedIdentities/biller"
_AZURE = {
    "aio": "42BgYIio3+supMW9W+egxPfM",
    "idtyp": "app",
    "oid": "8f3a1b2c-0000-4000-8000-000000000001",
    "rh": "0.ARoA",
    "roles": ["Bills.Write", "Bills.Read"],
    "sub": "8f3a1b2c-0000-4000-8000-000000000001",
    "tid": TENANT,
    "uti": "x1",
    "xms_mirid": _IDENTITY,
}
_AZURE_GIVES = frozenset(
    {
        f"azure:tenant:{TENANT}",
        "azure:object:8f3a1b2c-0000-4000-8000-000000000001",
        "azure:app:94234370-4af2-490c-b6d9-9250b8f2808c",
        f"azure:identity:{_IDENTITY}",
        "azure:role:Bills.Write",
        "azure:role:Bills.Read",
    }
)
AZURE_V1 = Shape(
    kind="azure",
    path=f"/{TENANT}/",
    header={"typ": "JWT", "x5t": "7_Zuf1tvkwLxYaHS3q6lUjUYIGw"},
    claims={**_AZURE, "appid": "94234370-4af2-490c-b6d9-9250b8f2808c", "appidacr": "2", "ver": "1.0"},
    gives=_AZURE_GIVES,
)
AZURE_V2 = Shape(
    kind="azure",
    path=f"/{TENANT}/v2.0",
    header={"typ": "JWT"},
    claims={**_AZURE, "azp": "94234370-4af2-490c-b6d9-9250b8f2808c", "azpacr": "2", "ver": "2.0"},
    gives=_AZURE_GIVES,
)
SHAPES = {
    "kubernetes": KUBERNETES,
    "github": GITHUB,
    "aws": AWS_ROLE,
    "gcp": GCP,
    "azure-v1": AZURE_V1,
    "azure-v2": AZURE_V2,
}
# Shape, what is changed in its claims, and the code by which it is refused.
CONTRADICTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("kubernetes", {"sub": "system:serviceaccount:prod:biller-2"}, "oidc.kubernetes"),
    ("kubernetes", {"sub": "system:serviceaccount:prod:biller:x"}, "oidc.kubernetes"),
    ("github", {"repository": None}, "oidc.github"),
    ("github", {"repository": "acme"}, "oidc.github"),
    ("github", {"repository": "acme/biller/evil"}, "oidc.github"),
    ("github", {"repository_owner": "evil"}, "oidc.github"),
    ("aws", {"sub": "arn:aws:iam::999999999999:role/DataProcessingRole"}, "oidc.aws"),
    ("aws", {"sub": f"arn:aws:iam:{ACCOUNT}"}, "oidc.aws"),
    ("aws", {"sub": "DataProcessingRole"}, "oidc.aws"),
    ("aws", {AWS: None}, "oidc.aws"),
    ("aws", {AWS: {"aws_account": 123456789012}}, "oidc.aws"),
    ("gcp", {"email_verified": None}, "oidc.gcp"),
    ("gcp", {"email_verified": False}, "oidc.gcp"),
    ("gcp", {"email_verified": "true"}, "oidc.gcp"),
    ("azure-v2", {"tid": "00000000-0000-4000-8000-000000000002"}, "oidc.azure"),
    ("azure-v2", {"tid": None}, "oidc.azure"),
    ("azure-v2", {"tid": "v2"}, "oidc.azure"),
    ("azure-v2", {"scp": "user_impersonation"}, "oidc.azure"),
    ("azure-v2", {"idtyp": "user"}, "oidc.azure"),
    ("azure-v2", {"ver": None}, "oidc.azure"),
    ("azure-v1", {"ver": "3.0"}, "oidc.azure"),
)
