"""How a chain travels from agent to agent: put into a message on one side, taken out strictly on the other.

    headers = fields_for(chain)                          # HTTP, and brokers: NATS, AMQP, Kafka
    put_in_a2a(message.metadata, message.extensions, chain)
    ...
    chain = received(chain_in_a2a(message.metadata, message.extensions), key.public)

It may travel in the open, for it is of use to the holder of one key only. What is taken out is bounded, there once, and
read by the strict parser, and each hop names the one above it; who signed and what still stands is asked where it is
used. A message without a chain gives an empty text: whoever acts then acts under what is its own, and is on record.
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
    """The field of HTTP, or of a broker's message, with the chain in it. Raises Malformed (`delegation.*`)."""
    return {FIELD: _checked(chain, FIELD_CHARS_MAX, _IN_FIELDS)}


def chain_in_fields(fields: Fields) -> str:
    """The chain among the headers of a request or of a broker's message; empty where there is none.

    fields: as the client library gives them: a mapping to text, bytes or lists of them, or pairs in their order.
    Raises Malformed: `delegation.carriage` for more than one, or for what is no text; `delegation.*` as `read_hop`.
    """
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    found: list[object] = []
    for name, value in pairs:
        if _folded(name) == FIELD:
            found.extend(value if isinstance(value, (list, tuple)) else (value,))
    if len(found) > 1:
        raise DELEGATION_CARRIAGE(
            f"the message has {len(found)} fields {shown(FIELD)}: exactly one can be meant"
        )
    return _checked(found[0], FIELD_CHARS_MAX, _IN_FIELDS) if found else ""


def put_in_meta(meta: MutableMapping[str, object], chain: str) -> None:
    """Into the `_meta` of an MCP request. Raises Malformed (`delegation.*`), also when another chain is there."""
    _put(meta, _checked(chain, MEMBER_CHARS_MAX, _IN_META), _IN_META)


def chain_in_meta(meta: Mapping[str, object]) -> str:
    """The chain in the `_meta` of an MCP request; empty where there is none. Raises Malformed (`delegation.*`)."""
    return _checked(meta[MEMBER], MEMBER_CHARS_MAX, _IN_META) if MEMBER in meta else ""


def put_in_a2a(metadata: MutableMapping[str, object], extensions: MutableSequence[str], chain: str) -> None:
    """Into `metadata` and `extensions` of an A2A message: those of its JSON, or the fields of a protobuf message.

    Raises Malformed (`delegation.*`), also when another chain is there.
    """
    _put(metadata, _checked(chain, MEMBER_CHARS_MAX, _IN_A2A), _IN_A2A)
    if A2A_EXTENSION not in extensions:
        extensions.append(A2A_EXTENSION)


def chain_in_a2a(metadata: Mapping[str, object], extensions: Iterable[str]) -> str:
    """The chain in an A2A message; empty where there is none.

    Raises Malformed: `delegation.carriage` where the message says that it has one and has none, has one and does not
    say so, or says so twice; `delegation.*` as `read_hop`.
    """
    said = sum(1 for one in extensions if one == A2A_EXTENSION)
    if said > 1:
        raise DELEGATION_CARRIAGE(f"the message names the extension {A2A_EXTENSION} {said} times")
    if (MEMBER in metadata) != bool(said):
        what = "has no chain" if said else "does not name the extension"
        raise DELEGATION_CARRIAGE(
            f"a2a metadata {shown(MEMBER)} and the extension {A2A_EXTENSION} come together: the message {what}"
        )
    return _checked(metadata[MEMBER], MEMBER_CHARS_MAX, _IN_A2A) if said else ""


def one_chain(*found: str) -> str:
    """The chain of a message that was looked for in several places. Raises Malformed (`delegation.carriage`) when two
    places have different ones: neither is then taken for the other."""
    chains = {one for one in found if one}
    if len(chains) > 1:
        raise DELEGATION_CARRIAGE("the message has different chains in different places")
    return chains.pop() if chains else ""


def received(chain: str, key: PublicKey) -> str:
    """The chain, if its last hop is bound to this key, which is the receiver's own.

    Raises Refused (`delegation.missing`) where none came, so that no work is begun without authority, and
    (`delegation.holder_binding_failed`) where it is somebody else's; Malformed (`delegation.*`).
    """
    if not chain:
        raise DELEGATION_MISSING(
            "the message brings no chain of hops: whoever sent it on left it out, and nothing was handed on"
        )
    leaf = read_hop(split_chain(chain)[-1])
    if leaf.confirmation.thumbprint != key.thumbprint:
        raise DELEGATION_HOLDER_BINDING_FAILED(
            f"what was handed on is for {shown(leaf.agent, 60)} and for another key than this agent's"
        )
    return chain


_IN_FIELDS: Final = f"the field `{FIELD}`"
_IN_META: Final = f"`{MEMBER}` of `_meta`"
_IN_A2A: Final = f"`{MEMBER}` of the message's metadata"


def _folded(name: Text) -> str:
    """As HTTP compares names: by ASCII letters without case. What is no text is no name of ours."""
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    return text.lower() if len(text) <= _NAME_CHARS_MAX and text.isascii() else ""


def _put(members: MutableMapping[str, object], chain: str, where: str) -> None:
    if MEMBER in members and members[MEMBER] != chain:
        raise DELEGATION_CARRIAGE(f"{where} has another chain already")
    members[MEMBER] = chain


def _checked(value: object, chars_max: int, where: str) -> str:
    """One chain by its form: text, bounded, of the characters that tokens have, each hop naming the one above it."""
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
                f"{where} has a hop of depth {shown(hop.depth, 20)} in place {depth}"
            )
        if above and hop.parent_hash != signing_hash(above):
            raise DELEGATION_PAR_HASH_MISMATCH(
                f"{where} has a hop {depth} that is not below the one before it"
            )
    return text
