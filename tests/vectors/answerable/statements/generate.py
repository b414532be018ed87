"""Makes statements.json: a signed statement of each kind, what it says, and how it is refused when it is spoilt.

    PYTHONPATH=src:. python -m tests.vectors.answerable.statements.generate

Keys and times are fixed, and Ed25519 has no chance in it, so each run gives the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.keys.compact_jws import read_compact, signed_statement
from answerable.errors import AnswerableError
from answerable.errors.codes.identity import STATEMENT_MALFORMED
from answerable.testing.samples import signing_key
from tests.vectors.answerable.statements.kinds import KINDS, Kind, header_of

FILES_READ = ("tests/vectors/answerable/statements/statements.json",)
FILE = Path(__file__).with_name("statements.json")

OTHER_TYPES: tuple[Any, ...] = ("", "x", 7, -1, 5.0, True, None, [], ["x"], {})
"""What stands in each claim in turn, in place of what belongs there."""
TWICE = b'{"iss":"alice","iss":"bob"}'
LISTS = ("changed", "spoilt", "of_others")
NOT_NAMES = ("nobody", "Not A Name", "workflow:nobody", "schedule:nobody", "urn:x")


def answer_to(kind: Kind, token: str) -> dict[str, Any]:
    """What this kind's reader says of a token: what it read, or the error."""
    try:
        return {"read": kind.read(token)}
    except AnswerableError as error:
        return {"branch": type(error).__name__, "code": error.code, "message": error.message}


def token_of(kind: Kind, claims: dict[str, Any], header: dict[str, str] | None = None) -> str:
    """The claims signed as they are. header: `typ`, and in `signer` whose key."""
    said = header or {}
    return signed_statement(
        claims, typ=said.get("typ", kind.typ), key=signing_key(said.get("signer", kind.signer))
    )


def changes(claims: dict[str, Any], kind: Kind) -> list[dict[str, Any]]:
    """Every single thing that is off, as `set` and `drop` of claims, or `header`."""
    found: list[dict[str, Any]] = [{"set": {"more": "x"}}]
    for name in sorted(claims):
        found.append({"drop": [name]})
        found += [{"set": {name: other}} for other in OTHER_TYPES if not same(other, claims[name])]
    found += [{"set": {"iss": name}} for name in NOT_NAMES if "iss" in claims]
    found += [{"set": one} for one in kind.more]
    found.append({"header": {"typ": "answerable-other+jwt"}})
    found.append({"header": {"signer": "mallory"}})
    return found


def spoilt(token: str, other: str) -> dict[str, str]:
    """Tokens that are not whole, or not by this key, by what is wrong with them. other: of another kind."""
    header, payload, signature = token.split(".")
    return {
        "no token": "",
        "two parts": f"{header}.{payload}",
        "encrypted": f"{header}.{payload}.{signature}.{signature}.{signature}",
        "padded": f"{header}=.{payload}.{signature}",
        "signature of another": f"{header}.{payload}.{other.split('.')[2]}",
        "header of another": f"{other.split('.')[0]}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.AA",
        "algorithm none": f"{part({'alg': 'none', 'kid': 'x', 'typ': header_of(token)['typ']})}.{payload}.{signature}",
        "algorithm of another": f"{part({**header_of(token), 'alg': 'ES256'})}.{payload}.{signature}",
        "more in the header": f"{part({**header_of(token), 'crit': 'x'})}.{payload}.{signature}",
        "no type": f"{part({name: header_of(token)[name] for name in ('alg', 'kid')})}.{payload}.{signature}",
        "claims that are a list": f"{header}.{to_base64url(b'[]')}.{signature}",
        "a claim twice": f"{header}.{to_base64url(TWICE)}.{signature}",
    }


def part(header: dict[str, str]) -> str:
    return to_base64url(encode({**header}))


def same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def changed(claims: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in claims.items() if name not in change.get("drop", ())}
    return {**kept, **change.get("set", {})}


def claims_in(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(read_compact(token, malformed=STATEMENT_MALFORMED).payload)
    return claims


def made() -> dict[str, Any]:
    """The whole file."""
    signed = {kind.name: kind.sign() for kind in KINDS}
    kinds = []
    for kind in KINDS:
        token = signed[kind.name]
        claims = claims_in(token)
        other = signed["lift" if kind.name == "client" else "client"]
        kinds.append(
            {
                "kind": kind.name,
                "typ": kind.typ,
                "header": header_of(token),
                "claims": claims,
                "token": token,
                **answer_to(kind, token),
                "changed": [
                    {
                        **change,
                        **answer_to(kind, token_of(kind, changed(claims, change), change.get("header"))),
                    }
                    for change in changes(claims, kind)
                ],
                "spoilt": {
                    says: {"token": text, **answer_to(kind, text)}
                    for says, text in spoilt(token, other).items()
                },
                "of_others": {
                    other: answer_to(kind, text) for other, text in signed.items() if other != kind.name
                },
            }
        )
    return {"kinds": kinds}


def encoded(vectors: dict[str, Any]) -> str:
    """As the file has it: one line a case."""
    lines = ['{"kinds": [']
    for place, kind in enumerate(vectors["kinds"]):
        head = {name: value for name, value in kind.items() if name not in LISTS}
        lines.append(json.dumps(head, ensure_ascii=False)[:-1] + ', "changed": [')
        lines += [f"  {json.dumps(one, ensure_ascii=False)}," for one in kind["changed"]]
        lines[-1] = lines[-1].removesuffix(",")
        for name in ("spoilt", "of_others"):
            lines.append(f'{"]" if name == "spoilt" else "}"}, "{name}": {{')
            lines += [
                f"  {json.dumps(says)}: {json.dumps(one, ensure_ascii=False)},"
                for says, one in kind[name].items()
            ]
            lines[-1] = lines[-1].removesuffix(",")
        lines.append("}}" if place == len(vectors["kinds"]) - 1 else "}},")
    return "\n".join([*lines, "]}", ""])


if __name__ == "__main__":
    FILE.write_text(encoded(made()), encoding="utf-8")
