"""A stand-in cluster with two pods in each of two namespaces, and the broker's account on it as its page grants it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from answerable.core.canonical import freeze
from tests.stand_ins.kubernetes_stand_in import BROKER_TOKEN, KubernetesStandIn

PAGE = Path(__file__).parents[2] / "docs/reference/adapters/kubernetes.md"
SCOPE = freeze(
    {
        "namespace": "support",
        "rules": [{"apiGroups": [""], "resources": ["pods"], "resourceNames": ["web-1"], "verbs": ["get"]}],
    }
)


def broker_rules() -> list[dict[str, Any]]:
    """Those of the Role that the page tells a newcomer to apply."""
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for document in yaml.safe_load_all(block):
            if document.get("kind") == "Role":
                rules: list[dict[str, Any]] = document["rules"]
                return rules
    raise AssertionError("the page has no Role")


def cluster(**options: Any) -> KubernetesStandIn:
    rules = broker_rules()
    made = KubernetesStandIn({"support": rules, "billing": rules}, **options)
    for namespace in ("support", "billing"):
        for name in ("web-1", "web-2"):
            made.put(namespace, "pods", name)
        made.put(namespace, "secrets", "db", data={"password": "aHVudGVyMg=="})
    return made


def broker_token(_: str = "") -> bytes:
    return BROKER_TOKEN.encode()
