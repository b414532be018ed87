"""Our table against the generated messages of a library of others, and a pool that shares nothing."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pool
from spiffe._proto import workload_pb2

from answerable.apps.workload_api.messages import schema


@pytest.mark.parametrize("name", sorted(workload_pb2.DESCRIPTOR.message_types_by_name))
def test_every_message_of_the_spiffe_package_has_the_same_fields_here(name):
    def fields(descriptor):
        return [(f.name, f.number, f.type, f.is_repeated) for f in descriptor.fields]

    theirs = workload_pb2.DESCRIPTOR.message_types_by_name[name]
    assert fields(schema().pool.FindMessageTypeByName(name)) == fields(theirs)


def test_every_method_of_the_spiffe_package_is_the_same_here():
    for method in workload_pb2.DESCRIPTOR.services_by_name["SpiffeWorkloadAPI"].methods:
        ours = schema().methods[f"/SpiffeWorkloadAPI/{method.name}"]
        names = (ours.takes.DESCRIPTOR.name, ours.gives.DESCRIPTOR.name, ours.streams)
        assert names == (method.input_type.name, method.output_type.name, method.server_streaming)


def test_both_copies_of_a_message_live_in_one_process_and_read_one_another():
    ours = schema().message("X509SVIDResponse")(federated_bundles={"spiffe://a": b"1"}, crl=[b"2"])
    ours.svids.add(spiffe_id="spiffe://b/c", hint="h")
    theirs = workload_pb2.X509SVIDResponse.FromString(ours.SerializeToString())
    assert theirs.svids[0].hint == "h"
    assert dict(theirs.federated_bundles) == {"spiffe://a": b"1"}
    assert schema().pool is not descriptor_pool.Default()


def test_the_broker_api_has_its_package_and_its_four_methods():
    paths = [path for path in schema().methods if path.startswith("/spiffe.broker.API/")]
    assert [path.rpartition("/")[2] for path in paths] == [
        "SubscribeToX509SVID",
        "SubscribeToX509Bundles",
        "FetchJWTSVID",
        "SubscribeToJWTBundles",
    ]
    assert [schema().methods[path].streams for path in paths] == [True, True, False, True]


def test_claims_of_every_kind_fit_into_a_struct():
    answer = schema().message("ValidateJWTSVIDResponse")()
    answer.claims.update({"n": 1, "t": "x", "b": True, "z": None, "l": [1, "y"], "o": {"k": 2}})
    back = schema().message("ValidateJWTSVIDResponse").FromString(answer.SerializeToString()).claims
    assert (back["n"], back["t"], back["b"], back["z"]) == (1, "x", True, None)
    assert back["o"]["k"] == 2
