"""What is looked for in requests and answers, and how it is found: pure, and the same for a text in pieces."""
