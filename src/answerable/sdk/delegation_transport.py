"""Carry a chain of hops from agent to agent: put it into a message on one side, and extract it strictly on the other.

    headers = fields_for(chain)                          # HTTP, and brokers: NATS, AMQP, Kafka
    put_in_a2a(message.metadata, message.extensions, chain)
    ...
    chain = received(chain_in_a2a(message.metadata, message.extensions), key.public)

A chain need not be secret, since only the holder of one key can use it. An extracted chain is bounded, occurs once,
passes the strict parser, and each hop names the hop above it; signatures and revocations are checked where the chain is
used. A message without a chain yields an empty text: an agent that then acts does so under its own authority, which is
recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.delegation_chain import split_chain
from answerable.core.mandate.delegation_transport_terms import (
    A2A_EXTENSION,
    FIELD,
    FIELD_CHARS_MAX,
    MEMBER,
    MEMBER_CHARS_MAX,
)
from answerable.core.mandate.hop_token import read_hop, signing_hash
from answerable.errors import shown
from answerable.errors.codes.mandate import (
    DELEGATION_CARRIAGE,
    DELEGATION_DEPTH_INVALID,
    DELEGATION_HOLDER_BINDING_FAILED,
    DELEGATION_MISSING,
    DELEGATION_PAR_HASH_MISMATCH,
)

if TYPE_CHECKING:
    from collections.abc import MutableMapping, MutableSequence

    from answerable.core.identity.keys.keys import PublicKey

Text = str | bytes
Fields = Mapping[str, object] | Iterable[tuple[Text, object]]

_NAME_CHARS_MAX: Final = 256
_CHAIN: Final = re.compile(r"[A-Za-z0-9_.~-]+")


def fields_for(chain: str) -> dict[str, str]:
    """Return the field with the chain, for HTTP or a broker's message. Raises Malformed (`delegation.*`)."""
    return {FIELD: _checked(chain, FIELD_CHARS_MAX, _IN_FIELDS)}


def chain_in_fields(fields: Fields) -> str:
    """Extract the chain from the headers of a request or of a broker's message; empty if there is none.

    fields: as the client library provides them: a mapping to text, bytes or lists of them, or ordered pairs. Raises
    Malformed: `delegation.carriage` for more than one, or a value that is no text; `delegation.*` as `read_hop`.
    """
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    found: list[object] = []
    for name, value in pairs:
        if _folded(name) == FIELD:
            found.extend(value if isinstance(value, (list, tuple)) else (value,))
    if len(found) > 1:
        raise DELEGATION_CARRIAGE(f"the message has {len(found)} fields {shown(FIELD)}, expected one")
    return _checked(found[0], FIELD_CHARS_MAX, _IN_FIELDS) if found else ""


def put_in_meta(meta: MutableMapping[str, object], chain: str) -> None:
    """Put a chain into the `_meta` of an MCP request. Raises Malformed (`delegation.*`), also if it contains another
    chain."""
    _put(meta, _checked(chain, MEMBER_CHARS_MAX, _IN_META), _IN_META)


def chain_in_meta(meta: Mapping[str, object]) -> str:
    """Extract the chain from the `_meta` of an MCP request; empty if there is none. Raises Malformed
    (`delegation.*`)."""
    return _checked(meta[MEMBER], MEMBER_CHARS_MAX, _IN_META) if MEMBER in meta else ""


def put_in_a2a(metadata: MutableMapping[str, object], extensions: MutableSequence[str], chain: str) -> None:
    """Put a chain into `metadata` and `extensions` of an A2A message: those of its JSON, or the fields of a protobuf
    message.

    Raises Malformed (`delegation.*`), also if the message contains another chain.
    """
    _put(metadata, _checked(chain, MEMBER_CHARS_MAX, _IN_A2A), _IN_A2A)
    if A2A_EXTENSION not in extensions:
        extensions.append(A2A_EXTENSION)


