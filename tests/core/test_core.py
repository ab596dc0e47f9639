"""Events, text, digests, settings: the small pieces everything stands on."""

import json
import unicodedata
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlm_tui.batch.display import line_of
from medvlm_tui.core import digests, events
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.safe_text import clean, slug
from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.core.store import packing
from medvlm_tui.errors import CorruptEntryError, UsageError
from medvlm_tui.settings import sources as settings
from medvlm_tui.settings.values import checked
from medvlm_tui.stages.params.probe import SplitParams
from medvlm_tui.stages.params.saliency import FILLS, SaliencyParams
from medvlm_tui.stages.request import RunRequest

ANY_TEXT = st.text(st.characters())


@given(ANY_TEXT)
def test_clean_leaves_nothing_that_a_terminal_acts_upon(text: str) -> None:
    shown = clean(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0x202A <= ord(c) <= 0x202E for c in shown)
    assert not any(0xD800 <= ord(c) < 0xE000 for c in shown)
    assert clean(shown) == shown


def test_clean_shows_an_escape_sequence() -> None:
    assert clean("a\x1b]52;c;x\x07b") == "a\\x1b]52;c;x\\x07b"
    assert clean("naïve 日本 [/]") == "naïve 日本 [/]"


@given(ANY_TEXT, ANY_TEXT)
def test_slugs_are_file_names_and_do_not_collide(a: str, b: str) -> None:
    for identifier in (a, b):
        name = slug(identifier)
        assert name not in ("", ".", "..")
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        assert len(name) <= 160
    assert (slug(a) == slug(b)) == (a == b)


def test_plain_ids_are_their_own_slug() -> None:
    assert slug("efficientnet_lite0") == "efficientnet_lite0"
    assert slug("open_clip:ViT-B-16/openai").startswith("open_clip-")


def test_every_event_survives_its_line() -> None:
    samples = [
        events.PlanReady("r", Plan("r", (Step("a", "extract", needs=("b",)),)).to_record()),
        events.StepProgress("a", 1, 2, 3.0, None),
        events.StepProgress("a", 1, 2, 3.0, None, waiting=0.25, quarantined=1),
        events.DeviceStatus("cpu", "CPU", "fp32", 32, workers=2),
        events.ResultReady("a", "probe", "k", "m", "d", {"accuracy": 0.5}),
        events.StepFailed("a", "broken \x1b[31m", "hint"),
        events.RunFinished("r", 0, 1, 0, 0, 0, 1.5),
    ]
    for event in samples:
        line = events.to_json(event)
        assert line.isascii()
        assert "\n" not in line
        again = events.from_json(line)
        assert type(again) is type(event)
        assert events.to_json(again) == line


def test_progress_of_an_older_release_says_nothing_of_decoding() -> None:
    line = '{"type": "StepProgress", "at": 1.0, "step": "a", "done": 1, "total": 2, "rate": 3.0, "unit": "x"}'
    event = events.from_json(line)
    assert event == events.StepProgress("a", 1, 2, 3.0, None, "x", at=1.0)
    assert (event.waiting, event.quarantined) == (None, None)


def test_an_event_of_a_newer_release_is_read_as_far_as_known() -> None:
    assert events.from_record({"type": "StepStarted", "step": "a", "colour": "red"}) == events.StepStarted("a")
    with pytest.raises(ValueError, match="unknown event"):
        events.from_record({"type": "Nonsense"})


def test_a_plan_survives_json() -> None:
    plan = Plan("r", (Step("a", "extract", params={"x": 1}), Step("b", "probe", needs=("a",), have=True)), ("careful",))
    assert Plan.from_record(json.loads(json.dumps(plan.to_record()))) == plan


@pytest.mark.parametrize("name", [f.name for f in fields(PreprocessSpec)])
def test_every_preprocessing_parameter_changes_the_digest(name: str) -> None:
    spec = PreprocessSpec(size_px=224, resize_px=256)
    old = getattr(spec, name)
    changed = {
        "size_px": 225, "resize_px": 257, "resize": "squash", "interpolation": "bilinear", "antialias": False,
        "crop_rounding": "floor", "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "pad_colour": (1, 2, 3),
    }[name]  # fmt: skip
    assert changed != old
    assert replace(spec, **{name: changed}).digest != spec.digest


def test_file_digests_follow_the_bytes_not_the_name(tmp_path: Path) -> None:
    file, table = tmp_path / "a", tmp_path / "table.json"
    file.write_bytes(b"1")
    known = digests.FileDigests(table)
    first = known.of(file)
    known.save()
    file.rename(tmp_path / "b")
    assert digests.FileDigests(table).of(tmp_path / "b") == first == digests.of_bytes(b"1")
    (tmp_path / "b").write_bytes(b"22")
    assert known.of(tmp_path / "b") == digests.of_bytes(b"22")
    table.write_bytes(b"not json")
    assert digests.FileDigests(table).of(tmp_path / "b") == digests.of_bytes(b"22")


def test_packing_is_deterministic_and_refuses_other_bytes() -> None:
    arrays = {"b": np.arange(3), "a": np.ones((2, 2), np.float32)}
    data = packing.pack(arrays, {"z": 1, "a": [1, 2]})
    assert data == packing.pack(dict(reversed(arrays.items())), {"a": [1, 2], "z": 1})
    assert packing.record_of(data) == {"z": 1, "a": [1, 2]}
    for broken in (b"", data[:20], b"\xff" * 64):
        with pytest.raises(CorruptEntryError):
            packing.unpack(broken)


