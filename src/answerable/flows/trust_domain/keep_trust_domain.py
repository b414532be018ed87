"""Run the SPIFFE trust domain: rotate its authorities, publish its bundle, and hold the bundles of federated domains.

Durable state is written before anybody sees it; a key is named in the register before it is created. Calls that use
keys and register block (`open`, `tend`, `rotate`, `remove`, `set_federated`, `drop_federated`) and are thread-safe;
lookups do not block.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from answerable.core.identity.keys.port_key import PortKey
from answerable.core.identity.svid.authority import (
    ID_BYTES,
    first_set,
    key_names,
    require_room,
    signing_authority,
    step_due,
    with_active,
    with_beginning,
    with_prepared,
    without,
    without_expired,
)
from answerable.core.identity.svid.trust_bundle import TrustBundle, encoded_bundle, parse_bundle
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes import identity as codes
from answerable.flows.trust_domain.make_authority import checked_keys, made_authority, require_ours
from answerable.flows.trust_domain.tell_watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.authority import Authority, AuthoritySet, TrustLimits
    from answerable.ports.authority_keys import AuthorityKeys
    from answerable.ports.authority_register import AuthorityRegister
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy

_log: Final = logging.getLogger(__name__)
FEDERATED_MAX: Final = 256
"""Federated (foreign) trust domains."""
RACES_MAX: Final = 8
"""Concurrent changes by other processes after which a change is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """The keys that an authority generation signs with."""

    authority: Authority
    x509: PortKey
    jwt: PortKey
    wit: PortKey


class _Raced(Exception):
    """Another process changed the authorities first."""


