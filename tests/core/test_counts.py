"""Numbers of things in sentences: singular, plural, thousands."""

from __future__ import annotations

from medvlm_tui.core.counts import byte_count, counted, verb


def test_one_is_singular_and_every_other_number_plural() -> None:
    assert [counted(n, "image") for n in (0, 1, 2, 1200)] == ["0 images", "1 image", "2 images", "1,200 images"]
    assert [counted(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]
    assert [verb(n, "was", "were") for n in (0, 1, 2)] == ["were", "was", "were"]


def test_bytes_stand_in_the_largest_unit_that_they_fill() -> None:
    said = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_250_000: "1.2 MB", 3_000_000_000: "3.0 GB", 10**13: "10000.0 GB"}
    assert {size: byte_count(size) for size in said} == said
