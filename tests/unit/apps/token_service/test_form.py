"""The token service's form and problems: read strictly, told in OAuth's words with our own code beside them."""

from __future__ import annotations

import pytest

from answerable.apps.token_service.form import MEDIA_TYPE, form_of
from answerable.apps.token_service.problems import problem_of
from answerable.errors import Broken, Malformed, Refused, Unavailable, Unverified


def test_a_form_is_read_once_each_and_what_is_empty_is_not_there():
    form = form_of(b"a=1&b=&resource=x&audience=y&resource=", f"{MEDIA_TYPE}; charset=utf-8")
    assert (form.text("a"), form.text("b"), form.resources) == ("1", "", ("x", "y"))
    assert form.required("a") == "1"
    assert form_of(b"", MEDIA_TYPE).values == {}
    with pytest.raises(Malformed, match="`b` is missing"):
        form.required("b")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"a=1", ""),
        (b"a=1&a=2", MEDIA_TYPE),
        (b"a=%ff", MEDIA_TYPE),
        ("a=é".encode(), MEDIA_TYPE),
        (b"a", MEDIA_TYPE),
        (b"&".join(b"a%d=1" % number for number in range(40)), MEDIA_TYPE),
    ],
)
def test_what_is_no_form_is_an_invalid_request(body, kind):
    with pytest.raises(Malformed) as told:
        form_of(body, kind)
    assert told.value.code == "oauth.invalid_request"


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (Malformed("a", code="oauth.invalid_target"), 400, "invalid_target"),
        (Unverified("a", code="dpop.nonce", step="dpop"), 400, "use_dpop_nonce"),
        (Unverified("a", code="dpop.replay", step="dpop"), 400, "invalid_dpop_proof"),
        (Unverified("a", code="proof.epoch", step="epoch"), 401, "invalid_client"),
        (Unverified("a", code="svid.expired", step="svid"), 401, "invalid_client"),
        (Unverified("a", code="client.replay", step="client"), 401, "invalid_client"),
        (Unverified("a", code="delegation.expired", step="delegation"), 400, "invalid_grant"),
        (Refused("a", code="mandate.closed"), 400, "invalid_grant"),
        (Malformed("a", code="json.size"), 400, "invalid_request"),
        (Malformed("a", code="request.size"), 413, "invalid_request"),
        (Unavailable("a", code="ledger.full", port="ledger"), 503, "temporarily_unavailable"),
        (Broken("a", code="oauth.failed"), 500, "server_error"),
    ],
)
def test_each_error_has_its_word_in_oauth_and_keeps_its_own(error, status, name):
    assert problem_of(error) == (
        status, {"error": name, "error_description": "a", "answerable_code": error.code},
    )  # fmt: skip


def test_a_description_has_no_character_that_oauth_does_not_allow():
    _, body = problem_of(Refused('say "é" \\ \n' + "x" * 900, code="x.y"))
    assert body["error_description"] == "say ''' ' '" + "x" * 489
