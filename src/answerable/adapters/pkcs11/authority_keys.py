"""Create and use the trust domain's private keys in an HSM token (PKCS #11 v2.40), as sensitive and never extractable
keys.

Laws: a private key is generated inside the token and signs inside it; the PIN is in no message; a session that the
token ended is reopened once per call, never in a loop.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11.exceptions import PKCS11Error
from pkcs11.util.ec import encode_named_curve_parameters

from answerable.errors import Unavailable, shown
from answerable.errors.codes.identity import (
    AUTHORITY_KEYS_EXISTS,
    AUTHORITY_KEYS_MISSING,
    AUTHORITY_KEYS_MODULE,
    AUTHORITY_KEYS_NAME,
    AUTHORITY_KEYS_PIN,
    AUTHORITY_KEYS_TOKEN,
    AUTHORITY_KEYS_UNAVAILABLE,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pkcs11._pkcs11 import lib as _Library

NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
CURVE: Final = "secp256r1"
NUMBER_BYTES: Final = 32
POINT_BYTES: Final = 65
_CLASS: Final = pkcs11.Attribute.CLASS
_LABEL: Final = pkcs11.Attribute.LABEL
_PRIVATE: Final = pkcs11.ObjectClass.PRIVATE_KEY
_PUBLIC: Final = pkcs11.ObjectClass.PUBLIC_KEY
_HALVES: Final = (_PRIVATE, _PUBLIC)
_ENDED: Final = (
    pkcs11.exceptions.SessionHandleInvalid,
    pkcs11.exceptions.SessionClosed,
    pkcs11.exceptions.UserNotLoggedIn,
    pkcs11.exceptions.DeviceRemoved,
    pkcs11.exceptions.TokenNotPresent,
    pkcs11.exceptions.DeviceError,
)

Result = TypeVar("Result")


class Pkcs11AuthorityKeys:
    """Implements ports.authority_keys.AuthorityKeys. Created by `open`, ended by `close`. Thread-safe; calls run one at
    a time.

    Label and id of a key are both its name. Tokens do not enforce unique names: two processes that create a key of one
    name at the same instant may both succeed. Names of authorities are random.
    """

    def __init__(self, library: _Library, token: str, pin: str) -> None:
        self._library = library
        self._token = token
        self._pin = pin
        self._lock = threading.Lock()
        self._session: pkcs11.Session | None = None
        # Whether to reinitialise the library before its next use: some libraries permanently cache the state of an HSM
        # that was temporarily away.
        self._is_stale = False
        self._is_pin_refused = False

    @classmethod
    def open(cls, *, module: Path, token: str, pin: str) -> Pkcs11AuthorityKeys:
        """Log in to the token with this label. module: path of the vendor's library.

        Raises Unavailable: `authority_keys.module`, `authority_keys.token`, `authority_keys.pin`.
        """
        try:
            library = pkcs11.lib(str(module))
        except (PKCS11Error, RuntimeError, OSError):
            raise AUTHORITY_KEYS_MODULE(
                f"the HSM library {shown(module.name)} cannot be loaded or finds no HSM: install "
                "it, set `identity.pkcs11_module` to its path, and connect the HSM"
            ) from None
        keys = cls(library, token, pin)
        keys._in_session(lambda session: None)
        return keys

    def close(self) -> None:
        """Close the session. Idempotent."""
        with self._lock:
            self._end()

    def create(self, name: str) -> ec.EllipticCurvePublicKey:
        label = _checked(name)

        def made(session: pkcs11.Session) -> ec.EllipticCurvePublicKey:
            if any(_found(session, half, label) is not None for half in _HALVES):
                raise AUTHORITY_KEYS_EXISTS(f"key {shown(name)} exists already")
            curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(CURVE)}
            parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
            public, _ = parameters.generate_keypair(
                id=label.encode(),
                label=label,
                store=True,
                capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
                private_template={
                    pkcs11.Attribute.SENSITIVE: True,
                    pkcs11.Attribute.EXTRACTABLE: False,
                },
            )
            return _point(public)

        return self._in_session(made, again=False)

    def public(self, name: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public key; None also if only one half of the key pair exists, because such a key is unusable."""
        label = _checked(name)

        def found(session: pkcs11.Session) -> ec.EllipticCurvePublicKey | None:
            public = _public(session, label)
            if public is None or _private(session, label) is None:
                self._doubt()
                return None
            return _point(public)

        return self._in_session(found)

    def sign(self, name: str, message: bytes) -> bytes:
        """Sign a message. The digest is computed here, because not every token supports ECDSA with a hash."""
        label = _checked(name)
        digest = sha256(message).digest()

        def signed(session: pkcs11.Session) -> bytes:
            key = _private(session, label)
            if key is None:
                self._doubt()
                raise AUTHORITY_KEYS_MISSING(
                    f"the key {shown(name)} of the trust domain is missing from the HSM: restore "
                    "it from a backup"
                )
            return bytes(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))

        numbers = self._in_session(signed)
        if len(numbers) != 2 * NUMBER_BYTES:
            raise _unfit(f"a signature of {len(numbers)} bytes")
        r, s = (int.from_bytes(part, "big") for part in (numbers[:NUMBER_BYTES], numbers[NUMBER_BYTES:]))
        return encode_dss_signature(r, s)

    def destroy(self, name: str) -> None:
        label = _checked(name)

        def destroyed(session: pkcs11.Session) -> None:
            # The private half first: after a fault in between, the key can no longer sign.
            for half in _HALVES:
                while (key := _found(session, half, label)) is not None:
                    key.destroy()

        self._in_session(destroyed)

    def _in_session(self, use: Callable[[pkcs11.Session], Result], *, again: bool = True) -> Result:
        with self._lock:
            try:
                return use(self._opened())
            except _ENDED:
                self._end()
                if not again:
                    raise _unavailable("the session with the token ended", unknown=True) from None
            except PKCS11Error as error:
                self._doubt()
                raise _unavailable(_reason(error)) from None
            try:
                return use(self._opened())
            except PKCS11Error as error:
                self._doubt()
                raise _unavailable(_reason(error)) from None

    def _opened(self) -> pkcs11.Session:
        if self._session is not None:
            return self._session
        if self._is_pin_refused:
            # Never retried automatically: a few wrong PINs lock the token.
            raise self._wrong_pin()
        if self._is_stale:
            if self._library.initialized:
                self._library.finalize()
            self._library.initialize()
            self._is_stale = False
        try:
            token = self._library.get_token(token_label=self._token)
            try:
                self._session = token.open(rw=True, user_pin=self._pin)
            except pkcs11.exceptions.UserAlreadyLoggedIn:
                # A PKCS #11 login applies to the whole process: an ended session of ours has left it active.
                self._session = token.open(rw=True)
        except (pkcs11.exceptions.NoSuchToken, pkcs11.exceptions.MultipleTokensReturned):
            raise AUTHORITY_KEYS_TOKEN(
                f"the HSM must have exactly one token {shown(self._token)}: connect it, or set "
                "`identity.pkcs11_token` to its label"
            ) from None
        except (
            pkcs11.exceptions.PinIncorrect,
            pkcs11.exceptions.PinInvalid,
            pkcs11.exceptions.PinLenRange,
            pkcs11.exceptions.PinLocked,
            pkcs11.exceptions.PinExpired,
        ):
            self._is_pin_refused = True
            raise self._wrong_pin() from None
        return self._session

    def _wrong_pin(self) -> Unavailable:
        return AUTHORITY_KEYS_PIN(
            f"the HSM token {shown(self._token)} rejects this PIN: correct the file of "
            "`identity.pkcs11_pin` before the next start, because a few wrong PINs lock the token"
        )

    def _doubt(self) -> None:
        self._is_stale = True
        self._end()

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(PKCS11Error):
                session.close()


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise AUTHORITY_KEYS_NAME(f"{shown(name)} is not a key name: use 1 to 64 of a-z 0-9 -")
    return name


