"""Whose word about what an agent is made of counts as our own sidecar's.

Laws: who is not named here measures nothing, whatever it says; by default that is our own `answerable agent up` on this
machine, and nobody elsewhere; a set of selectors is believed of who shows all of it, and an empty one of nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.identity.workload.attestation import checked_selector, fits_every_user
from answerable.errors import Malformed, shown
from answerable.errors.codes.workloads import ATTESTATION_SIDECAR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.workload.evidence import Evidence

Method = Literal["unix", "join_token", "oidc", "x509_pop", "ssh_host_key"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
AGENT_UP: Final = "agent-up"
"""The word for processes of this machine that run our own `answerable agent up`."""
SIDECARS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecars:
    """Made by `sidecars_in`. agent_up: our own program on this machine. methods: everybody who is attested so. sets:
    who shows all selectors of one of them."""

    agent_up: bool = True
    methods: frozenset[str] = frozenset()
    sets: tuple[frozenset[str], ...] = ()

    def believes(self, evidence: Evidence, *, agent_up: bool) -> bool:
        """Whether what this enroller says it measured counts as measured by our sidecar.

        agent_up: it is a process of this machine that was seen to run our own `answerable agent up`.
        """
        if agent_up and self.agent_up and evidence.source == "unix":
            return True
        if evidence.source in self.methods:
            return True
        return any(one <= set(evidence.selectors) for one in self.sets)


def sidecars_in(texts: Iterable[str]) -> Sidecars:
    """Read the setting: each text is `agent-up`, a method of attestation, or selectors with blanks between them.

    Raises Malformed (`attestation.sidecar`).
    """
    agent_up, methods, sets = False, set[str](), list[frozenset[str]]()
    listed = list(texts)
    if len(listed) > SIDECARS_MAX:
        raise ATTESTATION_SIDECAR(f"expected at most {SIDECARS_MAX} sidecars, got {len(listed)}")
    for text in listed:
        words = text.split()
        if words == [AGENT_UP]:
            agent_up = True
        elif len(words) == 1 and words[0] in METHODS:
            methods.add(words[0])
        else:
            sets.append(_selectors(text, words))
    return Sidecars(agent_up=agent_up, methods=frozenset(methods), sets=tuple(sets))


def _selectors(text: str, words: list[str]) -> frozenset[str]:
    try:
        found = frozenset(checked_selector(word) for word in words)
    except Malformed:
        found = frozenset()
    if not found:
        raise ATTESTATION_SIDECAR(
            f"{shown(text)} is neither `{AGENT_UP}`, nor one of {', '.join(METHODS)}, nor selectors such as"
            " `unix:uid:990 unix:path:/opt/answerable/bin/python3` with blanks between them"
        )
    if fits_every_user(found):
        message = f"{shown(text)} names a program that any user may start: add its user, `unix:uid:N`"
        raise ATTESTATION_SIDECAR(message)
    return found
