"""Credentials that change: tokens that are renewed before they end, and signatures over each call."""
