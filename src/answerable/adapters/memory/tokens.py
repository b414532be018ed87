"""Issued tokens that live as long as the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from msgspec import structs

from answerable.core.mandate.issued_token import IssuedToken, StatusPlace
from answerable.core.mandate.status_list import INVALID, with_status
from answerable.core.mandate.status_places import TOKENS_PER_LIST_MAX, decoys, drawn_places
from answerable.errors import Malformed, shown
from answerable.ports.token_register import SUBTREE_ANSWER_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.identity.principal import UnixMillis
    from answerable.core.mandate.revocation import Revocable
    from answerable.ports.entropy import Entropy


class MemoryTokenRegister:
    """Implements ports.token_register.TokenRegister."""

    def __init__(self, *, entropy: Entropy) -> None:
        self._entropy = entropy
        self._lock = threading.RLock()
        self._tokens: dict[str, IssuedToken] = {}
        self._children: dict[str, list[str]] = {}
        self._ended: set[str] = set()
        self._places: set[tuple[int, int]] = set()
        self._lists: list[tuple[bytes, bytearray, list[int]]] = []

    def add(self, tokens: Iterable[IssuedToken]) -> None:
        """As the port says."""
        with self._lock:
            added = [*tokens]
            known = dict(self._tokens)
            places = set(self._places)
            for one in added:
                self._check(one, known, places)
                known[one.jti] = one
                places.add((one.place.list_number, one.place.index))
            self._tokens, self._places = known, places
            for one in added:
                self._children.setdefault(one.parent, []).append(one.jti)

    def restore(self, tokens: Iterable[IssuedToken]) -> int:
        """As the port says."""
        count = 0
        with self._lock:
            for one in tokens:
                number, index = one.place.list_number, one.place.index
                if one.jti in self._tokens or (number, index) in self._places:
                    continue
                while len(self._lists) < number:
                    self._begin_list()
                nobodys, taken, given = self._lists[number - 1]
                cleared, bit = bytearray(nobodys), 1 << (index & 7)
                cleared[index >> 3] &= ~bit
                taken[index >> 3] |= bit
                given[0] += 1
                self._lists[number - 1] = (bytes(cleared), taken, given)
                kept = one if one.parent in self._tokens else structs.replace(one, parent="")
                self._tokens[one.jti] = kept
                self._places.add((number, index))
                self._children.setdefault(kept.parent, []).append(one.jti)
                count += 1
        return count

    def find(self, jti: str) -> IssuedToken | None:
        """As the port says."""
        return self._tokens.get(jti)

    def has_ended(self, jti: str) -> bool:
        """As the port says."""
        return jti not in self._tokens or jti in self._ended

    def end(self, names: Collection[Revocable]) -> int:
        """As the port says."""
        with self._lock:
            fresh = self._family(names) - self._ended
            self._ended |= fresh
            return len(fresh)

    def subtree(self, names: Collection[Revocable]) -> tuple[int, Sequence[IssuedToken]]:
        """As the port says."""
        with self._lock:
            family = self._family(names)
            found = [one for jti, one in self._tokens.items() if jti in family]
        return len(found), tuple(found[:SUBTREE_ANSWER_MAX])

    def statuses(self, list_number: int) -> bytes:
        """As the port says."""
        with self._lock:
            if not 1 <= list_number <= len(self._lists):
                raise Malformed(f"there is no status list {list_number}", code="status.no_list")
            found = bytearray(self._lists[list_number - 1][0])
            ended = (self._tokens[jti].place for jti in self._ended if jti in self._tokens)
            indexes = [place.index for place in ended if place.list_number == list_number]
        with_status(found, bits=1, indexes=indexes, status=INVALID)
        return bytes(found)

    def take_places(self, count: int) -> Sequence[StatusPlace]:
        """As the port says."""
        found: list[StatusPlace] = []
        with self._lock:
            while len(found) < count:
                if not self._lists or self._lists[-1][2][0] >= TOKENS_PER_LIST_MAX:
                    self._begin_list()
                _, taken, given = self._lists[-1]
                wanted = min(count - len(found), TOKENS_PER_LIST_MAX - given[0])
                drawn = drawn_places(taken, wanted, self._entropy.bytes)
                given[0] += wanted
                found += (StatusPlace(list_number=len(self._lists), index=one) for one in drawn)
        return tuple(found)

    def prune(self, *, before: UnixMillis, count_max: int) -> int:
        """As the port says."""
        with self._lock:
            old = sorted(
                (one for one in reversed(self._tokens.values()) if one.expires_at < before),
                key=lambda one: one.expires_at,
            )[:count_max]
            for one in old:
                del self._tokens[one.jti]
                self._ended.discard(one.jti)
                self._children.pop(one.jti, None)
                if one.jti in (siblings := self._children.get(one.parent, [])):
                    siblings.remove(one.jti)
        return len(old)

    def _begin_list(self) -> None:
        nobodys = decoys(self._entropy.bytes)
        self._lists.append((nobodys, bytearray(nobodys), [0]))

    def _check(self, token: IssuedToken, known: dict[str, IssuedToken], places: set[tuple[int, int]]) -> None:
        if token.jti in known or (token.place.list_number, token.place.index) in places:
            message = f"token {shown(token.jti)}, or its place in a status list, is there already"
            raise Malformed(message, code="token.duplicate")
        if not token.parent:
            return
        parent = known.get(token.parent)
        if parent is None or token.parent in self._ended:
            message = f"the parent of token {shown(token.jti)} is not known or has ended"
            raise Malformed(message, code="token.parent")
        if token.expires_at > parent.expires_at:
            raise Malformed(f"token {shown(token.jti)} would outlive its parent", code="token.parent")

    def _family(self, names: Collection[Revocable]) -> set[str]:
        wanted = {one for one in names if one.name}
        pending = [jti for jti, one in self._tokens.items() if not wanted.isdisjoint(one.own_names())]
        found: set[str] = set()
        while pending:
            jti = pending.pop()
            if jti not in found:
                found.add(jti)
                pending += self._children.get(jti, ())
        return found
