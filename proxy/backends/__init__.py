"""Dialects: what each kind of backend speaks, as pure translation."""