class TrustDomainState:
    """Implements ports.trust_source.TrustSource for the own domain and the domains it is federated with.

    Until `open` has returned, there is no bundle and nothing is signed. Several processes may share register and keys:
    each sees the others' changes at its next `tend` or `refresh`.
    """

    def __init__(
        self,
        *,
        domain: TrustDomain,
        keys: AuthorityKeys,
        register: AuthorityRegister,
        clock: Clock,
        entropy: Entropy,
        limits: TrustLimits,
    ) -> None:
        self.domain: Final = domain
        self.limits: Final = limits
        self._keys = keys
        self._register = register
        self._clock = clock
        self._entropy = entropy
        self._lock = threading.RLock()
        self._work: AuthoritySet | None = None
        self._current: AuthoritySet | None = None
        self._destroyed: set[str] = set()
        self._signing: Signing | None = None
        self._foreign: dict[TrustDomain, tuple[bytes, TrustBundle]] = {}
        self._bundles: Mapping[TrustDomain, TrustBundle] = MappingProxyType({})
        self._watchers = Watchers()

    # --- lifecycle ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Create the first authorities, or resume the existing ones. Idempotent.

        Raises Unavailable: `authority_keys.missing` if a key in the register is missing, `authority_keys.changed` if it
        is another key, `authority.domain` if the domain was renamed; and what register and keys raise. A lost authority
        is never replaced silently: an operator calls `remove`.
        """
        self._change(lambda now: self._keep(now, opening=True), opening=True)

    def tend(self) -> bool:
        """Take over other processes' changes, and do the rotation step that is due (`step_due`). Return whether a
        bundle changed.

        Call on a timer. Raises Unavailable.
        """
        self._require_open()
        before = self._bundles
        self._change(self._keep)
        return self._bundles is not before

    def refresh(self) -> None:
        """Take over other processes' changes. Raises Unavailable."""
        self._require_open()
        self._change(lambda now: self._take_foreign())

    def rotate(self, *, activate: bool) -> None:
        """Prepare the next authority generation now, if none is waiting; with `activate`, sign with it at once.

        With `activate`, verifiers that have not fetched the bundle since refuse what it signs. Raises Refused
        (`authority.too_many`), Unavailable.
        """

        def rotated(now: UnixMillis) -> None:
            chosen = self._waiting(now) or self._prepare(now)
            if activate:
                self._activate(chosen, now)

        self._require_open()
        self._change(rotated)

    def remove(self, authority_id: str) -> None:
        """Mass revocation: remove an authority from the bundle and destroy its keys. If it was active, another one
        signs.

        Works without `open`, for a generation whose keys are lost. If no other authority can be made, the removal still
        holds, nothing is signed and the fault is raised. Raises Refused (`authority.unknown`), Unavailable.
        """
        done = False
        fault: Unavailable | None = None

        def removed(now: UnixMillis) -> None:
            nonlocal done, fault
            if not done:
                self._write(without(self._set, authority_id, now))
                done = True
                # The removed authority is no longer trusted from here on, so a fault may be raised later.
                fault = self._sweep()
            if self._set.active is None:
                self._advance(now)

        self._change(removed)
        if fault is not None:
            raise fault

    def authorities(self) -> tuple[Authority, ...]:
        """Return all generations, oldest first; removed ones until they would have expired."""
        return () if self._current is None else self._current.authorities

    def signing(self, now: UnixMillis) -> Signing:
        """Return the keys to sign with at this time. Raises Unavailable (`authority.*`, `authority_keys.*`)."""
        current = self._require_open()
        authority = signing_authority(current, now)
        signing = self._signing
        if signing is None or signing.authority.id != authority.id:
            x509, jwt, wit = checked_keys(authority, self._keys)
            signing = self._signing = Signing(authority=authority, x509=x509, jwt=jwt, wit=wit)
        return signing

    # --- bundles ------------------------------------------------------------------------------------

    def bundle(self, domain: TrustDomain) -> TrustBundle | None:
        return self._bundles.get(domain)

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        return self._bundles

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """As the port says. Without an event loop, `changed` is called in the thread that made the change."""
        return self._watchers.add(changed)

    def set_federated(self, bundle: TrustBundle) -> None:
        """Trust this bundle of a foreign domain from now on, also after a restart.

        Raises Refused (`federation.own_domain`, `federation.too_many`), Unavailable.
        """
        if bundle.trust_domain == self.domain:
            message = f"trust domain {shown(self.domain)} is this server's own: it cannot be federated"
            raise codes.FEDERATION_OWN_DOMAIN(message)
        document = encoded_bundle(bundle)

        def believed(now: UnixMillis) -> None:
            known = self._register.federated()
            if bundle.trust_domain not in known and len(known) >= FEDERATED_MAX:
                raise codes.FEDERATION_TOO_MANY(f"expected at most {FEDERATED_MAX} federated trust domains")
            self._register.keep_federated(bundle.trust_domain, document)
            self._take_foreign()

        self._require_open()
        self._change(believed)

    def drop_federated(self, domain: TrustDomain) -> None:
        """Stop trusting this foreign domain. Raises Unavailable."""

        def dropped(now: UnixMillis) -> None:
            self._register.drop_federated(domain)
            self._take_foreign()

        self._require_open()
        self._change(dropped)

    # --- steps, with the lock held ------------------------------------------------------------------

    def _require_open(self) -> AuthoritySet:
        if self._current is None:
            raise codes.AUTHORITY_NONE("the trust domain is not open yet")
        return self._current

    @property
    def _set(self) -> AuthoritySet:
        if self._work is None:
            raise codes.AUTHORITY_NONE("the register has no authorities: open the trust domain first")
        return self._work

    def _change(self, change: Callable[[UnixMillis], None], *, opening: bool = False) -> None:
        """Run one change at a time from the newest state, and repeat it if another process was faster.

        The result is published at the end, even of an incomplete change, but not of a failed `open`.
        """
        with self._lock:
            try:
                for _ in range(RACES_MAX):
                    self._work = self._read(create=opening)
                    try:
                        change(self._clock.now())
                    except _Raced:
                        continue
                    if opening:
                        self._current = self._work
                    return
                message = f"other processes changed the authorities {RACES_MAX} times meanwhile: try again"
                raise codes.AUTHORITY_REGISTER_BUSY(message)
            finally:
                if self._current is not None and self._work is not None:
                    self._current = self._work
                    self._show(self._work)

    def _read(self, *, create: bool) -> AuthoritySet | None:
        found, seen = self._register.read(), self._current
        if seen is not None and (found is None or found.revision < seen.revision):
            message = "the register of authorities is older than what was published: restore its newest copy"
            raise codes.AUTHORITY_REGISTER_REWOUND(message)
        if found is not None or not create:
            return found
        first = first_set(self._clock.now())
        return first if self._register.replace(first, expected=None) else self._register.read()

    def _keep(self, now: UnixMillis, *, opening: bool = False) -> None:
        self._end_beginning()
        if opening:
            self._check_keys(now)
        # Sweep before any authority becomes old: one that just became old may be signing in another thread.
        unswept = self._sweep()
        self._advance(now)
        self._take_foreign()
        if unswept is not None:
            raise unswept

    def _advance(self, now: UnixMillis) -> None:
        while step := step_due(self._set, now, self.limits):
            if step == "drop":
                self._drop(now)
            elif step == "prepare":
                self._prepare(now)
            else:
                self._activate(self._waiting(now) or self._prepare(now), now)

    def _waiting(self, now: UnixMillis) -> str:
        return next((a.id for a in self._set.authorities if a.state == "prepared" and a.is_valid(now)), "")

    def _activate(self, authority_id: str, now: UnixMillis) -> None:
        after = with_active(self._set, authority_id, now)
        # An authority that cannot sign never replaces one that can.
        for authority in after.authorities:
            if authority.id == authority_id:
                checked_keys(authority, self._keys)
        self._write(after)

    def _drop(self, now: UnixMillis) -> None:
        """Remove expired generations. Keys first: once the register has forgotten a key, nothing would destroy it."""
        after = without_expired(self._set, now)
        expired = [a.id for a in self._set.authorities if after.find(a.id) is None]
        for authority_id in expired:
            self._destroy_keys(authority_id)
        self._write(after)
        self._destroyed.difference_update(expired)

    def _prepare(self, now: UnixMillis) -> str:
        """Prepare a new generation for the bundle. Its name is durable before its keys are created."""
        self._end_beginning()
        require_room(self._set)
        made = self._entropy.bytes(ID_BYTES).hex()
        self._write(with_beginning(self._set, made))
        authority = made_authority(
            made, domain=self.domain, keys=self._keys, entropy=self._entropy, now=now, limits=self.limits
        )
        try:
            self._write(with_beginning(with_prepared(self._set, authority), ""))
        except _Raced:
            self._destroy_keys(made)
            raise
        return made

    def _write(self, after: AuthoritySet) -> None:
        if not self._register.replace(after, expected=self._set.revision):
            raise _Raced
        self._work = after

    def _end_beginning(self) -> None:
        """Undo a generation whose creation was not completed."""
        begun = self._set.beginning
        if begun:
            # Write another revision, so that a process still creating these keys fails to add them.
            self._write(with_beginning(self._set, begun))
            self._destroy_keys(begun)
            self._write(with_beginning(self._set, ""))

    def _check_keys(self, now: UnixMillis) -> None:
        for authority in self._set.published:
            require_ours(authority, self.domain)
            if authority.may_sign and now < authority.not_after:
                checked_keys(authority, self._keys)

    def _sweep(self) -> Unavailable | None:
        """Destroy the private keys of old and removed authorities. Return the fault that kept some of them."""
        unswept: Unavailable | None = None
        for authority in self._set.authorities:
            if not authority.may_sign and authority.id not in self._destroyed:
                try:
                    self._destroy_keys(authority.id)
                except Unavailable as fault:
                    unswept = fault
        return unswept

    def _destroy_keys(self, authority_id: str) -> None:
        for name in key_names(authority_id):
            self._keys.destroy(name)
        self._destroyed.add(authority_id)

    # --- published state ----------------------------------------------------------------------------

    def _take_foreign(self) -> None:
        """Read the foreign bundles from the register, skipping unreadable ones. Raises Unavailable."""
        believed: dict[TrustDomain, tuple[bytes, TrustBundle]] = {}
        for domain, document in self._register.federated().items():
            if domain == self.domain:
                continue  # the own domain was renamed to this formerly foreign one, for which nobody else may speak
            known = self._foreign.get(domain)
            if known is not None and known[0] == document:
                believed[domain] = known
                continue
            try:
                believed[domain] = document, parse_bundle(document, domain=domain)
            except Malformed as error:
                # That domain is untrusted until its bundle is set again; the own domain continues.
                _log.error(
                    "the bundle of %s in the register cannot be read: %s", shown(domain), error.message
                )
        self._foreign = believed

    def _show(self, current: AuthoritySet) -> None:
        """Replace the published bundles as a whole, and notify watchers if any bundle changed."""
        bundles = {domain: bundle for domain, (_, bundle) in self._foreign.items()}
        bundles[self.domain] = self._own(current)
        if bundles != dict(self._bundles):
            self._bundles = MappingProxyType(bundles)
            self._watchers.tell()

    def _own(self, current: AuthoritySet) -> TrustBundle:
        published = current.published
        return TrustBundle(
            trust_domain=self.domain,
            x509_authorities=tuple(a.certificate for a in published),
            jwt_authorities={a.jwt_kid: a.jwt_jwk for a in published},
            wit_authorities={a.wit_kid: a.wit_jwk for a in published},
            sequence=current.sequence,
            refresh_hint=self.limits.refresh_hint_seconds,
        )
