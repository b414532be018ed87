"""Error codes of the servers, the command line, and their settings."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

CLI_AGAINST = MalformedCode("cli.against", "name the manifest: --against FILE, or --agent NAME")
CLI_ATTESTATION = MalformedCode("cli.attestation", "name one way to enrol, not several")
CLI_CONFIRMATION = MalformedCode(
    "cli.confirmation", "this asks for a confirmation and there is no terminal: add --yes"
)
CLI_DIGEST = UnverifiedCode(
    "cli.digest", "what the server calls alike is not: sign nothing, and tell who runs it", step="digest"
)
CLI_DIRECTORY = MalformedCode("cli.directory", "there is no directory …")
CLI_DRAFT = UnverifiedCode("cli.draft", "the draft is for somebody or something else", step="draft")
CLI_FILE = MalformedCode("cli.file", "cannot read …: …")
CLI_FILE_UNAVAILABLE = UnavailableCode(CLI_FILE.id, "cannot read …: …", port="file")
CLI_FILE_SIZE = MalformedCode("cli.file_size", "… has more than … bytes")
CLI_FILES = MalformedCode("cli.files", "there is no Capability in these files")
CLI_NAME = MalformedCode("cli.name", "expected a name or an id of 1 to … characters, got …")
CLI_MISSING = MalformedCode("cli.missing", "there is no terminal to ask at: …")
CLI_NARROWER = MalformedCode(
    "cli.narrower", "say what less is: `--set NAME=NUMBER`, or `--keep NAME=ITEM` for a list"
)
CLI_NOT_CONFIRMED = RefusedCode("cli.not_confirmed", "not confirmed: nothing was signed")
CLI_NOT_UTF8 = MalformedCode("cli.not_utf8", "argument … is not valid UTF-8: …")
CLI_OUT = UnavailableCode("cli.out", "… cannot be made: …", port="file")
CLI_OUTPUT = UnavailableCode(
    "cli.output", "standard output takes nothing (…): what was done stays done", port="terminal"
)
CLI_PROJECT = MalformedCode("cli.project", "--project and --agent come together")
CLI_PUBLIC_EXISTS = MalformedCode("cli.public_exists", "… is there already and is not overwritten")
CLI_REPLAY = MalformedCode("cli.replay", "name an ID, or a --bundle, or say --all, and one of them only")
CLI_REVOKE = MalformedCode("cli.revoke", "say what to revoke: KIND and NAME, or --list")
CLI_SET = MalformedCode("cli.set", "…, got …")
CLI_SINCE = MalformedCode("cli.since", "… is not a time back such as `90m`, `24h` or `7d`")
CLI_TIER = MalformedCode("cli.tier", "… is not of the form `capability=2`")
CLI_TIME = MalformedCode("cli.time", "… is no time with an offset, like 2026-12-27T08:00+01:00")
CLI_TIMELINE = MalformedCode(
    "cli.timeline", "name an ID, or say under what with --manifest, --prompt or --model, and not both"
)
CLI_TOOLS = MalformedCode("cli.tools", "… must hold {SERVER: [TOOL, ...]}")
CLI_UNWRITABLE = UnavailableCode("cli.unwritable", "cannot write …: …", port="file")

CLIENT_CONFIG_BACKUP_EXISTS = UnavailableCode(
    "client_config.backup_exists",
    "backup … holds server … as the file does not, and is not overwritten: move it away",
    port="client_config",
)
CLIENT_CONFIG_DOCUMENTS_EXIST = MalformedCode(
    "client_config.documents_exist",
    "… is there already, says something else and is not overwritten: name another with --documents",
)
CLIENT_CONFIG_MALFORMED = MalformedCode("client_config.malformed", "a client configuration is a JSON object")
CLIENT_CONFIG_NOT_WRAPPED = RefusedCode(
    "client_config.not_wrapped", "no server in this file goes through the gateway"
)
CLIENT_CONFIG_NOTHING_TO_WRAP = RefusedCode(
    "client_config.nothing_to_wrap", "the file holds no server that can be wrapped"
)
CLIENT_CONFIG_UNREADABLE = UnavailableCode(
    "client_config.unreadable", "… cannot be read: …", port="client_config"
)
CLIENT_CONFIG_UNWRITABLE = UnavailableCode(
    "client_config.unwritable", "… cannot be written: …", port="client_config"
)

CONSOLE_BROWSER = UnverifiedCode(
    "console.browser",
    "this session began in another browser, and has ended by that: sign in again",
    step="session",
)
CONSOLE_CSRF = RefusedCode("console.csrf", "this form is not of your session: open the page anew")
CONSOLE_FAILED = BrokenCode("console.failed", "something of ours failed: the server's log says what")
CONSOLE_GONE = RefusedCode("console.gone", "agent … is not registered")
CONSOLE_HOST = MalformedCode("console.host", "this console is at …, and answers to no other name")
CONSOLE_METHOD = MalformedCode("console.method", "… is no method of this page")
CONSOLE_NOT_FRESH = UnverifiedCode(
    "console.not_fresh",
    "show once more who you are: that was more than … seconds ago, or at another address",
    step="session",
)
CONSOLE_ORIGIN = RefusedCode("console.origin", "this did not come from a page of this console: open it there")
CONSOLE_ROOTS = MalformedCode("console.roots", "`console.attestation_roots` refers to no PEM certificate")
CONSOLE_SESSIONS = UnavailableCode(
    "console.sessions", "there are as many sessions as there may be: try again later", port="console"
)
CONSOLE_SIGNED_OUT = UnverifiedCode("console.signed_out", "you are not signed in any more", step="session")
CONSOLE_STREAMS = UnavailableCode(
    "console.streams", "this session has enough live pages open", port="console"
)
CONSOLE_TOO_MANY = RefusedCode("console.too_many", "too many tries from your address: wait a minute")

CONTROL_ANSWER = BrokenCode("control.answer", "the server answered with something else than problem details")
CONTROL_FAILED = BrokenCode("control.failed", "something of ours failed: the server's log says what")
CONTROL_FORBIDDEN = UnavailableCode(
    "control.forbidden", "the control socket … belongs to another user: run this as that user", port="control"
)
CONTROL_NO_ANSWER = UnavailableCode("control.no_answer", "…: …; …", port="control")
CONTROL_NO_DATA = UnavailableCode(
    "control.no_data",
    "there is no data directory …: begin with `answerable apply` or `answerable up`, or name another "
    "with --data",
    port="control",
)
CONTROL_NOT_ENDED = UnavailableCode(
    "control.not_ended",
    "nothing was ended: no server runs, and … cannot be worked on (…). …; `answerable panic` lets "
    "each start hold everything, where its file can be written",
    port="control",
)
CONTROL_PEER = UnverifiedCode("control.peer", "this connection does not say who is calling", step="peer")

EXTRA_MISSING = UnavailableCode("extra.missing", '… here: pip install "answerable[replay]"', port="extra")

FRONT_ADDRESS = UnavailableCode("front.address", "cannot listen on the socket …: …", port="front")
FRONT_LIFESPAN = UnavailableCode("front.lifespan", "the application failed to start", port="front")
FRONT_NOT_A_SOCKET = UnavailableCode(
    "front.not_a_socket", "… is there already and is no socket", port="front"
)
FRONT_NOT_BOUND = BrokenCode("front.not_bound", "a Unix socket was asked for and not bound")
FRONT_SOCKET_GROUP = UnavailableCode(
    "front.socket_group",
    "group … cannot reach the gateway's socket: nobody of it passes through its folder: chmod o+x …, "
    "or set `gateway.socket` to a place elsewhere",
    port="front",
)
FRONT_SOCKET_IN_USE = UnavailableCode(
    "front.socket_in_use", "another server answers on the socket …", port="front"
)
FRONT_TLS = UnavailableCode("front.tls", "certificate or key has over … bytes", port="front")

GATEWAY_NOTHING_GRANTED = RefusedCode(
    "gateway.nothing_granted", "nothing that was asked for can be listened to"
)
GATEWAY_OTHER_MESSAGE = BrokenCode(
    "gateway.other_message", "a message reached the gate without passing the front"
)
GATEWAY_STOPPED = UnavailableCode("gateway.stopped", "the gateway is not running", port="gateway")
GATEWAY_STREAMS = RefusedCode("gateway.streams", "an agent has at most … event streams")

HTTP_BODIES_FULL = UnavailableCode(
    "http.bodies_full", "too many bodies are coming in at a time", port="gateway"
)
HTTP_CONTENT_ENCODING = MalformedCode("http.content_encoding", "a compressed body is not accepted")
HTTP_HEADER_TWICE = MalformedCode("http.header_twice", "header … is there twice")
HTTP_HOST = RefusedCode("http.host", "this gateway does not answer to the name in the Host field")
HTTP_LEFT = MalformedCode("http.left", "the caller left before the end of the body")
HTTP_ORIGIN = RefusedCode("http.origin", "requests of web pages are not let in: the Origin is not registered")
HTTP_SLOW_BODY = MalformedCode("http.slow_body", "the body did not come within … s")
HTTP_TARGET = MalformedCode("http.target", "the path has no raw form")

PARAMS_INVALID = MalformedCode("params.invalid", "params must be an object")

REQUEST_BODY = MalformedCode("request.body", "… is not stopped from here: use `answerable stop`")
REQUEST_MEDIA_TYPE = MalformedCode("request.media_type", "expected a body of type `…`, got …")
REQUEST_METHOD = MalformedCode("request.method", "… is not a method of …")
REQUEST_PATH = MalformedCode("request.path", "… is not the index of an entry")
REQUEST_PATH_UNKNOWN = MalformedCode("request.path_unknown", "there is no … here")
REQUEST_QUERY = MalformedCode("request.query", "state … is none of …")
REQUEST_SIZE = MalformedCode("request.size", "the body has more than … bytes")
REQUEST_SLOW = MalformedCode("request.slow", "the body took longer than … seconds")

SETTINGS_CHANNELS = MalformedCode(
    "settings.channels", "… is not an address such as `https://receiver.example/events`"
)
SETTINGS_FAULTS = MalformedCode("settings.faults", "settings: ……")
SETTINGS_LEDGER = MalformedCode("settings.ledger", "segment_bytes is …, expected … to …")
SETTINGS_OIDC_SECRETS = MalformedCode(
    "settings.oidc_secrets",
    "`oidc_secret` is for one provider: what several know is no secret of any; give each its own in "
    "`oidc_secrets`",
)
SETTINGS_PERSON_ISSUERS = MalformedCode(
    "settings.person_issuers",
    "each is `URL CLIENT-ID [SECONDS]`, such as `https://login.example answerable 900`, with another "
    "URL each, and 1 to 86400 seconds",
)
SETTINGS_RECEIVERS = MalformedCode(
    "settings.receivers", "… is not an address such as `https://receiver.example/events`"
)
SETTINGS_VALUE = MalformedCode("settings.value", "more than … bytes")
SETTINGS_WEBHOOKS = MalformedCode(
    "settings.webhooks", "… is not an address such as `https://receiver.example/events`"
)
SETTINGS_WITNESS = MalformedCode(
    "settings.witness",
    "expected https://PREFIX, http:// on loopback or unix:/PATH after the key, without user or query",
)

SHIM_DELEGATION = UnavailableCode("shim.delegation", "… …", port="file")
SHIM_GATEWAY = MalformedCode("shim.gateway", "gateway … is neither http(s)://HOST:PORT nor unix:PATH")

SIDECAR_CERTIFICATE = MalformedCode(
    "sidecar.certificate", "the certificate's key is of a kind that is not used"
)
SIDECAR_COMMAND = UnavailableCode("sidecar.command", "cannot start …: …", port="sidecar")
SIDECAR_DELEGATION = RefusedCode(
    "sidecar.delegation", "what was handed on is for … and for another key than this instance's"
)
SIDECAR_FIELD = MalformedCode("sidecar.field", "field `…` is there twice")
SIDECAR_MEMBERS = MalformedCode("sidecar.members", "the body must be a JSON object")
SIDECAR_MESSAGE = MalformedCode("sidecar.message", "a message is one JSON-RPC 2.0 request or notification")
SIDECAR_OTHER_AGENT = RefusedCode("sidecar.other_agent", "what was measured here is agent … now, not …")
SIDECAR_OTHER_DOMAIN = RefusedCode(
    "sidecar.other_domain", "the server is of trust domain … now: start this command anew"
)
SIDECAR_PATH = MalformedCode(
    "sidecar.path",
    "… … is not what a handle serves: MCP at /mcp/SERVER, /instance, /sub-agents, /tasks and /delegations",
)
SIDECAR_REFERENCE = MalformedCode("sidecar.reference", "expected `file:PATH`, got ……")
SIDECAR_SOCKET = UnavailableCode("sidecar.socket", "the handle's socket cannot be made: …", port="sidecar")
SIDECAR_SSH = UnavailableCode(
    "sidecar.ssh", "`ssh-keygen -Y sign` made no signature with …: …", port="ssh-keygen"
)
SIDECAR_TASK = RefusedCode("sidecar.task", "there is no task … here: POST /tasks makes one")
SIDECAR_TASK_NAME = MalformedCode(
    "sidecar.task_name", "… is no name of a task: letters, digits, `.`, `_` and `-`, all small"
)
SIDECAR_TASKS = RefusedCode("sidecar.tasks", "a handle has at most … tasks: forget one")
SIDECAR_UNREADABLE = UnavailableCode("sidecar.unreadable", "… cannot be read: …", port="file")

START_NO_ROOM = UnavailableCode("start.no_room", "… cannot be made: …", port="files")

TELEMETRY_ANSWER = UnavailableCode(
    "telemetry.answer",
    "the collector of `telemetry.otlp_endpoint` answered with …: look at its log and at "
    "`telemetry.otlp_header`",
    port="telemetry",
)
TELEMETRY_HEADER = MalformedCode(
    "telemetry.header", "what `telemetry.otlp_header` refers to is not `NAME: VALUE` on one line"
)
TELEMETRY_UNREACHABLE = UnavailableCode(
    "telemetry.unreachable", "the collector of `telemetry.otlp_endpoint` was not reached: …", port="telemetry"
)
