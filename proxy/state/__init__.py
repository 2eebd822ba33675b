"""What outlives a process and is no account: callers' keys, and what was learnt. One SQLite file, beside the ledger."""
