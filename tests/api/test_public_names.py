"""The public interface: what `medvlm_tui` offers, what it costs to import, and the examples of its page."""

import doctest
import inspect
import re
import subprocess
import sys
import typing
from importlib.resources import files
from pathlib import Path

import pytest

import medvlm_tui

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
CLASSES = [getattr(medvlm_tui, name) for name in medvlm_tui.__all__ if inspect.isclass(getattr(medvlm_tui, name))]


def test_the_examples_of_the_page_run(here: Path) -> None:
    examples = doctest.DocTestParser().get_doctest(PAGE.read_text(), {}, "docs/python.md", str(PAGE), 0)
    assert len(examples.examples) >= 15
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
    assert "".join(said) == ""


def test_the_page_names_exactly_the_public_names() -> None:
    table = PAGE.read_text().partition("|---|---|")[2].partition("\n\n")[0]
    named = re.findall(r"^\| `(\w+)", table, re.MULTILINE)
    assert sorted(named) == sorted(set(medvlm_tui.__all__) - {"__version__"})


@pytest.mark.parametrize("made", CLASSES, ids=lambda made: made.__name__)
def test_the_page_names_every_method_of_a_public_class(made: type) -> None:
    methods = {n for n, f in vars(made).items() if inspect.isfunction(f) and not n.startswith("_")} - {"close"}
    missing = {name for name in methods if f"`{name}" not in PAGE.read_text()}
    assert missing == set()


@pytest.mark.parametrize("name", sorted(set(medvlm_tui.__all__) - {"__version__"}))
def test_a_public_name_is_documented_and_typed(name: str) -> None:
    found = getattr(medvlm_tui, name)
    assert found.__doc__
    members = (
        [found]
        if inspect.isfunction(found)
        else [f for n, f in vars(found).items() if inspect.isfunction(f) and not n.startswith("_")]
    )
    for member in members:
        parameters = set(inspect.signature(member).parameters) - {"self", "exc"}
        assert parameters <= set(inspect.get_annotations(member)), member
    assert name in dir(medvlm_tui)
    assert (files("medvlm_tui") / "py.typed").is_file()


def test_the_lazy_table_is_the_list_of_public_names() -> None:
    assert set(medvlm_tui._PLACES) == set(medvlm_tui.__all__) - {"__version__"}
    assert typing.get_type_hints(medvlm_tui.run_probe, localns={"pd": None})["return"] is medvlm_tui.ProbeResult
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = medvlm_tui.no_such_name


def test_import_is_light_and_torch_comes_with_the_first_model() -> None:
    code = (
        "import sys, medvlm_tui\n"
        "heavy = {'torch', 'numpy', 'sklearn', 'pandas', 'PIL', 'textual'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "medvlm_tui.open_store\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
        "medvlm_tui.load_model\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
