"""A value written into the user's settings file leaves everything else as it stands."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlm_tui.errors import UsageError
from medvlm_tui.settings.settings_file import in_toml, with_value, write_option

FILE = """\
# my study
seed = 3   # fixed

bias_words = [
  "A",  # first
  "B",
]  # words
# folders
[datasets.brain_mr]
root = "/a # b"
"""


def test_comments_and_order_are_kept() -> None:
    assert with_value(FILE, ["seed"], 4) == FILE.replace("seed = 3   #", "seed = 4   #")
    changed = with_value(FILE, ["bias_words"], ("X", "Y"))
    assert '\nbias_words = ["X", "Y"]  # words\n# folders\n' in changed
    assert with_value(FILE, ["limit"], 5) == FILE.replace("]  # words\n", "]  # words\nlimit = 5\n")
    assert with_value(FILE, ["seed"], None) == FILE.replace("seed = 3   # fixed\n", "")
    assert with_value("", ["limit"], 5) == "limit = 5\n"
    assert with_value("# only this\n", ["limit"], 5) == "# only this\nlimit = 5\n"


def test_the_other_name_of_an_option_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('protocol = "knn"\n')
    write_option(file, "protocols", ("paper", "tuned"))
    assert tomllib.loads(file.read_text()) == {"protocols": ["paper", "tuned"]}
    write_option(file, "protocols", ("paper",))
    assert file.read_text() == ""


@pytest.mark.parametrize("text", ['x = "', '"seed" = 1\n', "[a]\nseed = 2\n[a]\n"])
def test_a_file_that_cannot_be_edited_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"cannot be changed") as told:
        write_option(file, "seed", 7)
    assert "seed = 7" in told.value.hint
    assert file.read_text() == text


def test_the_file_keeps_its_mode_and_a_link_to_it(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.toml", tmp_path / "settings.toml"
    real.write_text("seed = 1\n")
    real.chmod(0o640)
    link.symlink_to(real)
    write_option(link, "seed", 2)
    assert link.is_symlink()
    assert (real.read_text(), real.stat().st_mode & 0o777) == ("seed = 2\n", 0o640)


TEXTS = st.text(st.characters(blacklist_categories=("Cs",)))
VALUES = st.one_of(
    st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), TEXTS,
    st.lists(TEXTS),
)  # fmt: skip


@given(before=VALUES, value=VALUES)
def test_any_value_comes_back(before: object, value: object) -> None:
    text = f"a = 1\nlabel = {in_toml(before)} # why\n[t]\nb = 2\n"
    assert tomllib.loads(with_value(text, ["label"], value)) == {"a": 1, "label": value, "t": {"b": 2}}
