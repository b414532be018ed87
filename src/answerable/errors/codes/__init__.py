"""Every stable error code, declared once, with one module for each subject."""
