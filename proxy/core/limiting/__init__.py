"""How much may pass: windows of requests and tokens, places that adapt, and the order of those who wait. No clock."""
