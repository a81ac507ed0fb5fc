"""`python -m incite` is the command `incite`."""

from incite._program import main

if __name__ == "__main__":
    main()
