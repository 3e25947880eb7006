"""handgrad check."""

from pathlib import Path

import click


@click.command()
@click.argument("file", metavar="FILE.py[:NAME]")
@click.option("--html", "output", type=click.Path(path_type=Path), metavar="OUT",
              help="Also write a page with heat maps.")
@click.option("--seed", default=0, show_default=True, help="Of the arrays and upstream gradients.")
@click.pass_context
def check(context, file, output, seed):
    """Check the gradients of the layers and pairs in a file of yours, and name the mistakes."""
    from ..files import write_text
    from ..gradient_check.page import render
    from ..gradient_check.user_files import check_file

    path, _, name = file.partition(":")
    reports = [report for _, report in check_file(path, name or None, seed)]
    print("\n\n".join(map(str, reports)))
    if output:
        write_text(output, render(*reports))
        print(f"\npage: {output}")
    context.exit(0 if all(report.ok for report in reports) else 1)
