"""Store the trust domain's keys in an HSM through PKCS #11."""

from __future__ import annotations

from answerable.adapters.pkcs11.authority_keys import Pkcs11AuthorityKeys

__all__ = ["Pkcs11AuthorityKeys"]
