"""The endpoint for workflows that answer approvals: lists pending approvals and takes their signed answers."""
