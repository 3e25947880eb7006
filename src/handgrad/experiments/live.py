"""The runs of a folder as `handgrad watch` follows them."""

from pathlib import Path

from .gather import gather_record
from .run_folder import METRICS, RECORD, Run


class LiveRuns:
    """The source of a `reports.watch.WatchServer`: a run, or every run below a folder, found anew at each request."""

    def __init__(self, path):
        self.root = Path(path).resolve()
        if not self.root.is_dir():
            raise ValueError(f"there is no folder {path} (runs are put into experiments/ by handgrad train)")

    @property
    def is_run(self):
        return (self.root / RECORD).is_file()

    def runs(self):
        """The runs' folders relative to the root, the newest first; links that lead out of it are left out."""
        files = [file for depth in ("", "*/", "*/*/", "*/*/*/") for file in self.root.glob(depth + RECORD)]
        folders = [file.parent for file in files if not file.parent.name.startswith(".")]
        inside = [folder for folder in folders if self.is_inside(folder)]
        newest = sorted(inside, key=lambda folder: folder.name, reverse=True)
        return [folder.relative_to(self.root).as_posix() if folder != self.root else folder.name for folder in newest]

    def is_inside(self, folder):
        return all((folder / name).resolve().is_relative_to(self.root) for name in (RECORD, METRICS))

    def stamp(self, key):
        """Sizes and times of what a running run writes."""
        parts = []
        for name in (RECORD, METRICS):
            try:
                state = (self.folder(key) / name).stat()
                parts.append(f"{state.st_size}-{state.st_mtime_ns}")
            except OSError:
                parts.append("none")
        return "/".join(parts)

    def view(self, key):
        return gather_record(Run(self.folder(key)))

    def folder(self, key):
        return self.root if self.is_run and key == self.root.name else self.root / key
