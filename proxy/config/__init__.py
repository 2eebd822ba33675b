"""(YAML text, environment) -> Config, or every problem at once with its line."""
