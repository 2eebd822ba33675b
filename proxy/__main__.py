"""`python -m proxy` is `wayline`."""

from proxy.cli import main

if __name__ == "__main__":
    main()
