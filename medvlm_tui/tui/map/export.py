"""The map as it is shown, written to files from memory: nothing is computed for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from medvlm_tui.tui.map.colouring import Colouring
from medvlm_tui.tui.map.data import MapData
from medvlm_tui.tui.shared.exports import export_folder


def write(
    data: MapData, title: str, shown: Colouring, columns: Sequence[Colouring], marked: Collection[int], workspace: Path
) -> Path:
    """Write map.csv (a line for each point, a column for each grouping) and map.png in a new folder; returns it."""
    from medvlm_tui.report.formats.csv_file import write_csv
    from medvlm_tui.report.formats.table import Table, numbers, texts
    from medvlm_tui.report.maps.seen import draw_points

    folder = export_folder(workspace, "map")
    heads = [one.name for one in columns]
    rows = [
        [image, *(one.names[one.codes[at]] for one in columns), "yes" if at in marked else "", x, y]
        for at, (image, (x, y)) in enumerate(zip(data.ids, data.xy.tolist(), strict=True))
    ]
    write_csv(folder / "map.csv", Table("map", (*texts("image", *heads, "marked"), *numbers("x", "y")), rows))
    labels = [shown.names[code] for code in shown.codes.tolist()]
    draw_points(folder / "map.png", data.xy, labels, shown.names, f"{title}\n{data.facts}, by {shown.name}")
    return folder
