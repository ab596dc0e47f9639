"""Words without a cursor, in the theme's own colours."""

from __future__ import annotations

from rich.text import Text
from textual import widgets
from textual.visual import VisualType


class Static(widgets.Static):
    """Textual's Static for Rich's texts, whose own style it would take for a colour of CSS."""

    def __init__(
        self,
        content: VisualType = "",
        *,
        id: str | None = None,  # noqa: A002 (Textual's name)
        classes: str | None = None,
    ) -> None:
        super().__init__(_spanned(content), id=id, classes=classes, markup=False)

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show other words."""
        super().update(_spanned(content), layout=layout)


def _spanned(content: VisualType) -> VisualType:
    """Return a text with its style as a span over all of it."""
    if not isinstance(content, Text) or not content.style:
        return content
    copy = content.copy()
    copy.stylize_before(content.style)
    copy.style = ""
    return copy
