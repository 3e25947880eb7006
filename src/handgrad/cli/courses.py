"""handgrad courses list, link, run."""

import click


@click.group()
def courses():
    """Work with the packages of known courses, on handgrad's engine."""


@courses.command("list")
def list_courses():
    """The courses, and the modules their scripts import."""
    from ..courses import COURSES
    from .show import table

    table(
        None,
        ["name", "course", "modules"],
        [(name, course.title, ", ".join(course.modules)) for name, course in COURSES.items()],
    )


@courses.command()
@click.argument("course")
@click.argument("folder", metavar="DIR")
def link(course, folder):
    """Write the course's modules, scripts, tests and data into a folder."""
    from ..courses.link import link

    written = link(course, folder)
    print(f"{len(written)} files are in {folder}; scripts there import the course's modules from handgrad")


@courses.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("course")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(course, script, arguments):
    """Run a script of the course, of yours or of those that come along, with its modules from handgrad."""
    from ..courses.link import run

    return run(course, script, arguments)
