"""Print the kill matrix; with names, only these specimens and what was said of each."""

import sys

from . import SPECIMENS, kill_matrix, render

if __name__ == "__main__":
    names = sys.argv[1:]
    unknown = [name for name in names if name not in SPECIMENS]
    if unknown:
        sys.exit(f"no specimen '{unknown[0]}' in the zoo (run without names to see all {len(SPECIMENS)})")
    rows = kill_matrix(names or None)
    print(render(rows))
    for row in rows if names else ():
        print(f"\n{row.specimen.name}: {row.specimen.message}")
        for verdict in row.verdicts:
            print(f"  {verdict}\n    {verdict.evidence}")
    sys.exit(0 if all(row.detected for row in rows) else 1)
