"""Outbound I/O: our own HTTP/1.1 client engine, and the one map from I/O errors to `Failure`."""
