"""`python -m flowsim` is `flowsim`."""

from .cli import main

if __name__ == "__main__":
    main()
