"""A stand-in for the API server of Kubernetes, written from its API reference: service accounts, roles, role bindings,
TokenRequest, config maps and pods. It checks tokens as the real one does (signed for an account of one uid, dead with
it, dead in time), RBAC of a namespace, and that nobody grants what he does not hold."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from tests.stand_ins.api_stand_in import ApiStandIn, Asked, Told

BROKER_TOKEN = "broker-canary-7c1e0f"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def refusal(status: int, reason: str, message: str) -> Told:
    return Told(
        status=status, json={"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    )


class KubernetesStandIn(ApiStandIn):
    """broker_rules: for each namespace the rules of the broker's own account. objects: by (namespace, kind, name)."""

    def __init__(self, broker_rules: dict[str, list[dict[str, Any]]], **options: Any) -> None:
        self.broker_rules = broker_rules
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        super().__init__(**options)

    def put(self, namespace: str, kind: str, name: str, **members: Any) -> None:
        metadata = {"name": name, "namespace": namespace, "uid": str(uuid.uuid4())}
        self.objects[namespace, kind, name] = {"metadata": metadata, **members}

    def answer(self, asked: Asked) -> Told:
        who = self._who(asked.bearer)
        if who is None:
            return refusal(401, "Unauthorized", "Unauthorized")
        place = self._place(asked.path)
        if place is None:
            return refusal(404, "NotFound", "the server could not find the requested resource")
        group, namespace, kind, name, below = place
        verb = self._verb(asked, name)
        resource = f"{kind}/{below}" if below else kind
        if not any(lets(rule, verb, group, resource, name) for rule in self._rules(who, namespace)):
            return refusal(403, "Forbidden", f'{resource} is forbidden: User "{who}" cannot {verb} resource')
        told = self._done(asked, verb, namespace, kind, name, below)
        return Told(
            status=told.status,
            json=told.json,
            headers={"audit-id": asked.headers.get("audit-id", str(uuid.uuid4()))},
        )

    def _who(self, token: str) -> str | None:
        if token == BROKER_TOKEN:
            return "broker"
        found = self.tokens.get(token)
        if found is None or found["expires_ms"] <= self.now_ms():
            return None
        account = self.objects.get((found["namespace"], "serviceaccounts", found["name"]))
        if account is None or account["metadata"]["uid"] != found["uid"]:
            return None
        return f"system:serviceaccount:{found['namespace']}:{found['name']}"

    def _place(self, path: str) -> tuple[str, str, str, str, str] | None:
        for prefix, group in (
            ("/api/v1", ""),
            (RBAC, "rbac.authorization.k8s.io"),
            ("/apis/apps/v1", "apps"),
        ):
            if path.startswith(prefix + "/namespaces/"):
                parts = path.removeprefix(prefix + "/namespaces/").split("/")
                if not 2 <= len(parts) <= 4:
                    return None
                namespace, kind, name, below = [*parts, "", "", ""][:4]
                return group, namespace, kind, name, below
        return None

    @staticmethod
    def _verb(asked: Asked, name: str) -> str:
        if asked.method in ("GET", "HEAD"):
            return "get" if name else "list"
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch"}
        return verbs.get(asked.method, "delete" if name else "deletecollection")

    def _rules(self, who: str, namespace: str) -> list[dict[str, Any]]:
        if who == "broker":
            return self.broker_rules.get(namespace, [])
        *_, own, account = who.split(":")
        subject = {"kind": "ServiceAccount", "name": account, "namespace": own}
        rules: list[dict[str, Any]] = []
        for (where, kind, _), binding in list(self.objects.items()):
            if kind == "rolebindings" and where == namespace and subject in binding["subjects"]:
                role = self.objects.get((where, "roles", binding["roleRef"]["name"]))
                rules += role["rules"] if role else []
        return rules

    def _done(self, asked: Asked, verb: str, namespace: str, kind: str, name: str, below: str) -> Told:
        if (kind, below) == ("serviceaccounts", "token"):
            return self._token(asked, namespace, name)
        if below:
            return Told(json=f"log of {name}\n") if (namespace, kind, name) in self.objects else missing(name)
        if verb == "list":
            wanted = asked.query.get("labelSelector", [""])[0]
            items = [
                one
                for (where, what, _), one in self.objects.items()
                if (where, what) == (namespace, kind)
                and (not wanted or wanted in one["metadata"].get("labels", {}))
            ]
            size, start = (
                int(asked.query.get("limit", ["500"])[0]),
                int(asked.query.get("continue", ["0"])[0]),
            )
            more = str(start + size) if start + size < len(items) else ""
            return Told(json={"items": items[start : start + size], "metadata": {"continue": more}})
        if verb == "create":
            return self._created(asked, namespace, kind)
        found = self.objects.get((namespace, kind, name))
        if found is None:
            return missing(name)
        if verb == "delete":
            del self.objects[namespace, kind, name]
        elif verb in ("update", "patch"):
            found |= {member: value for member, value in asked.body.items() if member != "metadata"}
        return Told(json=found)

    def _created(self, asked: Asked, namespace: str, kind: str) -> Told:
        name = asked.body["metadata"]["name"]
        if (namespace, kind, name) in self.objects:
            return refusal(409, "AlreadyExists", f'{kind} "{name}" already exists')
        if kind == "roles" and (beyond := self._beyond(namespace, asked.body["rules"])):
            return refusal(
                403, "Forbidden", f"is attempting to grant RBAC permissions not currently held: {beyond}"
            )
        self.put(
            namespace, kind, name, **{one: value for one, value in asked.body.items() if one != "metadata"}
        )
        self.objects[namespace, kind, name]["metadata"] |= asked.body["metadata"]
        return Told(status=201, json=self.objects[namespace, kind, name])

    def _beyond(self, namespace: str, rules: list[dict[str, Any]]) -> str:
        for rule in rules:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        for name in rule.get("resourceNames", [""]):
                            held = self.broker_rules.get(namespace, [])
                            if not any(lets(one, verb, group, resource, name) for one in held):
                                return f"{verb} {resource} {name}"
        return ""

    def _token(self, asked: Asked, namespace: str, name: str) -> Told:
        account = self.objects.get((namespace, "serviceaccounts", name))
        if account is None:
            return missing(name)
        seconds = asked.body["spec"].get("expirationSeconds", 3600)
        if seconds < 600:
            return refusal(422, "Invalid", "may not specify a duration less than 10 minutes")
        token = "eyJ." + secrets.token_urlsafe(32)
        self.tokens[token] = {
            "namespace": namespace,
            "name": name,
            "uid": account["metadata"]["uid"],
            "expires_ms": self.now_ms() + seconds * 1000,
        }
        return Told(
            status=201, json={"status": {"token": token, "expirationTimestamp": "2026-01-01T00:00:00Z"}}
        )


def missing(name: str) -> Told:
    return refusal(404, "NotFound", f'"{name}" not found')


def lets(rule: dict[str, Any], verb: str, group: str, resource: str, name: str) -> bool:
    """Whether a rule of RBAC lets this: of one with names only what has one of them."""
    names = rule.get("resourceNames", [])
    return (
        verb in rule["verbs"]
        and group in rule["apiGroups"]
        and resource in rule["resources"]
        and (not names or name in names)
    )
