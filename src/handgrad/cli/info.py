"""handgrad info."""

import click


@click.command()
def info():
    """Versions, threads and how products are computed here."""
    from ..experiments import provenance

    for title, table in (("versions", provenance.versions()), ("machine", provenance.machine()),
                         ("threads", provenance.threads()), ("products", provenance.products())):
        print(title)
        for name, value in table.items():
            print(f"  {name:22} {value}")
