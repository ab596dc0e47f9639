"""ASCII where the locale has no UTF-8, decided without asking the terminal; the theme that was chosen is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from medvlm_tui.errors import UsageError
from medvlm_tui.settings import sources
from medvlm_tui.settings.screens import Appearance, has_utf8
from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.plain_characters import PlainCharacters, plain_character
from medvlm_tui.tui.start import dress
from tests.made.recorded import RecordedClient, fill_store
from tests.tui.conftest import SIZES, seen, until


@pytest.mark.parametrize(
    ("environment", "utf8"),
    [
        ({}, False),
        ({"LANG": "C"}, False),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.utf8@euro"}, True),
        ({"LANG": "de_DE.ISO-8859-15@euro"}, False),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "C", "LC_ALL": "", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LC_ALL": "POSIX", "LC_CTYPE": "C.UTF-8"}, False),
    ],
)
def test_the_locale_says_whether_there_is_utf8(environment: dict[str, str], utf8: bool) -> None:
    assert has_utf8(environment) is utf8
    assert Appearance().in_ascii(environment) is not utf8
    assert Appearance(characters="ascii").in_ascii(environment)
    assert not Appearance(characters="unicode").in_ascii(environment)


def test_every_character_becomes_ascii_of_its_width() -> None:
    for code in (*range(0xA0, 0x600), *range(0x2000, 0x2C00), *range(0x3000, 0x3200), *range(0x1F300, 0x1F600)):
        character = chr(code)
        plain = plain_character(character)
        assert plain.isascii(), hex(code)
        assert cell_len(plain) == cell_len(character), hex(code)
    assert "".join(map(plain_character, "╭─┤ Größe ±2 │ 病")) == "+-+ Grosse +2 | ??".replace("oss", "o?", 1)


def test_a_half_block_becomes_the_mean_of_its_two_colours() -> None:
    half = Segment("▀▀", Style(color="#ff0000", bgcolor="#0000ff"))
    frame = Segment("╭─", Style(bold=True))
    (blank, corner) = PlainCharacters().apply([half, frame], Color.parse("black"))
    assert (blank.text, corner.text) == ("  ", "+-")
    assert blank.style is not None
    assert blank.style.bgcolor is not None
    assert tuple(blank.style.bgcolor.get_truecolor()) == (127, 0, 127)
    assert corner.style == frame.style


@pytest.mark.parametrize(("size", "no_color"), [(SIZES[0], False), ((100, 30), True)])
async def test_every_place_is_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size, no_color: bool) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    fill_store(tmp_path)
    app = MedvlmApp(tmp_path, client=RecordedClient(done=True))
    dress(app, Appearance(), tmp_path / "settings.toml", {"LANG": "C"})
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, "81.2 v")
        assert "drawn in ASCII" in seen(app)
        for key in (*("45" if no_color else "2345678"), "question_mark"):
            await pilot.press(key)
            await pilot.pause(0.05)
            screen = seen(app)
            assert screen.isascii(), (key, {character for character in screen if not character.isascii()})
            assert all(len(line) == size[0] for line in screen.splitlines())


async def test_a_theme_is_kept_and_the_default_one_leaves_the_file(make_app, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("# mine\nlimit = 20\n")
    app, _ = make_app(done=True)
    dress(app, Appearance(), file, {"LANG": "C.UTF-8"})
    async with app.run_test() as pilot:
        await until(pilot, "81.2 ✓")
        app.theme = "medvlm-light"
        await pilot.pause()
        assert file.read_text() == '# mine\nlimit = 20\ntheme = "medvlm-light"\n'
        app.theme = "medvlm-dark"
        await pilot.pause()
        assert file.read_text() == "# mine\nlimit = 20\n"
    again, _ = make_app(done=True)
    dress(again, Appearance(theme="medvlm-contrast"), file, {"LANG": "C.UTF-8"})
    async with again.run_test() as pilot:
        await until(pilot, "81.2 ✓")
        assert again.theme == "medvlm-contrast"
    assert file.read_text() == "# mine\nlimit = 20\n"  # what the file says is not written again


async def test_an_unknown_theme_is_said(make_app, tmp_path: Path) -> None:
    app, _ = make_app(done=True)
    dress(app, Appearance(theme="nord"), tmp_path / "settings.toml", {"LANG": "C.UTF-8"})
    async with app.run_test(notifications=True) as pilot:
        assert "there is no theme 'nord'" in " ".join((await until(pilot, "no theme")).split())


def test_the_settings_file_says_how_the_screens_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    monkeypatch.setenv("MEDVLM_CONFIG", str(file))
    file.write_text('theme = "medvlm-light"\ncharacters = "unicode"\n')
    assert sources.load(str(tmp_path)).appearance == Appearance("medvlm-light", "unicode")
    for wrong in ('characters = "latin"', "theme = 3"):
        file.write_text(wrong)
        with pytest.raises(UsageError, match=r"settings.toml: (characters|theme) = "):
            sources.load(str(tmp_path))
