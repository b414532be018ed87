"""A Workload API server that owes nothing to our code: grpcio, and the messages of the Python `spiffe` library.

Run as a program it serves what stands in a JSON file, and pushes again when the file changes:

    python tests/contracts/their_workload_api.py SOCKET FILE

    {"bundles": {"spiffe://td": {"x509": [base64 DER …], "jwks": {…}}},
     "svids": [{"id": "…", "chain": [base64 DER …], "key": base64 PKCS #8, "bundle": [base64 DER …]}],
     "jwt_svids": [{"id": "…"}],
     "denied": false}
"""

from __future__ import annotations

import json
import sys
import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from spiffe._proto import workload_pb2, workload_pb2_grpc


def joined(texts):
    return b"".join(b64decode(one) for one in texts)


class Servicer(workload_pb2_grpc.SpiffeWorkloadAPIServicer):
    def __init__(self, path):
        self.path = path

    def states(self, context):
        """The file's content, then again after each change."""
        if dict(context.invocation_metadata()).get("workload.spiffe.io") != "true":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing")
        seen = None
        while context.is_active():
            text = self.path.read_text()
            if text != seen:
                seen = text
                state = json.loads(text)
                if state.get("denied"):
                    context.abort(grpc.StatusCode.PERMISSION_DENIED, "no identity issued")
                yield state
            time.sleep(0.05)

    def FetchX509Bundles(self, request, context):
        for state in self.states(context):
            bundles = {name: joined(one["x509"]) for name, one in state.get("bundles", {}).items()}
            yield workload_pb2.X509BundlesResponse(bundles=bundles)

    def FetchJWTBundles(self, request, context):
        for state in self.states(context):
            bundles = {
                name: json.dumps(one["jwks"]).encode() for name, one in state.get("bundles", {}).items()
            }
            yield workload_pb2.JWTBundlesResponse(bundles=bundles)

    def FetchX509SVID(self, request, context):
        for state in self.states(context):
            svids = [
                workload_pb2.X509SVID(
                    spiffe_id=one["id"],
                    x509_svid=joined(one["chain"]),
                    x509_svid_key=b64decode(one["key"]),
                    bundle=joined(one["bundle"]),
                )
                for one in state.get("svids", [])
            ]
            yield workload_pb2.X509SVIDResponse(svids=svids)

    def FetchJWTSVID(self, request, context):
        state = next(self.states(context))
        svids = [
            workload_pb2.JWTSVID(
                spiffe_id=one["id"], svid=f"token of {one['id']} for {','.join(request.audience)}"
            )
            for one in state.get("jwt_svids", [])
        ]
        return workload_pb2.JWTSVIDResponse(svids=svids)


def main(socket, path):
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    workload_pb2_grpc.add_SpiffeWorkloadAPIServicer_to_server(Servicer(Path(path)), server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    print("serving", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
