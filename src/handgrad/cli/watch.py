"""handgrad watch."""

import click


@click.command()
@click.argument("folder", metavar="RUN|FOLDER", default="experiments")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; any free one unless given.")
def watch(folder, port):
    """Show runs in the browser while they train. For this machine only, and read only."""
    from ..experiments.live import LiveRuns
    from ..reports.watch import WatchServer

    source = LiveRuns(folder)
    with WatchServer(source, port) as server:
        place = f"run/{source.root.name}" if source.is_run else ""
        print(f"watching {folder} on {server.url}{place} (Ctrl-C ends)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
