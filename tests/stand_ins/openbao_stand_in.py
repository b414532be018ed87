"""A stand-in for OpenBao, written from its API documentation: AppRole and JWT logins, child tokens with accessors and
metadata, one database engine whose accounts it keeps itself, leases that are renewed and revoked, and token trees."""

from __future__ import annotations

import secrets
from base64 import b64decode
from typing import Any

from tests.stand_ins.api_stand_in import ApiStandIn, Asked, Told

ROLE_ID = "role-1"
SECRET_ID = "secret-canary-2b9d"
JWT = "jwt-canary-77aa"
TABLES = {"readonly": ("cases",), "other": ("invoices",)}


def refused(status: int, *errors: str) -> Told:
    return Told(status=status, json={"errors": list(errors)})


class OpenBaoStandIn(ApiStandIn):
    """tokens, leases and accounts: what there is. is_database_down: it takes no account away. login_seconds: of a
    login's token. namespace: that every request must name; empty for none."""

    def __init__(self, **options: Any) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.leases: dict[str, dict[str, Any]] = {}
        self.accounts: dict[str, dict[str, Any]] = {}
        self.is_database_down = False
        self.is_renewable = True
        self.login_seconds = 3600
        self.creds_seconds = 3600
        self.namespace = ""
        self.given: dict[str, Any] = {}
        super().__init__(**options)

    def answer(self, asked: Asked) -> Told:
        self._sweep()
        if asked.path.startswith("/db/"):
            return self._queried(asked)
        if asked.headers.get("x-vault-namespace", "") != self.namespace:
            return refused(404, "no handler for route")
        path = asked.path.removeprefix("/v1/")
        if path.endswith("/login"):
            return self._logged_in(path, asked.body)
        token = self.tokens.get(asked.headers.get("x-vault-token", ""))
        if token is None:
            return refused(403, "permission denied")
        if path.startswith("database/creds/"):
            return self._made(token, path)
        if token["policy"] != "broker":
            return refused(403, "permission denied")
        known = {
            "auth/token/create/answerable": self._child,
            "auth/token/accessors": lambda *_: Told(json={"data": {"keys": self._accessors()}}),
            "auth/token/lookup-accessor": self._looked_up,
            "auth/token/revoke-accessor": self._accessor_revoked,
            "auth/token/renew-accessor": self._renewed_token,
            "sys/leases/revoke": self._lease_revoked,
            "sys/leases/renew": self._renewed_lease,
        }
        if path not in known:
            return refused(404, "no handler for route")
        return known[path](token, asked.body)

    def _sweep(self) -> None:
        now = self.now_ms()
        for token in [one for one in self.tokens.values() if one["ends"] <= now]:
            self._token_ended(token)
        for lease_id in [one for one, lease in self.leases.items() if lease["ends"] <= now]:
            self._ended(lease_id)

    def _logged_in(self, path: str, body: Any) -> Told:
        is_right = {
            "auth/approle/login": body.get("role_id") == ROLE_ID and body.get("secret_id") == SECRET_ID,
            "auth/jwt/login": body.get("role") == "broker" and body.get("jwt") == JWT,
        }
        if not is_right.get(path):
            return refused(400, "invalid role or secret ID")
        return self._token("broker", self.login_seconds, parent="", meta={})

    def _token(self, policy: str, seconds: int, *, parent: str, meta: Any, most: int = 10**6) -> Told:
        text, accessor = "s." + secrets.token_urlsafe(18), secrets.token_urlsafe(18)
        now = self.now_ms()
        self.tokens[text] = {
            "text": text,
            "accessor": accessor,
            "policy": policy,
            "parent": parent,
            "meta": meta,
            "ends": now + seconds * 1000,
            "latest": now + most * 1000,
        }
        auth = {"client_token": text, "accessor": accessor, "lease_duration": seconds, "renewable": True}
        return Told(json={"auth": auth})

    def _child(self, token: Any, body: Any) -> Told:
        seconds, most = int(body["ttl"].rstrip("s")), int(body["explicit_max_ttl"].rstrip("s"))
        return self._token("lease", min(seconds, most), parent=token["text"], meta=body["meta"], most=most)

    def _accessors(self) -> list[str]:
        return [token["accessor"] for token in self.tokens.values()]

    def _of(self, body: Any) -> Any:
        return next((one for one in self.tokens.values() if one["accessor"] == body["accessor"]), None)

    def _looked_up(self, _: Any, body: Any) -> Told:
        found = self._of(body)
        if found is None:
            return refused(403, "invalid accessor")
        ttl = (found["ends"] - self.now_ms()) // 1000
        return Told(json={"data": {"meta": found["meta"] or None, "ttl": ttl}})

    def _accessor_revoked(self, _: Any, body: Any) -> Told:
        found = self._of(body)
        if found is None:
            return refused(400, "invalid accessor")
        self._token_ended(found)
        return Told(status=204)

    def _token_ended(self, token: Any) -> None:
        self.tokens.pop(token["text"], None)
        for lease_id in [one for one, lease in self.leases.items() if lease["token"] == token["text"]]:
            self._ended(lease_id)
        for child in [one for one in self.tokens.values() if one["parent"] == token["text"]]:
            self._token_ended(child)

    def _made(self, token: Any, path: str) -> Told:
        role = path.rpartition("/")[2]
        if token["policy"] != "lease" or role not in TABLES:
            return refused(403, "permission denied")
        account, password = f"v-{role}-{secrets.token_hex(8)}", secrets.token_urlsafe(18)
        lease_id = f"{path}/{secrets.token_hex(12)}"
        ends = self.now_ms() + self.creds_seconds * 1000
        self.accounts[account] = {"password": password, "tables": TABLES[role]}
        self.leases[lease_id] = {"token": token["text"], "account": account, "ends": ends}
        answer = {
            "lease_id": lease_id,
            "lease_duration": self.creds_seconds,
            "renewable": True,
            "data": {"username": account, "password": password},
        }
        return Told(json={**answer, **self.given})

    def _lease_revoked(self, _: Any, body: Any) -> Told:
        if body["lease_id"] in self.leases and self.is_database_down:
            return refused(400, "failed to revoke entry: connection refused")
        self._ended(body["lease_id"])
        return Told(status=204)

    def _ended(self, lease_id: str) -> None:
        if not self.is_database_down and (lease := self.leases.pop(lease_id, None)):
            self.accounts.pop(lease["account"], None)

    def _renewed_token(self, _: Any, body: Any) -> Told:
        found = self._of(body)
        if found is None:
            return refused(403, "invalid accessor")
        now = self.now_ms()
        found["ends"] = min(now + body["increment"] * 1000, found["latest"])
        return Told(json={"auth": {"lease_duration": (found["ends"] - now) // 1000}})

    def _renewed_lease(self, _: Any, body: Any) -> Told:
        lease = self.leases.get(body["lease_id"])
        if lease is None:
            return refused(400, "lease not found")
        if not self.is_renewable:
            return refused(400, "lease is not renewable")
        lease["ends"] = self.now_ms() + body["increment"] * 1000
        return Told(json={"lease_id": body["lease_id"], "lease_duration": body["increment"]})

    def _queried(self, asked: Asked) -> Told:
        """The system that the credentials are for, which is this stand-in too."""
        given = b64decode(asked.headers.get("authorization", "").removeprefix("Basic ")).decode()
        account, _, password = given.partition(":")
        found = self.accounts.get(account)
        if found is None or found["password"] != password:
            return refused(401, "no such account")
        method, table = asked.method, asked.path.removeprefix("/db/")
        if method != "GET" or table not in found["tables"]:
            return refused(403, "not granted")
        return Told(json={"rows": []})