def chain_in_a2a(metadata: Mapping[str, object], extensions: Iterable[str]) -> str:
    """Extract the chain from an A2A message; empty if there is none.

    Raises Malformed: `delegation.carriage` if the message names the extension without a chain, has a chain without
    naming the extension, or names it twice; `delegation.*` as `read_hop`.
    """
    said = sum(1 for one in extensions if one == A2A_EXTENSION)
    if said > 1:
        raise DELEGATION_CARRIAGE(f"the message names the extension {A2A_EXTENSION} {said} times")
    if (MEMBER in metadata) != bool(said):
        what = "has no chain" if said else "does not name the extension"
        raise DELEGATION_CARRIAGE(
            f"A2A metadata {shown(MEMBER)} and the extension {A2A_EXTENSION} need each other: the "
            f"message {what}"
        )
    return _checked(metadata[MEMBER], MEMBER_CHARS_MAX, _IN_A2A) if said else ""


def one_chain(*found: str) -> str:
    """Return the chain of a message that may carry it in several places. Raises Malformed (`delegation.carriage`) if
    two places have different chains: then none is used."""
    chains = {one for one in found if one}
    if len(chains) > 1:
        raise DELEGATION_CARRIAGE("the message has different chains in different places")
    return chains.pop() if chains else ""


def received(chain: str, key: PublicKey) -> str:
    """Return the chain, if its last hop is bound to this key, which is the receiver's own.

    Raises Refused (`delegation.missing`) if there is no chain, so that no work begins without authority, and
    (`delegation.holder_binding_failed`) if the chain is for another holder; Malformed (`delegation.*`).
    """
    if not chain:
        raise DELEGATION_MISSING(
            "the message has no delegation chain: its sender delegated nothing, or a system in "
            "between removed the chain"
        )
    leaf = read_hop(split_chain(chain)[-1])
    if leaf.confirmation.thumbprint != key.thumbprint:
        raise DELEGATION_HOLDER_BINDING_FAILED(
            f"the chain is for agent {shown(leaf.agent, 60)} with another key than this agent's"
        )
    return chain


_IN_FIELDS: Final = f"the field `{FIELD}`"
_IN_META: Final = f"`{MEMBER}` of `_meta`"
_IN_A2A: Final = f"`{MEMBER}` of the message's metadata"


def _folded(name: Text) -> str:
    """Fold a name as HTTP compares names: ASCII letters, case-insensitive. A non-text name never matches."""
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    return text.lower() if len(text) <= _NAME_CHARS_MAX and text.isascii() else ""


def _put(members: MutableMapping[str, object], chain: str, where: str) -> None:
    if MEMBER in members and members[MEMBER] != chain:
        raise DELEGATION_CARRIAGE(f"{where} already has another chain")
    members[MEMBER] = chain


def _checked(value: object, chars_max: int, where: str) -> str:
    """Check the form of a chain: text, bounded, of the characters that tokens have, each hop naming the hop above
    it."""
    size = len(value) if isinstance(value, (str, bytes)) else 0
    if size > chars_max:
        raise DELEGATION_CARRIAGE(f"{where} has {size} characters, more than {chars_max}")
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str) or not _CHAIN.fullmatch(text):
        raise DELEGATION_CARRIAGE(f"{where} must be one chain of hops: ASCII text of tokens joined by `~`")
    tokens = split_chain(text)
    for depth, (above, token) in enumerate(pairwise(("", *tokens))):
        hop = read_hop(token)
        if hop.depth != depth:
            raise DELEGATION_DEPTH_INVALID(
                f"{where}: depth of hop {depth} is {shown(hop.depth, 20)}, expected {depth}"
            )
        if above and hop.parent_hash != signing_hash(above):
            raise DELEGATION_PAR_HASH_MISMATCH(
                f"{where}: `par_hash` of hop {depth} is not the hash of the hop before it"
            )
    return text
