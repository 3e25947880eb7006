"""The command `handgrad`, outside of the package: Ctrl-C ends it in one line also while that and NumPy are imported."""

import sys


def main() -> None:
    """Run `handgrad.cli.main`, which exits."""
    try:
        from handgrad.cli import main

        main()
    except KeyboardInterrupt:
        print("handgrad: stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
