"""Which results were made from a table: a cache that may be lost."""

from pathlib import Path

from medvlm_tui.core.workspace.latest_results import KEPT, LatestResults


def test_every_result_is_known_the_newest_last(tmp_path: Path) -> None:
    latest = LatestResults(tmp_path / "latest.json", {})
    assert latest.of("project", "t") is None
    for key in ("a", "b", "a"):
        latest.note("project", "t", key)
    latest.note("saliency", "t", "s")
    again = LatestResults(tmp_path / "latest.json", {})
    assert again.every("project", "t") == ("b", "a")
    assert again.of("project", "t") == "a"
    assert again.every("project", "other") == ()


def test_a_result_of_an_older_version_is_not_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    LatestResults(path, {"bias": 1}).note("bias", "t", "first")
    LatestResults(path, {"bias": 2}).note("bias", "t", "second")
    LatestResults(path, {"bias": 1}).note("map", "t", "m")
    assert LatestResults(path, {"bias": 1}).every("bias", "t") == ("first",)
    assert LatestResults(path, {"bias": 2}).every("bias", "t") == ("second",)
    assert LatestResults(path, {"bias": 3}).of("bias", "t") is None
    assert LatestResults(path, {}).of("map", "t") == "m"


def test_a_file_of_another_shape_is_no_error_and_the_list_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "latest.json").write_text('{"project:t": "old", "n": 3}')
    latest = LatestResults(tmp_path / "latest.json", {})
    assert latest.of("project", "t") is None
    for index in range(KEPT + 5):
        latest.note("project", "t", str(index))
    assert latest.every("project", "t")[0] == "5"
