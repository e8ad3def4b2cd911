#!/usr/bin/env python3
"""Makes of the JSON of `./dev bench --json FILE` what README.md beside this shows: publish.py FILE

Writes a plot of each case to plots/ (SVG), and the tables between the marks in README.md. Needs Python alone.
"""

import json
import math
import pathlib
import re
import sys
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).parent

# What a plot of a case shows: the first of these that its rows have. Key, title of the axis, whether less is better.
MEASURES = [
    ("share_of_ideal", "share of the ideal", False),
    ("p50_us", "microseconds, median", True),
    ("bytes_per_s", "bytes a second, each way", False),
    ("wakeups_per_s", "wake-ups a second", True),
    ("calls_per_s", "calls a second", False),
]
COLUMNS = [
    ("calls_per_s", "calls/s"),
    ("p50_us", "p50, us"),
    ("p99_us", "p99, us"),
    ("bytes_per_s", "bytes/s"),
    ("rss_bytes", "RSS, bytes"),
]
LAST_COLUMN = ("ratio_to_limit", "ratio to limit")
TEXT_KEYS = {"case", "system", "mode"}
COLORS = {"apart": "#3b6ea5", "one core": "#d98c3f"}
OTHER_COLOR = "#6b8f71"


def by_case(rows):
    cases = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    return cases


def number(x):
    if x is None:
        return ""
    if x == 0 or abs(x) >= 1000:
        return f"{x:,.0f}"
    return f"{x:.4g}"


def table(rows):
    known = {key for key, _ in COLUMNS} | {LAST_COLUMN[0], "rounds"} | TEXT_KEYS
    more = sorted({key for row in rows for key in row} - known)
    columns = [("system", "system"), ("mode", "mode")] + COLUMNS
    columns += [(key, key.replace("_", " ")) for key in more] + [LAST_COLUMN]
    columns = [(key, title) for key, title in columns if any(row.get(key) not in (None, "") for row in rows)]
    lines = ["| " + " | ".join(title for _, title in columns) + " |"]
    lines.append("|" + "|".join("---" if key in TEXT_KEYS else "---:" for key, _ in columns) + "|")
    for row in rows:
        cells = [row.get(key, "") if key in TEXT_KEYS else number(row.get(key)) for key, _ in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure_of(rows):
    for key, title, less_is_better in MEASURES:
        if any(row.get(key) for row in rows):
            return key, title, less_is_better
    return None


def plot(case, rows):
    """Bars on a logarithmic scale, as systems differ by factors; a bar for each row."""
    key, title, less_is_better = measure_of(rows)
    rows = [row for row in rows if row.get(key)]
    systems = list(dict.fromkeys(row["system"] for row in rows))
    left, bar, gap, width, top = 240, 14, 8, 420, 56
    values = [row[key] for row in rows]
    low = math.floor(math.log10(min(values)) - 0.01)
    high = max(low + 1, math.ceil(math.log10(max(values)) - 0.01))
    place = lambda x: left + width * (math.log10(x) - low) / (high - low)
    parts, grid = [], []
    y = top
    for system in systems:
        own = [row for row in rows if row["system"] == system]
        middle = y + len(own) * bar / 2 + 4
        weight = ' font-weight="bold"' if system.startswith("cluster_channel") else ""
        parts.append(f'<text x="{left - 8}" y="{middle}" text-anchor="end"{weight}>{escape(system)}</text>')
        for row in own:
            color = COLORS.get(row["mode"], OTHER_COLOR)
            end = place(row[key])
            parts.append(f'<rect x="{left}" y="{y + 1}" width="{end - left:.1f}" height="{bar - 2}" fill="{color}"/>')
            parts.append(f'<text x="{end + 4:.1f}" y="{y + bar - 3}" font-size="10">{number(row[key])}</text>')
            y += bar
        y += gap
    for power in range(low, high + 1):
        x = place(10**power)
        grid.append(f'<line x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{y}" stroke="#ccc"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 14}" text-anchor="middle" font-size="10">{number(10**power)}</text>')
    x = left
    for mode in dict.fromkeys(row["mode"] for row in rows):
        color = COLORS.get(mode, OTHER_COLOR)
        parts.append(f'<rect x="{x}" y="32" width="10" height="10" fill="{color}"/>')
        parts.append(f'<text x="{x + 14}" y="41" font-size="10">{escape(mode)}</text>')
        x += 30 + 7 * len(mode)
    better = "less is better" if less_is_better else "more is better"
    heading = f"{case.replace('_', ' ')}: {title} ({better}; logarithmic)"
    height = y + 24
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" '
            'font-family="sans-serif" font-size="12">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="8" y="20" font-size="14">{escape(heading)}</text>',
            *grid,
            *parts,
            "</svg>",
            "",
        ]
    )


def page(data, cases):
    machine, settings = data["machine"], data["settings"]
    memory = int(machine["memory_bytes"]) / 2**30
    parts = [
        f"Measured on {machine['cpus']} CPUs ({machine['cpu']}), {memory:.0f} GiB, {machine['kernel']}; "
        f"{settings['rounds']} rounds."
    ]
    if data["skipped"]:
        parts.append("Skipped: " + "; ".join(f"{name} ({why})" for name, why in data["skipped"].items()) + ".")
    for case, rows in cases.items():
        parts += [f"### {case}", table(rows)]
        if measure_of(rows):
            parts.append(f"![{case}](plots/{case}.svg)")
    return "\n\n".join(parts)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    data = json.loads(pathlib.Path(sys.argv[1]).read_text())
    cases = by_case(data["rows"])
    plots = HERE / "plots"
    plots.mkdir(exist_ok=True)
    for case, rows in cases.items():
        if measure_of(rows):
            (plots / f"{case}.svg").write_text(plot(case, rows))
    readme = HERE / "README.md"
    marks = ("<!-- from publish.py -->", "<!-- to here -->")
    text, count = re.subn(
        re.escape(marks[0]) + ".*" + re.escape(marks[1]),
        lambda _: f"{marks[0]}\n\n{page(data, cases)}\n\n{marks[1]}",
        readme.read_text(),
        flags=re.DOTALL,
    )
    if count != 1:
        sys.exit(f"{readme}: no place between {marks[0]} and {marks[1]}")
    readme.write_text(text)


if __name__ == "__main__":
    main()
