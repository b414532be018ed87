"""RFC 8291, appendix A: the same keys, salt and text give the same bytes."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from answerable.adapters.web_push.encryption import encrypted, sealed_with
from tests.worlds.push import Browser, point, unb64

PLAINTEXT = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
RECEIVER_KEY = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y"
    "l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(unb64(text), "big"), ec.SECP256R1())


def test_the_vector_of_the_standard_comes_out_byte_for_byte():
    assert point(private(RECEIVER).public_key()) == unb64(RECEIVER_KEY)
    body = sealed_with(
        PLAINTEXT, key=unb64(RECEIVER_KEY), secret=unb64(SECRET), private=private(SENDER), salt=unb64(SALT)
    )
    assert body == unb64(BODY)
    assert Browser(private=private(RECEIVER), secret=unb64(SECRET)).decrypted(body) == PLAINTEXT


def test_no_two_messages_share_a_key_or_a_salt():
    browser = Browser()
    bodies = [encrypted(b"same", key=browser.key, secret=browser.secret) for _ in range(8)]
    assert len({body[:16] for body in bodies}) == len({body[21:86] for body in bodies}) == 8
    assert {browser.decrypted(body) for body in bodies} == {b"same"}
