"""Runs inside an environment of its own: webhooks judged by the libraries of Standard Webhooks and CloudEvents.

    in_webhooks.py SECRET < {"headers": {..}, "body": ".."}

Prints the attributes and data of the event as JSON. Exit status 1 says refused, and the last line why.
"""

from __future__ import annotations

import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_structured  # type: ignore[import-not-found]
from cloudevents.core.formats.json import JSONFormat  # type: ignore[import-not-found]
from standardwebhooks.webhooks import Webhook, WebhookVerificationError  # type: ignore[import-not-found]


def main(secret: str) -> None:
    message = json.loads(sys.stdin.read())
    body = message["body"].encode()
    try:
        Webhook(secret).verify(body, message["headers"])
    except WebhookVerificationError as refused:
        sys.exit(str(refused))
    event = from_structured(HTTPMessage(headers=message["headers"], body=body), JSONFormat())
    attributes = {name: str(value) for name, value in event.get_attributes().items()}
    print(json.dumps({"attributes": attributes, "data": event.get_data()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
