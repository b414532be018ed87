"""A kind of signed statement: its name, its claims, and how it is parsed, verified and refused.

On the wire it is a JWS in compact form (`compact_jws`) whose header `typ` names the kind. A kind declares its claims
once, as a form: that form is what is signed, what is parsed, and what the tables under `docs/reference/wire` list.

Laws:
- a statement of one kind is never accepted as one of another kind;
- it has all claims that its form requires and none that the form does not know, each of its type;
- one that names a deployment is valid for that one alone; an old statement is refused.

Faults of a token of a kind are reported with the codes that the kind names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    Protocol,
    TypeVar,
    get_args,
    get_origin,
)

import msgspec

from answerable.core.identity.keys.compact_jws import (
    TokenCodes,
    read_compact,
    signed_statement,
    verified_claims,
)
from answerable.core.identity.names.principal import PrincipalId, principal_id
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey, SigningKey
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.errors import UnverifiedCode

AGE_MILLIS_MAX: Final = 5 * 60 * 1000
"""Maximum age of a statement on arrival."""
AHEAD_MILLIS_MAX: Final = 60 * 1000
"""How far the signer's clock may be ahead of ours."""

_TYPES: Final[Mapping[object, tuple[str, str]]] = {
    str: ("text", "text"),
    int: ("integer", "an integer"),
    list: ("list", "a list"),
}
"""Name of a claim's type, in a table and in a sentence."""


class Addressed(Protocol):
    """A form with its deployment, exactly one."""

    @property
    def aud(self) -> str:
        """See the class."""
        ...


class Dated(Protocol):
    """A form with the Unix milliseconds at which it was signed."""

    @property
    def iat_ms(self) -> int:
        """See the class."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A row of a table of claims. needed: whether the claim is required."""

    name: str
    type: str
    meaning: str
    needed: bool


Form = TypeVar("Form", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[Form]):
    """A kind of signed statement. typ: of the header. codes: of its errors. what: its name in a sentence. form: a
    frozen Struct that forbids unknown fields; each field states its meaning as `description`, and as `extra["type"]`
    its type where the reader, and not the form, checks it. signer: parses the claim `iss`.

    The last four are messages: for a missing claim, for an unknown one, for a statement for another deployment, and for
    one that is too old. `str.format` inserts `{claim}`, `{what}`, `{audience}` and `{here}`, and in seconds `{age}` and
    `{limit}`.
    """

    typ: str
    codes: TokenCodes
    what: str
    form: type[Form]
    signer: Callable[[str], PrincipalId] = principal_id
    missing: str = "claim {claim} is missing or unknown"
    unknown: str = "claim {claim} is missing or unknown"
    elsewhere: str = "{what} has audience {audience}, expected {here}"
    stale: str = "{what} was signed {age} s ago, expected less than {limit} s: sign it anew"

    def sign(self, claims: Form, key: SigningKey) -> str:
        """Sign the claims and return the token. Raises Malformed (`json.*`, `statement.size`)."""
        return signed_statement(claims_in(claims), typ=self.typ, key=key)

    def verified(self, token: str, keys_of: Callable[[PrincipalId], Iterable[PublicKey]]) -> Form:
        """Verify that a key of its signer signed the statement, and return its claims. keys_of: empty for an unknown
        name.

        Raises Malformed and Unverified, by its codes, and `name.invalid`.
        """
        claims = verified_claims(
            token,
            typ=self.typ,
            codes=self.codes,
            issuer_of=self._issuer,
            keys_of=lambda issuer: keys_of(PrincipalId(issuer)),
        )
        return self.read(claims)

    def key_of(self, token: str) -> str:
        """Return the thumbprint of the key that a token names; empty for none. Raises Malformed, by its code."""
        return read_compact(token, malformed=self.codes.malformed).header.get("kid", "")

    def read(self, claims: Mapping[str, JSONValue]) -> Form:
        """Convert claims to the form. Raises Malformed, by its code."""
        try:
            return msgspec.convert(claims, self.form)
        except msgspec.ValidationError:
            raise self.codes.malformed(self._fault(claims)) from None

    def check_audience(self, claims: Addressed, audience: str, *, code: UnverifiedCode) -> None:
        """Raise this code for claims of another deployment."""
        if claims.aud != audience:
            names = {"audience": shown(claims.aud, 60), "here": shown(audience, 60)}
            raise code(self.elsewhere.format(what=self.what, **names))

    def check_age(self, claims: Dated, now: UnixMillis, *, code: UnverifiedCode) -> None:
        """Raise this code for claims that are too old, or from the future."""
        age = now - claims.iat_ms
        if not -AHEAD_MILLIS_MAX <= age < AGE_MILLIS_MAX:
            message = self.stale.format(what=self.what, age=age // 1000, limit=AGE_MILLIS_MAX // 1000)
            raise code(message)

    def table(self) -> Iterator[Claim]:
        """Yield the claims in the order of the form, for the reference."""
        for field in msgspec.structs.fields(self.form):
            kind, meta = _parts(field.type)
            said = meta or msgspec.Meta()
            called = str((said.extra or {}).get("type", _type_of(kind)[0]))
            meaning = said.description or ""
            yield Claim(name=field.name, type=called, meaning=meaning, needed=field.required)

    def _issuer(self, unverified: Mapping[str, JSONValue]) -> str:
        issuer = unverified.get("iss")
        if not isinstance(issuer, str):
            raise self.codes.malformed("claim `iss` must be text")
        return self.signer(issuer)

    def _fault(self, claims: Mapping[str, JSONValue]) -> str:
        """Describe what is wrong with claims that do not match the form."""
        fields = {field.name: field.type for field in msgspec.structs.fields(self.form)}
        needed = {field.name for field in msgspec.structs.fields(self.form) if field.required}
        odd = sorted((claims.keys() - fields.keys()) | (needed - claims.keys()))
        if odd:
            return (self.unknown if odd[0] in claims else self.missing).format(claim=shown(odd[0], 40))
        wrong = next(
            name for name, kind in fields.items() if name in claims and not _fits(claims[name], kind)
        )
        return f"claim `{wrong}` must be {_in_words(fields[wrong])}"


def claims_in(form: msgspec.Struct) -> dict[str, JSONValue]:
    """Return the form as the JSON object that is signed."""
    return msgspec.structs.asdict(form)


def _fits(value: JSONValue, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _parts(kind: Any) -> tuple[Any, msgspec.Meta | None]:
    """Return a type and its annotation."""
    if get_origin(kind) is not Annotated:
        return kind, None
    bare, meta = get_args(kind)
    return bare, meta


def _type_of(kind: Any) -> tuple[str, str]:
    if get_origin(kind) is Literal:
        *others, last = (f"`{word}`" for word in get_args(kind))
        return "text", f"{', '.join(others)} or {last}"
    if get_origin(kind) is list and get_origin(get_args(kind)[0]) is Literal:
        return "list", f"a list of {_type_of(get_args(kind)[0])[1]}"
    return _TYPES.get(get_origin(kind) or kind, ("object", "an object"))


def _in_words(kind: Any) -> str:
    bare, meta = _parts(kind)
    least = " of 0 or more" if meta is not None and meta.ge == 0 else ""
    return f"{_type_of(bare)[1]}{least}"
