"""For people who write a backend: the checks that all backends of Wayline pass, and a format for recordings.

Nothing of the running product imports this package, and it imports no test framework: a check is a function that
raises `AssertionError` with a sentence.
"""
