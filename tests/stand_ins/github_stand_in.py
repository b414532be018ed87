"""A stand-in for GitHub, written from its REST API reference: installation tokens of one app, repositories, issues and
contents. It checks the app's signature and times, narrows tokens as GitHub does (what is missing means all), and ends
them by DELETE /installation/token or after an hour."""

from __future__ import annotations

import secrets
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tests.stand_ins.api_stand_in import ApiStandIn, Asked, Told

OWNER = "octo"
APP = "Iv23liTEST"
INSTALLATION = 7
HELD = {"issues": "write", "contents": "read", "metadata": "read", "administration": "write"}
LEVELS = ("read", "write", "admin")


class GitHubStandIn(ApiStandIn):
    """repositories: of the installation. given: changes an answer to a mint before it is sent."""

    def __init__(self, key: RSAKey, **options: Any) -> None:
        self.key = key
        self.repositories = ("hello", "world")
        self.tokens: dict[str, dict[str, Any]] = {}
        self.issues: dict[str, list[Any]] = {"hello": [{"number": 1}], "world": []}
        self.given: dict[str, Any] = {}
        super().__init__(**options)

    def answer(self, asked: Asked) -> Told:
        told = self._told(asked)
        return Told(
            status=told.status, json=told.json, headers={"x-github-request-id": f"R{len(self.asked)}:1"}
        )

    def _told(self, asked: Asked) -> Told:
        if asked.path.startswith("/app/"):
            return self._minted(asked) if self._is_app(asked.bearer) else bad_credentials()
        token = self.tokens.get(asked.bearer)
        if token is None or token["expires_ms"] <= self.now_ms():
            return bad_credentials()
        if (asked.method, asked.path) == ("DELETE", "/installation/token"):
            del self.tokens[asked.bearer]
            return Told(status=204)
        if (asked.method, asked.path) == ("GET", "/installation/repositories"):
            return Told(json={"repositories": [{"name": name} for name in token["repositories"]]})
        return self._of_repository(asked, token)

    def _is_app(self, signed: str) -> bool:
        try:
            claims = jwt.decode(signed, self.key, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return False
        now = self.now_ms() // 1000
        return claims["iss"] == APP and claims["iat"] <= now < claims["exp"] and claims["exp"] - now <= 600

    def _minted(self, asked: Asked) -> Told:
        if asked.path != f"/app/installations/{INSTALLATION}/access_tokens":
            return Told(status=404, json={"message": "Not Found"})
        wanted = asked.body if isinstance(asked.body, dict) else {}
        names = wanted.get("repositories") or list(self.repositories)
        permissions = wanted.get("permissions") or HELD
        if unknown := [name for name in names if name not in self.repositories]:
            return Told(status=422, json={"message": f"There is at least one repository: {unknown[0]}"})
        for name, level in permissions.items():
            if LEVELS.index(level) > LEVELS.index(HELD.get(name, "read")) or name not in HELD:
                return Told(status=422, json={"message": "The permissions requested are not granted"})
        token = "ghs_" + secrets.token_urlsafe(27)
        held = {"repositories": list(names), "permissions": {**permissions, "metadata": "read"}}
        self.tokens[token] = {**held, "expires_ms": self.now_ms() + 3_600_000}
        answer = {
            "token": token,
            "expires_at": "2026-01-01T00:00:00Z",
            "repository_selection": "selected" if wanted.get("repositories") else "all",
            "permissions": held["permissions"],
            "repositories": [{"name": name} for name in names],
        }
        return Told(status=201, json={**answer, **self.given})

    def _of_repository(self, asked: Asked, token: dict[str, Any]) -> Told:
        parts = asked.path.strip("/").split("/")
        if len(parts) < 3 or parts[:2] != ["repos", OWNER] or parts[2] not in token["repositories"]:
            return Told(status=404, json={"message": "Not Found"})
        name, what = parts[2], parts[3] if len(parts) > 3 else "metadata"
        level = "read" if asked.method == "GET" else "write"
        held = token["permissions"].get(what)
        if held is None or LEVELS.index(level) > LEVELS.index(held):
            return Told(status=403, json={"message": "Resource not accessible by integration"})
        if what == "issues" and asked.method == "POST":
            self.issues[name].append(asked.body)
            return Told(status=201, json={"number": len(self.issues[name])})
        return Told(json=self.issues[name] if what == "issues" else {"name": name})


def bad_credentials() -> Told:
    return Told(status=401, json={"message": "Bad credentials"})
