"""`python -m symile_data` is the `symile-data` command."""

from .cli import main

if __name__ == "__main__":
    main()
