"""A login of others, which gives tokens and takes them back, and the place of cases that lets in by them."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs

from tests.stand_ins.api_stand_in import ApiStandIn, Asked, Told

SECRET = "a client secret of the seams"
SECONDS = 3_600


class Login(ApiStandIn):
    """live: tokens that let in. ended: tokens that were taken back."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.ended: set[str] = set()
        super().__init__()

    def answer(self, asked: Asked) -> Told:
        form = parse_qs(asked.body) if isinstance(asked.body, str) else {}
        match asked.path:
            case "/token":
                token = secrets.token_urlsafe(24)
                self.live.add(token)
                scope = form.get("scope", [""])[0]
                return Told(
                    json={
                        "access_token": token,
                        "token_type": "Bearer",
                        "expires_in": SECONDS,
                        "scope": scope,
                    }
                )
            case "/revoke":
                token = form["token"][0]
                self.ended.add(token)
                self.live.discard(token)
                return Told(json={})
            case "/introspect":
                active = form["token"][0] in self.live
                return Told(json={"active": active, "scope": "read:case"} if active else {"active": False})
        return Told(json={"case": asked.path}) if asked.bearer in self.live else Told(status=401, json={})
