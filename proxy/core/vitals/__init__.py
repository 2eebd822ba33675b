"""How targets have been doing: windows over constant-memory sketches, the score, anomalies, and what follows from
probes. Pure: times are given, nothing is sent and nothing is read."""
