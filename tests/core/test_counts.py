"""Numbers of things in sentences: singular, plural, thousands."""

from __future__ import annotations

from medvlm_tui.core.counts import counted, verb


def test_one_is_singular_and_every_other_number_plural() -> None:
    assert [counted(n, "image") for n in (0, 1, 2, 1200)] == ["0 images", "1 image", "2 images", "1,200 images"]
    assert [counted(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]
    assert [verb(n, "was", "were") for n in (0, 1, 2)] == ["were", "was", "were"]
