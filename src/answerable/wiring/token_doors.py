"""Build the authenticators of tokens over one product: of the token service's clients, and of token holders at the
gateway."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.oauth_terms import RESOURCE_METADATA
from answerable.flows.tokens.authenticate_client import ClientAuthenticator
from answerable.flows.tokens.verify_dpop import DpopLimits
from answerable.flows.tokens.verify_holder import HolderProver, bound_token
from answerable.wiring.proofs import token_holders

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.flows.tokens.verify_dpop import DpopVerifier
    from answerable.wiring.assemble import Product

_SERVER: Final = re.compile(r"/mcp/[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


def holders_of(product: Product) -> DpopVerifier[str]:
    """Return the verifier of DPoP proofs, for the gateway and the token service."""
    desk = product.tokens
    return token_holders(
        product.verifier,
        store=product.proofs,
        limits=DpopLimits(urls=frozenset({desk.issuer()})),
        token_of=bound_token(desk.public_keys),
        clock=product.walk.clock,
        entropy=product.walk.entropy,
    )


def holder_prover(product: Product) -> HolderProver:
    """Return the gateway's prover, which accepts DPoP-bound tokens, too."""
    return HolderProver(
        product.verifier,
        holders=holders_of(product),
        known=product.verifier.known,
        now=product.walk.clock.now,
        metadata_of=partial(_metadata_of, product.tokens.issuer),
    )


def _metadata_of(issuer: Callable[[], str], path: str) -> str:
    return f"{issuer()}{RESOURCE_METADATA}{path}" if _SERVER.fullmatch(path) else ""


def client_authenticator(product: Product) -> ClientAuthenticator:
    """Return the authenticator of the token service's clients."""
    return ClientAuthenticator(
        verifier=product.verifier,
        known=product.verifier.known,
        trust=product.identity.desk,
        replay=product.proofs,
        clock=product.walk.clock,
        issuer=product.tokens.issuer,
    )
