"""Approvals: what waits for people, and what they answered."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.api.members import Component, Count, Digest, Instant, Part, Texts, words


class SignedAnswer(Component, frozen=True, kw_only=True):
    """A signed answer."""

    token: Annotated[str, Meta(description="JWS, compact serialisation")]
    typed: (
        Annotated[
            Annotated[str, Meta(extra_json_schema={"maxLength": 256})],
            Meta(
                description="to let it run: the approval's `name_to_type`, where it has one, as the person typed it"
            ),
        ]
        | UnsetType
    ) = UNSET


class Opening(Component, frozen=True, kw_only=True):
    """A nonce for one answer, and the hashes that the answer must cover."""

    nonce: Annotated[str, Meta(description="32 bytes, base64url, for one answer")]
    action: Digest
    rendering: Digest
    ends_at: Instant


class Requirement(Part, frozen=True, kw_only=True):
    """How many people of a group must approve."""

    group: str
    count: Count


class NarrowableArgument(Part, frozen=True, kw_only=True):
    """An argument of which less may be proposed."""

    name: str
    value: Count | Texts


class AnswerGiven(Part, frozen=True, kw_only=True):
    """One answer."""

    by: str
    workflow: Annotated[str, Meta(description="of theirs that answered; empty for themselves")]
    groups: Texts
    in_place_of: Annotated[str, Meta(description="who is stood in for; empty for nobody")]
    verdict: Annotated[str, words("approve", "deny", "break_glass")]
    signed: Annotated[
        bool, Meta(description="false of a click in a chat, which is the chat's word and no signature")
    ]
    reason: str
    comment: str
    narrower: Annotated[
        str, Meta(description="values proposed instead, by argument, as canonical JSON text; or empty")
    ]
    at: Instant
    token: str


class Review(Part, frozen=True, kw_only=True):
    """The review of an approval whose glass was broken. at: None until it is done."""

    state: Annotated[str, words("owed", "overdue", "done")]
    due_at: Instant
    by: str
    verdict: str
    comment: str
    at: Instant | None
    token: str


class Approval(Component, frozen=True, kw_only=True):
    """An action that waits or waited for people. review: None where the glass was not broken."""

    id: str
    state: Annotated[str, words("pending", "approved", "denied", "expired", "used", "void")]
    agent: str
    principal: str
    mandate: str
    purpose: str
    capability: str
    action: Annotated[
        str,
        Meta(description="the action that will run, canonical JSON; asked with `whole`, `digest` is of it"),
    ]
    digest: Digest
    object: Annotated[
        str,
        Meta(
            description="the action object in its envelope, canonical JSON; asked with `whole`, its SHA-256 "
            "is the action hash"
        ),
    ]
    card: Annotated[
        str,
        Meta(
            description="what people are shown of it, as canonical JSON text; its SHA-256 is the rendering hash"
        ),
    ]
    claimed: Annotated[str, Meta(description="the agent's own reason, which nothing checks")]
    name_to_type: Annotated[
        str, Meta(description="what a person types to let it run, as it is critical; empty for all others")
    ]
    void_because: Texts
    ended_by: Annotated[str, Meta(description="the hold that denied it; empty where none did")]
    test: Annotated[str, Meta(description="that it was a test and how it ended, once it has")]
    reasons: Texts
    internal: Annotated[Texts, Meta(description="reasons for people only, which the agent is never shown")]
    requirements: tuple[Requirement, ...]
    narrowable: Annotated[
        tuple[NarrowableArgument, ...],
        Meta(description="amounts and lists among the arguments that an approver may propose less of"),
    ]
    proposed: Annotated[
        str,
        Meta(
            description="the narrower action proposed by whoever denied it, as canonical JSON text; or empty"
        ),
    ]
    followed_by: Annotated[
        str, Meta(description="the approval that the agent asked for with what was proposed; or empty")
    ]
    answers: tuple[AnswerGiven, ...]
    break_glass: Annotated[
        Texts,
        Meta(
            description="who may let it run alone: one of the groups, joined by bars, of each; empty for nobody"
        ),
    ]
    review: Review | None
    created_at: Instant
    expires_at: Instant
    audience: str
