"""handgrad config show."""

import click


@click.group()
def config():
    """Configurations of runs."""


@config.command()
@click.argument("source", metavar="NAME|CONFIG.toml|TABLE.csv|RUN")
@click.option("--target", help="The column of the table to predict.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key first.")
def show(source, target, overrides):
    """Print a configuration as TOML: a ready one as it stands, with --set or for a run as it would be."""
    from ..experiments import configuration_text

    print(configuration_text(source, target, overrides), end="")


@config.command("list")
def list_ready():
    """The ready configurations."""
    from ..experiments import READY

    for name, path in READY.items():
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        print(f"{name:18} {first.removeprefix('# ')}")
