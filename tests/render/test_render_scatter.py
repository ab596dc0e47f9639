"""The braille scatter: geometry to the dot, colours by majority, honest thinning, speed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from rich.cells import cell_len
from rich.text import Text

from medvlm_tui.render.palette import class_colours, grey
from medvlm_tui.render.scatter import Bounds, Tag, cells_of, legend, point_size, scatter, stratified, with_cross

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def style_at(text: Text, line: int, column: int) -> str:
    offset = sum(len(row) + 1 for row in text.plain.split("\n")[:line]) + column
    return " ".join(str(span.style) for span in text.spans if span.start <= offset < span.end)


def test_the_corners_light_the_outermost_dots() -> None:
    # Many in the middle take the letter and make points small, so that the corners show their dots.
    xy = np.vstack([CORNERS, np.full((60, 2), 0.5)])
    lines = scatter(xy, np.zeros(64, dtype=int), 10, 5).text.plain.split("\n")
    assert lines[0][0] == chr(0x2800 + 0x01)
    assert lines[0][9] == chr(0x2800 + 0x08)
    assert lines[4][0] == chr(0x2800 + 0x40)
    assert lines[4][9] == chr(0x2800 + 0x80)
    assert sum(character != " " for line in lines for character in line) == 5


@pytest.mark.parametrize(("width", "height"), [(1, 1), (10, 5), (80, 24), (160, 48)])
def test_the_area_is_filled_exactly(width: int, height: int) -> None:
    rng = np.random.default_rng(0)
    view = scatter(rng.normal(size=(500, 2)), rng.integers(0, 3, 500), width, height)
    lines = view.text.plain.split("\n")
    assert [cell_len(line) for line in lines] == [width] * height
    assert (view.shown, view.total, view.note) == (500, 500, "")


def test_a_cell_has_the_colour_of_its_majority() -> None:
    crowd = np.array([[0.0, 1.0]] * 3 + [[1.0, 0.0]] * 3)
    view = scatter(crowd, np.array([0, 1, 1, 0, 0, 0]), 4, 2)
    colours = class_colours(2)
    assert colours[1] in style_at(view.text, 0, 0)
    assert colours[0] in style_at(view.text, 1, 3)


def test_focus_greys_the_others_and_wins_its_cells() -> None:
    crowd = np.array([[0.0, 1.0]] * 3 + [[1.0, 0.0]] * 3)
    view = scatter(crowd, np.array([0, 1, 1, 1, 1, 1]), 4, 2, focus=0)
    assert class_colours(2)[0] in style_at(view.text, 0, 0)
    assert grey() in style_at(view.text, 1, 3)


def test_each_class_has_its_letter_and_no_colour_means_letters_only() -> None:
    rng = np.random.default_rng(1)
    xy = np.concatenate([rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 9])
    codes = np.repeat([0, 1], 50)
    coloured, plain = scatter(xy, codes, 40, 12), scatter(xy, codes, 40, 12, depth="none")
    assert coloured.text.plain.count("a") == coloured.text.plain.count("b") == 1
    assert set(plain.text.plain) == {"a", "b", " ", "\n"}
    assert not any("#" in str(span.style) for span in plain.text.spans)


def test_the_cursor_is_a_cross_at_its_point() -> None:
    line = scatter(CORNERS, np.zeros(4, dtype=int), 10, 5).text.split("\n")[0]
    row, column = cells_of(CORNERS[[3]], Bounds.of(CORNERS), 10, 5)[0].tolist()
    assert (row, column) == (0, 9)
    crossed = with_cross(line, column)
    assert crossed.plain == line.plain[:9] + "✛"
    assert crossed.cell_len == line.cell_len


def test_zoom_leaves_out_what_is_outside() -> None:
    bounds = Bounds.of(CORNERS).zoomed(4, 0.0, 0.0)
    assert bounds == Bounds(-0.125, 0.125, -0.125, 0.125)
    assert scatter(CORNERS, np.zeros(4, dtype=int), 10, 5, bounds=bounds).total == 1


def test_many_points_are_thinned_by_class_and_it_says_so() -> None:
    codes = np.array([0] * 27_900 + [1] * 99 + [2])
    view = scatter(np.random.default_rng(2).normal(size=(28_000, 2)), codes, 80, 24)
    assert view.shown <= 5000
    assert f"{view.shown:,} of 28,000 points" in view.note
    kept = codes[stratified(codes, 5000)]
    assert [int((kept == code).sum()) for code in range(3)] == [4982, 17, 1]


def test_degenerate_inputs_have_a_picture() -> None:
    one = np.zeros((1, 2))
    assert scatter(one, np.zeros(1, dtype=int), 5, 3).shown == 1
    assert scatter(np.repeat(one, 9, axis=0), np.zeros(9, dtype=int), 5, 3).shown == 9
    assert scatter(np.zeros((0, 2)), np.zeros(0, dtype=int), 5, 3).text.plain == "\n".join([" " * 5] * 3)
    assert scatter(np.array([[np.nan, 0.0], [1.0, 1.0]]), np.zeros(2, dtype=int), 5, 3).shown == 1


def test_five_thousand_points_at_160_by_48_are_quick() -> None:
    rng = np.random.default_rng(3)
    xy, codes = rng.normal(size=(5000, 2)), rng.integers(0, 8, 5000)
    scatter(xy, codes, 160, 48)
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        scatter(xy, codes, 160, 48)
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.05


def test_the_legend_names_every_class_with_its_count() -> None:
    line = legend(["glioma", "[/] none"], [1826, 3])
    assert line.plain == "a glioma 1,826   b [/] none 3"


def test_tags_stand_beside_the_points_inside_the_frame() -> None:
    tags = [Tag(0.0, 0.0, "left corner", 0), Tag(0.5, 0.5, "[mid]", 0), Tag(9.0, 9.0, "outside", 0)]
    bare = scatter(CORNERS, np.zeros(4, dtype=int), 20, 5).text.plain.split("\n")
    lines = scatter(CORNERS, np.zeros(4, dtype=int), 20, 5, tags=tags).text.plain.split("\n")
    assert "left corner" in lines[4]
    assert "[mid]" in lines[2]
    assert "outside" not in "".join(lines)
    assert all(cell_len(line) == 20 for line in lines)
    # No point is covered.
    assert all(new == old for old, new in zip("".join(bare), "".join(lines), strict=True) if old != " ")


def test_tags_do_not_overlap_each_other_nor_any_point_and_give_way_where_there_is_no_room() -> None:
    rng = np.random.default_rng(4)
    middles = rng.uniform(0, 10, (8, 2))
    xy = np.concatenate([middle + rng.normal(0, 0.3, (40, 2)) for middle in middles])
    codes = np.repeat(np.arange(8), 40)
    tags = [Tag(*middle.tolist(), f"class number {code} 100 %", code) for code, middle in enumerate(middles)]
    bare = scatter(xy, codes, 100, 30).text.plain
    drawn = scatter(xy, codes, 100, 30, tags=tags).text.plain
    assert all(new == old for old, new in zip(bare, drawn, strict=True) if old != " ")
    named = [tag for tag in tags if tag.words in drawn]
    assert len(named) == 8
    everywhere = np.stack(np.meshgrid(np.arange(20.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    full = scatter(everywhere, np.zeros(200, dtype=int), 20, 10, tags=[Tag(5.0, 5.0, "no room", 0)]).text.plain
    assert "no room" not in full


@pytest.mark.parametrize(
    ("points", "size"), [(60, "cell"), (400, "cell"), (401, "half"), (2000, "half"), (2001, "dot")]
)
def test_the_fewer_points_the_larger_each(points: int, size: str) -> None:
    assert point_size(points, 120, 40) == size
    rng = np.random.default_rng(5)
    text = scatter(rng.normal(size=(points, 2)), rng.integers(0, 3, points), 120, 40, letters=False).text.plain
    used = set(text) - {" ", "\n"}
    shapes = {"cell": {"●"}, "half": {"▀", "▄"}}
    assert used == shapes[size] if size in shapes else all(0x2800 < ord(one) <= 0x28FF for one in used)


def test_points_stay_small_where_they_would_cover_a_small_frame() -> None:
    assert point_size(60, 14, 6) == "dot"
    assert point_size(60, 16, 8) == "half"


def test_the_two_halves_of_a_cell_have_a_colour_each() -> None:
    # 500 points of class 0 in one corner, one of class 1 above one of class 0 in the other.
    xy = np.vstack([np.zeros((500, 2)), [[1.0, 1.0]], [[1.0, 0.9]]])
    codes = np.array([0] * 500 + [1, 0])
    view = scatter(xy, codes, 60, 20, letters=False)
    first, second = class_colours(2)
    assert view.text.plain.split("\n")[0][59] == "▀"
    assert style_at(view.text, 0, 59) in (f"{second} on {first}", second)


def test_a_moved_view_shows_another_part() -> None:
    bounds = Bounds(0.0, 1.0, 0.0, 2.0).moved(0.5, -0.25)
    assert bounds == Bounds(0.5, 1.5, -0.5, 1.5)
    assert bounds.holds(1.0, 0.0)
    assert not bounds.holds(0.4, 0.0)


def test_density_shades_every_point_by_powers_of_the_largest_number() -> None:
    xy = np.array([[0.0, 0.0]] * 999 + [[1.0, 0.0]] * 30 + [[2.0, 0.0]] * 5 + [[3.0, 0.0]])
    codes = np.array([0] * 999 + [1] * 36)
    view = scatter(xy, codes, 4, 1, letters=False, density=True, max_points=10)
    # log(1 + n) over log(1000) in four even steps: 1, 0.497, 0.259, 0.100.
    assert view.text.plain == "█▒▒░"
    assert (view.shown, view.total) == (1035, 1035)
