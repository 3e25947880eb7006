"""Proof and facts: check, compare-engines and info."""

import click


@click.command()
@click.argument("file", metavar="FILE.py[:NAME]")
@click.option("--html", "output", metavar="OUT", help="Also write a page with heat maps.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of the arrays and upstream gradients.")
@click.pass_context
def check(context: click.Context, file: str, output: str | None, seed: int) -> None:
    """Check the gradients of the layers and pairs in a file of yours, and name the mistakes."""
    from ..files import write_text
    from ..gradient_check.report import render
    from ..gradient_check.user_files import check_file

    path, _, name = file.partition(":")
    reports = [report for _, report in check_file(path, name or None, seed)]
    print("\n\n".join(map(str, reports)))
    if output:
        write_text(output, render(*reports))
        print(f"\npage: {output}")
    context.exit(0 if all(report.ok for report in reports) else 1)


@click.command(name="compare-engines")
@click.argument("run", metavar="RUN")
@click.option("--rows", default=32, type=click.IntRange(1), help="How many examples to compare on.")
@click.pass_context
def compare_engines(context: click.Context, run: str, rows: int) -> None:
    """Compare a run's model with its PyTorch twin: outputs, gradients, statistics, optimizer steps."""
    from ..torch_twin.receipt import compare_run

    receipt, page = compare_run(run, rows)
    print(f"{receipt}\n\npage: {page}")
    context.exit(0 if receipt.ok else 1)


@click.command()
def info() -> None:
    """Versions, machine, threads and how products are computed here."""
    from ..experiments import runner
    from ..kernels import describe

    for title, facts in (
        ("versions", runner.versions()),
        ("machine", runner.machine()),
        ("threads", runner.threads()),
        ("products", describe()),
    ):
        print(title)
        for name, value in facts.items():
            print(f"  {name:22} {value or ('nothing to improve' if name == 'advice' else 'empty')}")
