"""`python -m handgrad` is the command `handgrad`."""

from handgrad_command import main

if __name__ == "__main__":
    main()
