"""Every attempt on record: a journal that survives kill -9, and SQLite behind it."""
