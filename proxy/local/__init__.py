"""Models that Wayline runs itself: one worker process each, on a private Unix socket."""
