"""A place with a line one types a filter into."""

from __future__ import annotations

from textual import on

from medvlm_tui.tui.shared.filter_line import FilterLine
from medvlm_tui.tui.shared.place import PlaceScreen


class FilteredScreen(PlaceScreen):
    """Keeps what is typed in `filter_text` and draws anew; subclasses yield a FilterLine in their `body`."""

    def __init__(self, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.filter_text = ""

    def focus_filtered(self) -> None:
        """Put the cursor where it was before one typed."""
        raise NotImplementedError

    async def action_filter(self) -> None:
        """Type what to look for."""
        await self.query_one(FilterLine).open()

    @on(FilterLine.Changed)
    def _filtered(self, event: FilterLine.Changed) -> None:
        self.filter_text = event.text
        self.show()

    @on(FilterLine.Kept)
    def _filter_kept(self) -> None:
        self.focus_filtered()

    def action_clear_filter(self) -> None:
        """Show everything again."""
        self.query_one(FilterLine).clear()
        self.filter_text = ""
        self.focus_filtered()
        self.show()
