"""Money that may be spent: budgets, what is spent and reserved of them, and what a request can cost at most."""
