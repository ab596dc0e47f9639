"""One look for all figures, and one way to save them: no pyplot, no state between figures, no clock in the file.

Charts are written as PNG and SVG, maps as PNG, SVG and PDF, pictures as PNG alone.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.safe_text import clean

DPI = 200
# 90 bytes each in SVG.
_MOST_VECTOR_POINTS = 6000
# Okabe and Ito's colours, the ones with most contrast on white first; marker shapes that survive a grey copy.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#B8A800")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h", "d")
COLOUR_MAP = "viridis"
_INK, _FAINT = "#222222", "#B0B0B0"
_STYLE: Any = {  # matplotlib types its keys as one literal of 300 names
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.titleweight": "normal",
    "axes.labelsize": 8.0,
    "axes.edgecolor": _FAINT,
    "axes.linewidth": 0.6,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    # A $ or \ in a class name is a character, never mathematics.
    "text.parse_math": False,
    "text.usetex": False,
    "pdf.fonttype": 42,
    # Text as outlines: it looks the same where DejaVu Sans is not installed, and no name stands in the file as text.
    "svg.fonttype": "path",
    "svg.hashsalt": "medvlm-tui",
}


def style() -> Any:
    """Return the context in which a figure is made and saved."""
    return rc_context(_STYLE)


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty white figure with its own Agg canvas; call inside `style()`."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def look_of(index: int) -> tuple[str, str]:
    """Return (colour, marker) of a class; the pair differs for any of 104 classes, both for the first eight."""
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def bare(axes: Axes) -> None:
    """Remove ticks where coordinates mean nothing."""
    axes.set_xticks([])
    axes.set_yticks([])


def beside(axes: Axes, handles: Sequence[Artist]) -> None:
    """Put a legend to the right of `axes`, its top level with theirs, in columns of 26."""
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, handletextpad=0.2,
        ncols=1 + (len(handles) - 1) // 26,
    )  # fmt: skip


def label(text: str, limit: int = 40) -> str:
    """Return outside text for a figure: controls written out, cut in the middle when long."""
    text = clean(text)
    if len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def save_chart(figure: Figure, path: Path, parameters: Mapping[str, Any]) -> None:
    """Write the figure as PNG at `path` (.png) and as SVG beside it."""
    save_png(figure, path, parameters)
    save_svg(figure, path.with_suffix(".svg"))


def chart_files(path: Path) -> Iterator[FileWritten]:
    """Yield the files of a chart that is drawn."""
    for suffix in (".png", ".svg"):
        yield FileWritten(str(path.with_suffix(suffix)), "figure")


def save_figure(figure: Figure, path: Path, parameters: Mapping[str, Any]) -> None:
    """Write the figure as PNG at `path` (.png), and as PDF and SVG beside it, at the same size in print."""
    save_png(figure, path, parameters)
    save_svg(figure, path.with_suffix(".svg"))
    save_pdf(figure, path.with_suffix(".pdf"), parameters)


def save_pdf(figure: Figure, path: Path, parameters: Mapping[str, Any]) -> None:
    """Write the figure with `parameters` as JSON in its keywords and its fonts inside; equal input, equal bytes."""
    buffer = io.BytesIO()
    said = json.dumps(dict(parameters), sort_keys=True, ensure_ascii=True, default=str)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Without a date the file depends on nothing but the figure.
        figure.savefig(
            buffer, format="pdf", facecolor="white",
            metadata={"Creator": "medvlm-tui", "Producer": "medvlm-tui", "CreationDate": None, "Keywords": said},
        )  # fmt: skip
    write_export(path, buffer.getvalue())


def save_svg(figure: Figure, path: Path) -> None:
    """Write the figure as SVG; equal input, equal bytes. The points of a crowded figure are one picture in it."""
    buffer = io.BytesIO()
    lines = figure.findobj(Line2D)
    crowded = sum(len(np.atleast_1d(line.get_xdata())) for line in lines) > _MOST_VECTOR_POINTS
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for line in lines if crowded else ():
            line.set_rasterized(True)
        figure.savefig(buffer, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None})
        for line in lines if crowded else ():
            line.set_rasterized(False)
    write_export(path, buffer.getvalue())


def save_png(figure: Figure, path: Path, parameters: Mapping[str, Any]) -> None:
    """Write the figure with `parameters` as JSON in the PNG text chunk `parameters`; equal input, equal bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A script that DejaVu Sans lacks is drawn as boxes; stderr is not the place to say so.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="raw", dpi=DPI, facecolor="white")
    width, height = figure.canvas.get_width_height()
    image = Image.frombytes("RGBA", (width, height), buffer.getvalue()).convert("RGB")
    info = PngInfo()
    info.add_text("Software", "medvlm-tui")
    info.add_text("parameters", json.dumps(dict(parameters), sort_keys=True, ensure_ascii=True, default=str))
    packed = io.BytesIO()
    image.save(packed, format="PNG", pnginfo=info, dpi=(DPI, DPI), optimize=False)
    write_export(path, packed.getvalue())
