"""handgrad data list, get, path."""

import click


@click.group()
def data():
    """Data sets: those that come along, and those to fetch."""


@data.command("list")
def list_sets():
    """The data sets known by name."""
    from ..datasets.download import available
    from .show import table

    table(
        None,
        ["name", "kind", "what", ">size", "where"],
        [
            (
                row.name,
                row.kind,
                row.title,
                megabytes(row.size),
                "here" if row.present else f"handgrad data get {row.name}",
            )
            for row in available()
        ],
    )
    print("or any .csv, .tsv or .npz file of yours")


def megabytes(size):
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


@data.command()
@click.argument("name")
@click.option("--from", "source", metavar="DIR", help="Take the files from this folder or archive.")
def get(name, source):
    """Fetch a data set, or take it from a folder; every file is checked."""
    from ..datasets import download

    here = any(row.present for row in download.available() if row.name == name)
    folder = download.get(name, source, progress=download.print_progress)
    print(f"{name} is in {folder}" + (f"; it was already, so nothing was taken from {source}" * bool(here and source)))


@data.command()
@click.argument("name", required=False)
def path(name):
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
