"""Pure decisions and frozen values: no clock, no randomness, no socket, no environment."""
