"""Reads a bundle document from standard input with the Python `spiffe` library; run as a program.

The library knows the parts, not the document: a JWK Set of JWT-SVID keys, and certificates in a row.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import TrustDomain
from spiffe.bundle.jwt_bundle.jwt_bundle import JwtBundle
from spiffe.bundle.x509_bundle.x509_bundle import X509Bundle

document = json.load(sys.stdin)
domain = TrustDomain(sys.argv[1])
of_jwt = [key for key in document["keys"] if key["use"] == "jwt-svid"]
row = b"".join(b64decode(key["x5c"][0]) for key in document["keys"] if key["use"] == "x509-svid")
jwt = JwtBundle.parse(domain, json.dumps({"keys": of_jwt}).encode())
x509 = X509Bundle.parse_raw(domain, row)
print(
    json.dumps(
        {
            "domain": str(x509.trust_domain),
            "jwt": sorted(jwt.jwt_authorities),
            "x509": sorted(
                sha256(one.public_bytes(Encoding.DER)).hexdigest() for one in x509.x509_authorities
            ),
        }
    )
)
