"""Lists that a person types: what was split is joined to the same, and a name with a comma can be said everywhere."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlm_tui import cli
from medvlm_tui.core.typed_lists import join_list, split_list
from medvlm_tui.errors import UsageError
from medvlm_tui.settings import sources as settings
from medvlm_tui.settings.command_line import command_line
from medvlm_tui.settings.flags import values_of
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.bias.ask_words import words_and_position

ITEMS = st.lists(st.text().map(str.strip).filter(bool), min_size=1)


@given(ITEMS)
def test_what_is_joined_is_split_into_the_same(items: list[str]) -> None:
    assert split_list(join_list(items)) == tuple(items)


def test_plain_lists_are_as_they_were() -> None:
    assert split_list("a, b ,,c") == ("a", "b", "c")
    assert split_list("") == split_list(" , ") == ()
    assert split_list('"a,b.png", c.png') == ("a,b.png", "c.png")
    assert split_list('"say ""x"".png",5"scan.png') == ('say "x".png', '5"scan.png')
    assert join_list(["a", "b"]) == "a,b"


def test_a_quote_that_is_not_closed_is_named() -> None:
    with pytest.raises(UsageError, match=r"a,b\.png"):
        split_list('"a,b.png')


def asked(*flags: str) -> RunRequest:
    options = cli.batch_parser().parse_args(["--batch", *flags])
    return settings.request(settings.Settings(Path(), Path()), {}, values_of(options))


def test_a_name_with_a_comma_reaches_every_list_of_the_command_line() -> None:
    request = asked(
        "--models", '"local:/a,b",m', "--datasets", '"x,y"', "--rise-images", '"a/1,5 T.png",b/2.png',
        "--rise-explain", '"mild, early"', "--bias-words", '"L,5",R',
    )  # fmt: skip
    assert request.models == ("local:/a,b", "m")
    assert request.datasets == ("x,y",)
    assert request.of(SaliencyParams).images == ("a/1,5 T.png", "b/2.png")
    assert request.of(SaliencyParams).explain == ("mild, early",)
    assert request.of(BiasParams).words == ("L,5", "R")
    line = command_line(request, Path("/w"))
    assert asked(*shlex.split(line)[2:]) == request


def test_a_number_of_images_is_no_id() -> None:
    params = asked("--rise-images", "4").of(SaliencyParams)
    assert (params.images_per_class, params.images) == (4, ())


def test_a_broken_list_is_a_usage_error() -> None:
    for option in ("--rise-images", "--models"):
        with pytest.raises(UsageError, match="no list"):
            asked(option, '"a,b.png')


def test_the_labs_words_may_hold_a_comma() -> None:
    assert words_and_position('"L,5",R', "top") == (("L,5", "R"), "top", "")
    assert "no list" in words_and_position('"L,5', "top")[2]