def test_a_request_survives_json() -> None:
    request = RunRequest(models=("a",), data={"x": "/y"}, stages=("probe",), options={"umap_min_dist": (0.1, 0.5)})
    assert RunRequest.from_record(json.loads(json.dumps(request.to_record()))) == request


def test_flags_win_over_the_run_file_and_that_over_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        'seed = 1\nfolds = 3\nworkspace = "/w"\n[datasets.brain_mr]\nroot = "/a"\n[datasets.x]\nroot = "/x"'
    )
    monkeypatch.setenv("MEDVLM_CONFIG", str(file))
    monkeypatch.delenv("MEDVLM_WORKSPACE", raising=False)
    loaded = settings.load()
    assert loaded.workspace == Path("/w")
    run_file = checked({"folds": 4, "data": {"brain_mr": "/b"}, "batch_size": "auto"}, "RUN.toml")
    request = settings.request(loaded, run_file, {"folds": 5, "data": {"y": "/y"}})
    assert (request.seed, request.of(SplitParams).folds, request.batch_size) == (1, 5, 0)
    assert request.data == {"brain_mr": "/b", "x": "/x", "y": "/y"}
    monkeypatch.setenv("MEDVLM_WORKSPACE", "/env")
    assert settings.load().workspace == Path("/env")
    assert settings.load("/flag").workspace == Path("/flag")


@pytest.mark.parametrize(
    "table",
    [{"sede": 1}, {"seed": "one"}, {"seed": True}, {"stages": ["extrakt"]}, {"data": ["x"]}, {"folds": 2.5}],
)
def test_a_wrong_key_or_type_is_named(table: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"run.toml.*{next(iter(table))}"):
        checked(table, "run.toml")


@pytest.mark.parametrize(
    "flags", [{"folds": 1}, {"hold_out": 1.0}, {"seed": -1}, {"umap_neighbors": (1,)}, {"rise_masks": 0}]
)
def test_values_out_of_range_are_refused(flags: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        settings.request(settings.Settings(tmp_path, tmp_path), {}, flags)


def test_a_broken_toml_file_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    with pytest.raises(UsageError, match="No such file"):
        settings.read_toml(file)
    file.write_text("models = [")
    with pytest.raises(UsageError, match="not valid TOML"):
        settings.read_toml(file)


# Signs that stand over digits or letters of Arabic, Syriac and Kaithi, and the quadrats of hieroglyphs: category Cf,
# and to be seen all the same.
_VISIBLE_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}


def test_clean_shows_every_character_that_has_no_look_of_its_own() -> None:
    hidden = [
        code
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and code not in _VISIBLE_FORMATS
    ]
    # Default ignorable, and of other categories: fillers, joiners, variation selectors, reserved tags.
    hidden += [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, *range(0xFE00, 0xFE10), 0xFFA0]
    hidden += [0x2065, *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000)]
    for code in hidden:
        shown = clean(f"a{chr(code)}b")
        assert shown.isascii(), hex(code)
        assert shown.endswith("b")
        assert int(shown[3:-1], 16) == code
    assert clean("naïve 日本 한국 नी [/] é") == "naïve 日本 한국 नी [/] é"


def test_an_event_line_with_any_bit_flipped_costs_only_itself() -> None:
    step = Step("probe:m:d", "probe", "m", "d", {"folds": 5}, "k", ("extract:m:d",))
    said = (
        events.PlanReady("r", Plan("r", (step,)).to_record()),
        events.StepProgress("probe:m:d", 3, 5, 1.5, 2.0),
        events.RunFinished("r", 0, 1, 0, 0, 0, 1.5, "out"),
        events.DeviceStatus("cpu", "CPU", "fp32", 8, None, 1.5, 2),
    )
    for event in said:
        line = events.to_json(event).encode()
        assert events.to_json(events.from_line(line.decode())).encode() == line
        for position in range(8 * len(line)):
            data = bytearray(line)
            data[position // 8] ^= 1 << position % 8
            line_of(events.from_line(data.decode("ascii", "backslashreplace")))


@pytest.mark.parametrize("line", ["", "null", "[1]", "{}", '{"type": "Log"}', "[" * 100_000, '{"type": []}'])
def test_a_line_that_is_no_event_is_a_warning(line: str) -> None:
    assert events.from_line(line).level == "warning"


NAMES = st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), max_size=3).map(tuple)


@given(
    images=NAMES.map(lambda names: tuple(f"{name}, x.png" for name in names)),
    explain=NAMES,
    fill=st.sampled_from(FILLS),
    estimator=st.sampled_from(["plain", "reduced"]),
    numbers=st.tuples(*[st.integers(1, 9999)] * 4),
    stop_error=st.floats(0, 1),
)
def test_a_request_is_made_from_saliency_parameters_and_gives_them_back(
    images, explain, fill, estimator, numbers, stop_error
) -> None:
    masks, cells, seed, per_class = numbers
    params = SaliencyParams(
        masks, cells, seed=seed, images_per_class=1 if images else per_class, images=images, estimator=estimator,
        fill=fill, stop_error=stop_error, explain=explain,
    )  # fmt: skip
    assert RunRequest().having(params).of(SaliencyParams) == params
