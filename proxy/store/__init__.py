"""Responses that are kept for their callers: only where the configuration says so (`store`)."""
