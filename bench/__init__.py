"""Measures Wayline beside nginx, Python's own floor, and two compiled gateways: `python -m bench`.

`python -m bench.micro` measures the Python half of a plain request alone, and with `--count` counts its instructions:
for seeing what a change to the hot path does.
"""
