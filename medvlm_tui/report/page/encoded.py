"""Pictures, figures and points as text that stands in the page itself, and the rules that keep them small."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.safe_text import clean
from medvlm_tui.measures.map_gaps import Gaps
from medvlm_tui.report.page.blocks import MapImages, MapPoints, MapViewer

PICTURE_PX = 192
"""The longer side of a picture beside a map, at most."""
PICTURE_QUALITY = 75
THUMBNAIL_PX = 48
THUMBNAIL_QUALITY = 60
_STEPS = 65535
LEAST_POINTS = 10
"""Maps of fewer images are drawn as they are: single points have no width that a gap could be wide beside."""
# What matplotlib writes beside the drawing; comments repeat outside text.
_SVG_NOISE = re.compile(rb"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)


def picture(pixels: NDArray[np.uint8], longest_px: int = PICTURE_PX, quality: int = PICTURE_QUALITY) -> str:
    """Return pixels (H, W, 3) as the data URI of a JPEG whose longer side is at most `longest_px`."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest_px, longest_px), Image.Resampling.BOX)
    packed = io.BytesIO()
    image.save(packed, format="JPEG", quality=quality, optimize=True)
    return f"data:image/jpeg;base64,{_base64(packed.getvalue())}"


def drawing(path: Path) -> str:
    """Return an SVG file as a data URI: as an image it runs no script, loads nothing, and its ids are its own."""
    lines = _SVG_NOISE.sub(b"", path.read_bytes()).splitlines()
    return f"data:image/svg+xml;base64,{_base64(b' '.join(line.strip() for line in lines if line.strip()))}"


def maps(viewer: MapViewer) -> dict[str, Any]:
    """Return what the page's script reads: the images of each dataset, and the maps as base64 of uint16 triples
    (image, x, y), coordinates over the range of both axes."""
    return {
        "datasets": {name: _images(images) for name, images in viewer.datasets.items()},
        "maps": [_map(one) for one in viewer.maps],
    }


def _images(images: MapImages) -> dict[str, Any]:
    return {
        "title": clean(images.title),
        "ids": list(map(clean, images.ids)),
        "colourings": [
            {"name": clean(one.name), "names": list(map(clean, one.names)), "values": list(one.values)}
            for one in images.colourings
        ],
        "thumbnails": _thumbnails(images.thumbnails),
    }


def _thumbnails(found: Mapping[int, NDArray[np.uint8]]) -> dict[str, str]:
    return {str(index): picture(pixels, THUMBNAIL_PX, THUMBNAIL_QUALITY) for index, pixels in found.items()}


def _map(points: MapPoints) -> dict[str, Any]:
    """Return a map; its wide gaps are closed where points would fill less than half of an axis, as in the screens."""
    xy = points.xy.astype(np.float64)
    gaps = Gaps.of(xy) if len(xy) >= LEAST_POINTS else Gaps(None, None)
    return {
        "title": clean(points.title),
        "dataset": points.dataset,
        "points": _points(points.image, np.asarray(gaps.close(xy), dtype=np.float64)),
        "closed": bool(gaps),
    }


def _points(image: NDArray[np.integer], xy: NDArray[np.float64]) -> str:
    low = xy.min(axis=0)
    # One scale for both axes: distances on the map are not stretched.
    size = max(float((xy.max(axis=0) - low).max()), 1e-12)
    scaled = np.rint((xy - low) / size * _STEPS)
    return _base64(np.column_stack([image, scaled]).astype("<u2").tobytes())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
