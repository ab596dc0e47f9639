"""An option is one field: everything that takes or names options follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from medvlm_tui import cli
from medvlm_tui.errors import UsageError
from medvlm_tui.settings import sources
from medvlm_tui.settings.command_line import batch_options
from medvlm_tui.settings.flags import values_of
from medvlm_tui.settings.options import OPTIONS, all_values, help_of, refuse_unknown
from medvlm_tui.settings.values import in_range
from medvlm_tui.stages.option import Option, at_least, declared_in, follows, option
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.request import RunRequest


@dataclass(frozen=True, slots=True)
class ToyParams:
    """An analysis with one option."""

    size: int = option(3, Option("toy_size", "size of a toy", "N", check=at_least(2)))
    seed: int = follows(0, "seed")


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the field an option of the program, as it is when `Stage.options` names its record."""
    (declared,) = declared_in(ToyParams, "toys", other_results=True)
    monkeypatch.setitem(OPTIONS, declared.name, declared)


def asked(*words: str, file: Path | None = None) -> RunRequest:
    options = cli.batch_parser().parse_args(["--batch", *words])
    run_file = sources.read_run_file(file) if file else {}
    return sources.request(sources.Settings(Path(), Path()), run_file, values_of(options))


def test_one_field_is_a_flag_a_key_of_the_file_and_a_part_of_the_copied_line(tmp_path: Path) -> None:
    file = tmp_path / "RUN.toml"
    file.write_text("toy_size = 4\n")
    by_flag, by_file = asked("--toy-size", "5", "--seed", "7"), asked(file=file)
    assert by_flag.of(ToyParams) == ToyParams(size=5, seed=7)
    assert by_file.of(ToyParams) == ToyParams(size=4)
    assert asked("--toy-size", "6", file=file).of(ToyParams).size == 6
    assert batch_options(by_file, tmp_path)[-2:] == ["--toy-size", "4"]
    assert asked(*batch_options(by_flag, tmp_path)[1:]) == by_flag
    assert RunRequest.from_record(by_flag.to_record()) == by_flag
    assert all_values(by_flag)["toy_size"] == 5


def test_one_field_is_in_the_help_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--batch", "--help"])
    said = capsys.readouterr().out
    assert "toys:\n  --toy-size N" in said
    assert "size of a toy (3)" in said


def test_a_value_out_of_range_or_of_another_type_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "RUN.toml"
    file.write_text('toy_size = "many"\n')
    with pytest.raises(UsageError, match="toy-size must be at least 2"):
        asked("--toy-size", "1")
    with pytest.raises(UsageError, match="argument --toy-size: invalid int value: 'x'"):
        asked("--toy-size", "x")
    with pytest.raises(UsageError, match=r"RUN\.toml: toy_size = 'many' is not of type int"):
        asked(file=file)


def test_a_default_that_is_named_asks_for_the_same_as_none() -> None:
    assert all_values(asked("--toy-size", "3")) == all_values(asked())
    assert batch_options(asked("--toy-size", "3"), Path("/w")) == batch_options(asked(), Path("/w"))


def test_an_option_that_does_not_exist_is_refused_before_anything_is_planned() -> None:
    with pytest.raises(UsageError, match="there is no option 'toy_sise'"):
        refuse_unknown(RunRequest(options={"toy_sise": 4}))


def test_parameters_go_into_a_request_and_come_back_with_what_they_follow() -> None:
    request = RunRequest().having(BiasParams(words=("A", "B"), height=0.2, rise_masks=64, rise_fill="blur", seed=3))
    assert request.of(BiasParams) == BiasParams(("A", "B"), height=0.2, rise_masks=64, rise_fill="blur", seed=3)
    assert (request.seed, request.of(SaliencyParams).fill) == (3, "blur")
    assert request.options == {"bias_words": ("A", "B"), "bias_size": 0.2, "bias_masks": 64, "rise_fill": "blur"}


def test_every_option_has_a_help_a_section_and_a_default_that_it_accepts() -> None:
    for each in OPTIONS.values():
        assert each.option.help
        assert each.section
        assert help_of(each)
        assert each.option.check is None or each.option.check.accepts(each.default), each.name
        assert in_range({each.name: each.default}) == {each.name: each.default}
