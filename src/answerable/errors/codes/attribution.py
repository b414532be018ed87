"""Error codes of attributing the lines of targets' logs, and of following them."""

from __future__ import annotations

from answerable.errors.code import MalformedCode, UnavailableCode

ATTRIBUTE_ACCOUNT = MalformedCode("attribute.account", "--account has no name: give one, or leave it out")
ATTRIBUTE_COMPLETE = MalformedCode(
    "attribute.complete",
    "… is ahead of the clock of this machine: --complete says when the ledger was sealed",
)
ATTRIBUTE_FORM = MalformedCode("attribute.form", "no line of … is of a log of kind …: …")
ATTRIBUTE_OUTPUT = MalformedCode("attribute.output", "give either --json or --csv")
ATTRIBUTE_PREFIX = MalformedCode("attribute.prefix", "the prefix …")
ATTRIBUTE_SEEN = MalformedCode("attribute.seen", "… has no accounts that were seen in logs")
ATTRIBUTE_SEEN_TARGET = MalformedCode(
    "attribute.seen_target", "--seen needs --target: accounts are kept with the target whose log it is"
)
ATTRIBUTE_TARGET = MalformedCode("attribute.target", "no recorded step is at target …: there are steps at …")
ATTRIBUTE_UNKEPT = MalformedCode("attribute.unkept", "cannot keep accounts in …: …")
ATTRIBUTE_ZONE = MalformedCode("attribute.zone", "… is not a time zone: give an offset such as `+01:00`")
LOG_NO_SERVER = UnavailableCode(
    "log.no_server",
    "no server answers at …, and only a server follows logs: start `answerable up`, or read a log once with "
    "`answerable attribute`",
    port="control",
)
