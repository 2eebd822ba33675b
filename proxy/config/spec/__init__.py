"""What `routes.yaml` may say, as tables. Checker, JSON schema and reference text are all read from them."""
