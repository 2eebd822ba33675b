"""Inbound: the guarded server, the OpenAI endpoints, streams and errors. It decides nothing."""
