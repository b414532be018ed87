"""What is sent to the control API and what it answers: a Struct for each object, shared by server and client.

The server makes them, its OpenAPI document is made from them, and `answerable.client` reads them. One module a subject;
none imports more than msgspec and words of `core`.
"""
