"""Proof and facts: compare-engines, info; and the groups config, data and courses."""

import importlib.util
import sys
from typing import Any

import click

from ..text import figures_from, folded
from .application import say, warn
from .options import AS_JSON, overrides_of, ready, settings


@click.command(name="compare-engines")
@click.argument("run", metavar="RUN")
@click.option("--rows", default=32, type=click.IntRange(1), help="How many examples to compare on.")
@AS_JSON
def compare_engines(run: str, rows: int, as_json: bool) -> int:
    """Compare a run's model with its PyTorch twin: outputs, gradients, statistics, optimizer steps."""
    from ..torch_twin.receipt import compare_run
    from .show import print_json, table

    receipt, page = compare_run(run, rows)
    if as_json:
        print_json({**receipt.as_dict(), "page": page})
        return 0 if receipt.ok else 1
    for head, *lines in receipt.tables():
        table(figures_from(1, head), lines, optional=head[5:])
    for line in [*receipt.verdict(), *receipt.conventions, f"page: {page}"]:
        say(line)
    return 0 if receipt.ok else 1


@click.command()
@click.argument("source", metavar="[NAME|FILE.csv|CONFIG.toml|RUN|MODEL.npz]", shell_complete=ready, required=False)
@AS_JSON
def info(source: str | None, as_json: bool) -> None:
    """Versions, machine, GPUs, threads and how products are computed here; or how a model is trained, and why so."""
    from ..experiments import runner
    from .show import print_json

    if source is not None:
        how = runner.how_trained(source)
        print_json({"training": how}) if as_json else print(how)
        return
    from ..kernels import describe

    devices = {}
    if importlib.util.find_spec("torch"):
        from ..torch_twin.devices import accelerators

        devices = accelerators()
    found = {
        "versions": runner.versions(),
        "machine": runner.machine(),
        "PyTorch's devices": devices,
        "threads": runner.threads(),
        "products": {name: fact for name, fact in describe().items() if name != "threads"},
    }
    if as_json:
        print_json(found)
        return
    for title, facts in found.items():
        if facts:
            print(title)
        for name, value in facts.items():
            told = value or ("nothing to improve" if name == "advice" else "empty")
            print(folded(f"  {name:22} {told}", sys.stdout, " " * 25))


