"""The map as it is shown, written to files from memory: nothing is computed for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from medvlm_tui.tui.map.colouring import Colouring
from medvlm_tui.tui.map.data import MapData
from medvlm_tui.tui.shared.ask_export import Export, ExportFile

CSV = "map.csv"
FILES = (
    ExportFile("map.png", "the points in the colours that are shown"),
    ExportFile("map.svg", "the same as vector graphics"),
    ExportFile("map.pdf", "the same for print"),
    ExportFile(CSV, "a line for each point, a column for each grouping"),
)


def write(
    data: MapData, title: str, shown: Colouring, columns: Sequence[Colouring], marked: Collection[int], asked: Export
) -> None:
    """Write the files that are asked for into their folder."""
    from medvlm_tui.report.formats.csv_file import write_csv
    from medvlm_tui.report.formats.table import Table, numbers, texts
    from medvlm_tui.report.maps.seen import draw_points

    if CSV in asked.names:
        heads = [one.name for one in columns]
        rows = [[*values, x, y] for values, (x, y) in zip(lines(data, columns, marked), data.xy.tolist(), strict=True)]
        write_csv(asked.folder / CSV, Table("map", (*texts("image", *heads, "marked"), *numbers("x", "y")), rows))
    if formats := {Path(name).suffix for name in asked.names if name != CSV}:
        labels = [shown.names[code] for code in shown.codes.tolist()]
        head = f"{title}\n{data.facts}, by {shown.name}"
        draw_points(asked.folder / "map.png", data.xy, labels, shown.names, head, formats)


def lines(data: MapData, columns: Sequence[Colouring], marked: Collection[int]) -> list[list[str]]:
    """Return a line of texts for each point: the image, its value in each grouping, whether it is marked."""
    return [
        [image, *(one.names[one.codes[at]] for one in columns), "yes" if at in marked else ""]
        for at, image in enumerate(data.ids)
    ]
