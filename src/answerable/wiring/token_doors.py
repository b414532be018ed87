"""Who asks the token service, and who shows the gateway what it issued: over one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.flows.authenticate_client import ClientAuthenticator
from answerable.flows.verify_dpop import DpopLimits
from answerable.flows.verify_holder import HolderProver, bound_token
from answerable.wiring.proofs import token_holders

if TYPE_CHECKING:
    from answerable.flows.verify_dpop import DpopVerifier
    from answerable.wiring.assemble import Product


def holders_of(product: Product) -> DpopVerifier[str]:
    """Who judges DPoP proofs, at the gateway and at the token service."""
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
    """The gateway's prover, which takes tokens that are held by DPoP, too."""
    return HolderProver(
        product.verifier,
        holders=holders_of(product),
        known=product.verifier.known,
        now=product.walk.clock.now,
    )


def client_authenticator(product: Product) -> ClientAuthenticator:
    """Who asks the token service."""
    return ClientAuthenticator(
        verifier=product.verifier,
        known=product.verifier.known,
        trust=product.identity.desk,
        replay=product.proofs,
        clock=product.walk.clock,
        issuer=product.tokens.issuer,
    )