@click.command()
@click.argument("source", metavar="NAME|FILE.csv|CONFIG.toml|RUN|MODEL.npz", shell_complete=ready)
@settings()
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change any key first.")
@AS_JSON
def summary(source: str, overrides: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Show a network layer by layer: shapes, parameters, multiply-adds and memory of one example."""
    from ..experiments import runner
    from .show import print_json, table

    found = runner.network_of(source, overrides_of(given, overrides)).summary()
    if as_json:
        print_json(vars(found))
        return
    head, rows = found.texts()
    table(figures_from(3, found.columns), rows, head, optional=found.columns[4:])


class ConfigGroup(click.Group):
    """Says what to type where a configuration's name stands in the place of a command."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments[0] not in self.commands:
            raise click.UsageError(
                f"no command '{arguments[0]}': handgrad config show {arguments[0]} shows one", context
            )
        return super().resolve_command(context, arguments)


@click.group(cls=ConfigGroup)
def config() -> None:
    """Configurations of runs."""


@config.command()
@click.argument("source", metavar="NAME|FILE.csv|CONFIG.toml|RUN", shell_complete=ready)
@settings()
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change any key first.")
def show(source: str, overrides: tuple[str, ...], **given: Any) -> None:
    """Print a configuration as TOML: a ready one as it stands, with --set or for a run as it would be."""
    from ..experiments import configuration_text

    print(configuration_text(source, overrides=overrides_of(given, overrides)), end="")


@config.command("list")
@AS_JSON
def list_ready(as_json: bool) -> None:
    """The ready configurations."""
    from ..experiments import READY
    from .show import print_json, table

    first = {name: path.read_text(encoding="utf-8").partition("\n")[0] for name, path in READY.items()}
    found = {name: line.removeprefix("# ") for name, line in first.items()}
    if as_json:
        print_json(found)
    else:
        table(["name", "what"], list(found.items()))


@click.group()
def data() -> None:
    """Data sets: those that come along, and those to fetch."""


@data.command("list")
@AS_JSON
def list_sets(as_json: bool) -> None:
    """The data sets known by name."""
    from ..datasets.download import available
    from .show import print_json, table

    if as_json:
        print_json(available())
        return
    rows = [
        (row.name, row.kind, row.title, megabytes(row.size), "here" if row.present else f"handgrad data get {row.name}")
        for row in available()
    ]
    table(["name", "kind", "what", ">size", "where"], rows)
    say("or any .csv, .tsv, .npz or .txt file of yours")


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
    say(f"{name} is in {folder}" + (f"; it was already, so nothing was taken from {source}" * bool(here and source)))


@data.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """The folder that data sets are kept in, or that of one of them."""
    from ..datasets.catalog import ImageSet, find
    from ..datasets.images import data_directory, folders, is_present

    if name is None:
        print(data_directory())
        return
    about = find(name)
    if not isinstance(about, ImageSet):
        print(about.path.parent)
    elif is_present(about.name):
        print(next(folder for folder in folders(about.name) if folder.is_dir()))
    else:
        raise ValueError(f"{about.name} is not here; handgrad data get {about.name}")


@click.group()
def courses() -> None:
    """Work with the homework packages of known courses."""


@courses.command("list")
@AS_JSON
def list_courses(as_json: bool) -> None:
    """The courses, and the modules their scripts import."""
    from ..courses import COURSES
    from ..courses.copies import read_course
    from .show import print_json, table

    found = {name: read_course(name) for name in COURSES}
    if as_json:
        print_json({name: {"title": it.title, "modules": it.modules} for name, it in found.items()})
        return
    table(["name", "course", "modules"], [(name, it.title, ", ".join(it.modules)) for name, it in found.items()])


@courses.command("copy")
@click.argument("course")
@click.argument("folder", metavar="DIR")
@click.option("--solved", is_flag=True, help="Every body written: a solution.")
@click.option("--blank", is_flag=True, help="The bodies that the homework asks for left to be written.")
@click.option("--self-contained", is_flag=True, help="With the parts of handgrad that it uses.")
def copy_course(course: str, folder: str, solved: bool, blank: bool, self_contained: bool) -> None:
    """Write the course's package, scripts, tests and data into a folder, as files of your own."""
    from ..courses.copies import copy

    if solved == blank:
        raise ValueError("type --blank, for a student, or --solved, for a solution: one of the two")
    written, left = copy(course, folder, blank, self_contained)
    count = f"{len(written)} files are" if len(written) != 1 else "1 file is"
    say(f"{count} new in {folder}; its README.md says what to run")
    if left:
        say(f"left alone, since they were there: {', '.join(str(path) for path in left)}")


@courses.command("pack")
@click.argument("course")
@click.argument("folder", metavar="DIR", default=".")
@click.option("-o", "--output", default="submission.zip", help="The archive to write.")
def pack_course(course: str, folder: str, output: str) -> None:
    """Pack the course's files and your own in DIR into the archive to hand in, without data sets and runs."""
    from ..courses.packing import pack

    packed = pack(course, folder, output)
    left = f"; left out: {', '.join(packed.left_out)}" if packed.left_out else ""
    say(f"{output}: {len(packed.files)} files{left}")
    for what, names in (("not there", packed.missing), ("still to be written", packed.blank)):
        if names:
            warn(f"{what}: {', '.join(names)}")


@courses.command(hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def link(arguments: tuple[str, ...]) -> None:
    """Gone: says what to type in its place."""
    raise ValueError(
        "link is gone: handgrad courses copy COURSE DIR --solved (or --blank) writes the course's real files"
    )


@courses.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("course")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(course: str, script: str, arguments: tuple[str, ...]) -> int:
    """Run a script, of yours or of the course, on the course's solved package; modules beside it come first."""
    from ..courses.copies import run

    return run(course, script, arguments)
