"""What a client of Wayline sees when upstreams misbehave: a real server, real sockets, scripted upstreams.

`python -m bench.faults` plays the sixteen scenarios of the failover benchmark published in September 2026, rebuilt from
its description (the primary misbehaves, the fallback is well), and Wayline's own beyond them.
"""
