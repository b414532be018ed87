"""Error codes of incidents."""

from __future__ import annotations

from answerable.errors.code import MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

INCIDENT_ABOUT = RefusedCode(
    "incident.about", "there is nothing of that name that an incident can be about: …"
)
INCIDENT_ALGORITHM = UnverifiedCode("incident.algorithm", "algorithm … is not accepted", step="incident")
INCIDENT_AMBIGUOUS = MalformedCode("incident.ambiguous", "… may be … incidents: …: give more of its id")
INCIDENT_AUDIENCE = UnverifiedCode(
    "incident.audience", "the statement about an incident has audience …, expected …", step="incident"
)
INCIDENT_CLOSED = RefusedCode("incident.closed", "incident … is closed already, since …")
INCIDENT_DUTY = MalformedCode("incident.duty", "incident … has no duty …; its duties are …")
INCIDENT_FOLDER = MalformedCode("incident.folder", "… exists already: name a folder that does not")
INCIDENT_KEY = UnverifiedCode("incident.key", "key … is not registered for …", step="incident")
INCIDENT_MALFORMED = MalformedCode("incident.malformed", "claim … is missing or unknown")
INCIDENT_OPTIONS = MalformedCode(
    "incident.options",
    "say what the incident is about with one of --alert, --hold, --agent, --vendor, --window",
)
INCIDENT_RIGHT = RefusedCode("incident.right", "… may not write about incidents: only members of group … may")
INCIDENT_SHARD = RefusedCode(
    "incident.shard", "incident … is in log …, this server writes …: do this at the server of shard …"
)
INCIDENT_SIGNATURE = UnverifiedCode("incident.signature", "the signature is invalid", step="incident")
INCIDENT_STALE = UnverifiedCode(
    "incident.stale",
    "the statement about an incident was signed … s ago, expected less than 300 s: sign it anew",
    step="incident",
)
INCIDENT_TOLD = MalformedCode(
    "incident.told",
    "nobody was told at …, before what incident … is about, which begins at …: say when it was",
)
INCIDENT_TYPE = UnverifiedCode("incident.type", "expected a token of type …, got …", step="incident")
INCIDENT_UNKNOWN = MalformedCode("incident.unknown", "there is no incident …: see `answerable incident list`")
INCIDENT_WIDE = RefusedCode(
    "incident.wide", "this incident would be about more than … names: open it for a part of them"
)
INCIDENT_WRITE = UnavailableCode("incident.write", "cannot write …: …", port="files")
