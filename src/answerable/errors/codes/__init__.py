"""Every stable error code, declared once: one module a subject, which says which names it holds."""
