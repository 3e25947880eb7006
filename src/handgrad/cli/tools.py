"""Proof and facts: compare-engines, info; and the groups config, data and courses."""

from typing import Any

import click

from .options import overrides_of, settings


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


@click.group()
def config() -> None:
    """Configurations of runs."""


@config.command()
@click.argument("source", metavar="NAME|CONFIG.toml|TABLE.csv|RUN")
@settings()
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change any key first.")
def show(source: str, overrides: tuple[str, ...], **given: Any) -> None:
    """Print a configuration as TOML: a ready one as it stands, with --set or for a run as it would be."""
    from ..experiments import configuration_text

    print(configuration_text(source, overrides=overrides_of(given, overrides)), end="")


@config.command("list")
def list_ready() -> None:
    """The ready configurations."""
    from ..experiments import READY

    for name, path in READY.items():
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        print(f"{name:18} {first.removeprefix('# ')}")


@click.group()
def data() -> None:
    """Data sets: those that come along, and those to fetch."""


@data.command("list")
def list_sets() -> None:
    """The data sets known by name."""
    from ..datasets.download import available
    from .show import table

    rows = [
        (row.name, row.kind, row.title, megabytes(row.size), "here" if row.present else f"handgrad data get {row.name}")
        for row in available()
    ]
    table(["name", "kind", "what", ">size", "where"], rows)
    print("or any .csv, .tsv or .npz file of yours")


def megabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


@data.command()
@click.argument("name")
@click.option("--from", "source", metavar="DIR", help="Take the files from this folder or archive.")
def get(name: str, source: str | None) -> None:
    """Fetch a data set, or take it from a folder; every file is checked."""
    from ..datasets import download

    here = any(row.present for row in download.available() if row.name == name)
    folder = download.get(name, source, progress=download.print_progress)
    print(f"{name} is in {folder}" + (f"; it was already, so nothing was taken from {source}" * bool(here and source)))


@data.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """The folder that data sets are kept in, or that of one of them."""
    from ..datasets.catalog import FOLDER, Table, find
    from ..datasets.images import data_directory, folders, is_present

    if name is None:
        print(data_directory())
        return
    about = find(name)
    if isinstance(about, Table):
        print(FOLDER)
    elif is_present(about.name):
        print(next(folder for folder in folders(about.name) if folder.is_dir()))
    else:
        raise ValueError(f"{about.name} is not here; handgrad data get {about.name}")


@click.group()
def courses() -> None:
    """Work with the packages of known courses, on handgrad's engine."""


@courses.command("list")
def list_courses() -> None:
    """The courses, and the modules their scripts import."""
    from ..courses import COURSES
    from .show import table

    rows = [(name, course.title, ", ".join(course.modules)) for name, course in COURSES.items()]
    table(["name", "course", "modules"], rows)


@courses.command()
@click.argument("course")
@click.argument("folder", metavar="DIR")
def link(course: str, folder: str) -> None:
    """Write the course's modules, scripts, tests and data into a folder."""
    from ..courses.link import link

    written = link(course, folder)
    print(f"{len(written)} files are in {folder}; scripts there import the course's modules from handgrad")


@courses.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("course")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(course: str, script: str, arguments: tuple[str, ...]) -> int:
    """Run a script of the course, of yours or of those that come along, with its modules from handgrad."""
    from ..courses.link import run

    return run(course, script, arguments)
