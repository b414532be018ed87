"""What publishing policy sets needs beside the walk: whose task it is, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from answerable.verify.citation_index import StatedPlaces

if TYPE_CHECKING:
    from answerable.core.decision.compared import ShadowSeen
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.ports.decision_point import PolicyChecker
    from answerable.ports.policy_evaluation import AskingCompiler, PolicyAsking
    from answerable.ports.policy_register import PolicyRegister


@dataclass(slots=True, kw_only=True)
class Declared:
    """What policy sets of this log declared, by the digest that decisions name, as far as the log was read."""

    read_to: int = 0
    parts: dict[str, PolicyParts] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class AskedAgain:
    """What is kept between stretches of past decisions that are asked again: where in the log it stands what they were
    made under, and how many were asked. turn: one stretch at a time is at work, whoever asks for more."""

    places: StatedPlaces = field(default_factory=StatedPlaces)
    count: int = 0
    turn: anyio.Lock = field(default_factory=anyio.Lock)


@dataclass(slots=True, kw_only=True)
class PolicyState:
    """publishers: group whose members put proposals of others into force; empty where one person is enough, on record.

    records: proposals and earlier sets; None where nothing is kept, and then nothing can be proposed. check: what is
    wrong with sets that could be published; None where nobody looks.
    compile_asking: makes candidates that can be asked; None where nothing can be simulated. candidate: the one that is
    being simulated, with the digest of its documents and of the registry. shadow: likewise, the one that follows what
    is decided. seen: how far, in this log; None until it was looked up. declared: of sets in force before. asked: of
    past decisions that are asked again.
    """

    publishers: str = ""
    records: PolicyRegister | None = None
    check: PolicyChecker | None = None
    compile_asking: AskingCompiler | None = None
    candidate: tuple[str, PolicyAsking] | None = None
    shadow: tuple[str, PolicyAsking] | None = None
    seen: ShadowSeen | None = None
    declared: Declared = field(default_factory=Declared)
    asked: AskedAgain = field(default_factory=AskedAgain)
