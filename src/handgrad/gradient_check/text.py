"""A report as a few lines for the terminal."""


def render(report):
    """A line per array, then the verdicts, kinks and cost."""
    outcome = "every gradient is right" if report.ok else f"{count(len(report.verdicts), 'verdict')}"
    lines = [f"{'✓' if report.ok else '✗'} {report.target}: {outcome}"]
    lines += [array_line(check, width(report)) for check in report.arrays.values()]
    for verdict in report.verdicts:
        lines.append(f"  → {verdict}")
        if verdict.evidence:
            lines.append(f"      {verdict.evidence}")
    lines += [f"  · {kink}" for kink in report.kinks[:5]]
    if len(report.kinks) > 5:
        lines.append(f"  · and {len(report.kinks) - 5} more entries at kinks")
    lines += [f"  · {note}" for note in report.notes]
    lines.append(f"  {report.num_forwards:,} forwards, {report.seconds:.2f} s, seed {report.seed}")
    return "\n".join(lines)


def count(number, noun):
    return f"{number:,} {noun}{'s' * (number != 1)}"


def width(report):
    return max(map(len, report.arrays), default=0)


def array_line(check, pad):
    mark = "✓" if check.ok else "✗"
    shape = "×".join(map(str, check.shape)) or "one number"
    entries = "all entries" if check.num_checked == check.size else f"{check.num_checked:,} of {check.size:,} entries"
    return f"  {mark} {check.name:<{pad}}  {shape:<10} error {check.error:8.1e}  {check.method}, {entries}"
