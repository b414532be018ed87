"""Decide whether a workload's enroller counts as our own sidecar, whose measurements of the agent are trusted.

Laws: measurements of an enroller that is not configured here are not trusted; the default is our own `answerable agent
up` on this machine, and no remote process; a set of selectors matches an enroller that has all of them, and an empty
set matches none.
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
"""The setting's word for local processes that run our own `answerable agent up`."""
SIDECARS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecars:
    """The trusted sidecars; made by `sidecars_in`. agent_up: trust our own program on this machine. methods: trust
    every enroller attested by these methods. sets: trust enrollers that have all selectors of one set."""

    agent_up: bool = True
    methods: frozenset[str] = frozenset()
    sets: tuple[frozenset[str], ...] = ()

    def believes(self, evidence: Evidence, *, agent_up: bool) -> bool:
        """Whether measurements reported by this enroller count as measured by our sidecar.

        agent_up: the enroller is a local process that was observed to run our own `answerable agent up`.
        """
        if agent_up and self.agent_up and evidence.source == "unix":
            return True
        if evidence.source in self.methods:
            return True
        return any(one <= set(evidence.selectors) for one in self.sets)


def sidecars_in(texts: Iterable[str]) -> Sidecars:
    """Read the setting: each text is `agent-up`, an attestation method, or selectors separated by spaces.

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
        message = f"{shown(text)} names a program that any user may start: add the user, `unix:uid:N`"
        raise ATTESTATION_SIDECAR(message)
    return found
