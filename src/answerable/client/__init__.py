"""Typed client of the control API: a module for each subject, a function for each operation.

The functions are made from the operations by `tools/control_client.py` and take a `Transport`, through which they ask.
"""
