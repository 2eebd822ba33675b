"""Measures Wayline beside nginx, Python's own floor, and two compiled gateways: `python -m bench`."""
