"""What is given to clients on Unix sockets believes nobody."""

from __future__ import annotations

import ssl

from answerable.unix_http import no_tls


def test_a_client_without_tls_would_believe_no_server():
    context = no_tls()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] == 0
