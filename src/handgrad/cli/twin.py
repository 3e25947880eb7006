"""handgrad compare-engines."""

import click


@click.command(name="compare-engines")
@click.argument("run", metavar="RUN")
@click.option("--rows", default=32, show_default=True, help="How many examples to compare on.")
@click.pass_context
def compare_engines(context, run, rows):
    """Compare a run's model with its PyTorch twin: outputs, gradients, statistics, optimizer steps."""
    from ..torch_twin.runs import compare_run

    receipt, page = compare_run(run, rows)
    print(f"{receipt}\n\npage: {page}")
    context.exit(0 if receipt.ok else 1)
