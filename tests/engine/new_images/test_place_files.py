"""New images find the map that a run left for their model and dataset."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.latest_results import LatestResults
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.new_images import place as place_files
from medvlm_tui.engine.new_images.encode import Encoded
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.errors import MissingInputError
from medvlm_tui.stages import VERSIONS
from medvlm_tui.stages.records.projection import GridRecord, MapRecord
from medvlm_tui.stages.request import RunRequest
from tests.made.jobs import table_of


@pytest.fixture
def request_(tmp_path):
    for number in range(6):
        folder = tmp_path / "images" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), number, np.uint8)).save(folder / f"{number}.png")
    return RunRequest(
        models=("efficientnet_lite0",), datasets=("mine",), data={"mine": str(tmp_path / "images")}, offline=True
    )


def test_the_proposed_map_of_the_newest_grid_is_used(tmp_path, request_, monkeypatch):
    workspace = Workspace(tmp_path / "ws")
    workspace.make()
    matrix = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    xy = np.arange(12, dtype=np.float32).reshape(6, 2)
    with Store(workspace.store) as store:
        plan = lay_out(replace(request_, stages=("extract",)), workspace, store, "").plan
        key = plan.steps[0].key
        store.seal(key, table_of(matrix, [0, 1] * 3))
        with pytest.raises(MissingInputError, match="no map of mine"):
            place_files.place_files(request_, [tmp_path / "new.png"], workspace)
        record = replace(MapRecord.example(), n_neighbors=3, n_neighbors_used=3)
        store.put_result("map", {"xy": xy[1:], "rows": np.arange(1, 6)}, record)
        store.put_result("grid", {}, replace(GridRecord.example(), proposed="map"))
    LatestResults(workspace.root / "latest.json", VERSIONS).note("grid", key, "grid")
    encoded = Encoded(np.stack([matrix[4] * 3, matrix[2]]), ("new.png", "other.png"))
    monkeypatch.setattr(place_files, "encode_files", lambda *a, **k: encoded)
    placed = place_files.place_files(request_, [tmp_path / "new.png"], workspace)
    assert placed.shown.key == "map"
    assert [row[3:5] for row in placed.rows] == [("i4", "a"), ("i2", "a")]
    np.testing.assert_allclose([row[1:3] for row in placed.rows], xy[[4, 2]], atol=1e-3)
