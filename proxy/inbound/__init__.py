"""The APIs besides chat completions in which a client may ask: each is read as a chat request and answered in kind."""
