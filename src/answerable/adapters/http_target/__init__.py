"""HTTP targets: tokens of OAuth servers, or keys that the broker keeps, and the requests that a lease lets through."""
