"""handgrad info."""

import click


@click.command()
def info():
    """Versions, machine, threads and how products are computed here."""
    from ..experiments import provenance
    from ..kernels import describe

    for title, facts in (("versions", provenance.versions()), ("machine", provenance.machine()),
                         ("threads", provenance.threads()), ("products", describe())):
        print(title)
        for name, value in facts.items():
            print(f"  {name:22} {value or 'nothing to improve'}")