def _private(session: pkcs11.Session, label: str) -> pkcs11.SignMixin | None:
    found = _found(session, _PRIVATE, label)
    return found if isinstance(found, pkcs11.SignMixin) else None


def _public(session: pkcs11.Session, label: str) -> pkcs11.PublicKey | None:
    found = _found(session, _PUBLIC, label)
    return found if isinstance(found, pkcs11.PublicKey) else None


def _found(session: pkcs11.Session, kind: pkcs11.ObjectClass, label: str) -> pkcs11.Object | None:
    """Return the first object of this name; None if there is none. The search is read to its end, so that the token
    finishes it. If several objects have one name, any will do: the caller checks that it is the authority's key."""
    return next(iter(list(session.get_objects({_CLASS: kind, _LABEL: label}))), None)


def _point(public: pkcs11.PublicKey) -> ec.EllipticCurvePublicKey:
    """Decode CKA_EC_POINT: an OCTET STRING around the uncompressed point; some tokens omit the wrapper."""
    octets = bytes(public[pkcs11.Attribute.EC_POINT])
    if len(octets) not in (POINT_BYTES, POINT_BYTES + 2):
        raise _unfit(f"a point of {len(octets)} bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets[-POINT_BYTES:])
    except ValueError:
        raise _unfit("a point that is not on P-256") from None


def _unfit(what: str) -> Unavailable:
    return AUTHORITY_KEYS_UNAVAILABLE(f"the HSM token returned {what}")


def _unavailable(why: str, *, unknown: bool = False) -> Unavailable:
    return AUTHORITY_KEYS_UNAVAILABLE(
        (
            "the HSM with the keys of the trust domain cannot be used, so nothing is signed until it "
            f"is available: {why}"
        ),
        effect="unknown" if unknown else "none",
    )


def _reason(error: PKCS11Error) -> str:
    """Return only the kind of fault: other text of drivers might hold anything."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
