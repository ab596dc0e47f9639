"""A model of the user's own: an entry in a models.toml, and a family that an installed package brings."""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from medvlm_tui import plugin
from medvlm_tui.catalog.models import group_titles, load_models
from medvlm_tui.cli import main
from medvlm_tui.engine.encoders import registry
from medvlm_tui.engine.new_images.encode import encode_files
from medvlm_tui.errors import UsageError

DOCUMENT = Path(__file__).parents[3] / "docs" / "models.md"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Where the user's models.toml lies."""
    monkeypatch.setenv("MEDVLM_CONFIG", str(tmp_path / "settings.toml"))
    return tmp_path / "models.toml"


@pytest.fixture
def picture(tmp_path, images):
    images[0].save(tmp_path / "a.png")
    return tmp_path / "a.png"


def documented():
    """The worked example of the document."""
    text = re.search(r"^    \[models\.chest_vit\]\n(?:    .*\n)+", DOCUMENT.read_text(), re.MULTILINE)[0]
    return textwrap.dedent(text)


def test_the_documents_example_runs_as_it_stands(own, tmp_path, picture, capsys):
    own.write_text(documented().replace("/data/weights/chest.pt", str(tmp_path / "chest.pt")))
    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch14_dinov2", num_classes=0, img_size=224).eval()
    torch.save({"model": network.state_dict()}, tmp_path / "chest.pt")
    workspace = str(tmp_path / "workspace")
    assert main(["models", "chest_vit", "--json", "--workspace", workspace]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == "present"
    out = tmp_path / "F.npz"
    assert main(["encode", "chest_vit", str(picture), "--out", str(out), "--pixels", "--device", "cpu"]) == 0
    with np.load(out) as made, torch.no_grad():
        expected = network(torch.from_numpy(made["pixels_0"])[None]).numpy()
        assert np.abs(made["features"] - expected).max() < 1e-4


def test_groups_and_normalisations_of_the_packaged_file_hold_and_may_be_added_to(own):
    entry = (
        documented()
        .replace('"modality_specific"', '"ours"')
        .replace('normalisation = "imagenet"', 'normalisation = "n"')
    )
    own.write_text('[groups]\nours = "Ours"\n[normalisations]\nn = { mean = [0, 0, 0], std = [1, 1, 1] }\n' + entry)
    assert load_models()["chest_vit"].preprocess.mean == (0, 0, 0)
    assert list(group_titles())[-1] == "ours"
    assert set(load_models()) > {"chest_vit", "biomedclip"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("chest_vit", "biomedclip", "packaged catalog"),
        ("models.chest_vit", 'models."Chest ViT"', "no id"),
        ("family", "famly", "famly"),
        ('family = "timm"', 'family = "chest_net"', "unknown family 'chest_net'"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(own, picture, old, new, message):
    own.write_text(documented().replace(old, new))
    with pytest.raises(UsageError, match=message):
        encode_files("chest_vit", [picture], weights=str(picture), device="cpu")


def indented_after(line):
    """The indented block of the document that begins with `line`, blank lines inside it kept."""
    text = re.search(rf"^    {re.escape(line)}\n(?:    .*\n|\n(?= {{4}}|\n))*", DOCUMENT.read_text(), re.MULTILINE)[0]
    return textwrap.dedent(text)


def test_plugin_exports_what_the_document_lists():
    section = DOCUMENT.read_text().partition("`medvlm_tui.plugin` is the only module")[2]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)", " ".join(cells))) == sorted(plugin.__all__)
    assert all(hasattr(plugin, name) for name in plugin.__all__)


def test_a_package_brings_a_family(own, tmp_path, picture, monkeypatch):
    site = tmp_path / "site"
    (site / "chest_net").mkdir(parents=True)
    (site / "chest_net" / "__init__.py").write_text("")
    (site / "chest_net" / "encoder.py").write_text(indented_after("# chest_net/encoder.py"))
    (site / "chest_net-1.2.dist-info").mkdir()
    (site / "chest_net-1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: chest-net\nVersion: 1.2\n")
    project = tomllib.loads(indented_after('[project.entry-points."medvlm_tui.encoders"]'))
    [(group, families)] = project["project"]["entry-points"].items()
    points = f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in families.items())
    (site / "chest_net-1.2.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    registry._from_packages.cache_clear()
    own.write_text(indented_after("[models.chest_net]"))
    layer = torch.nn.Linear(3, 5)
    save_file(
        {f"layer.{name}": tensor.detach() for name, tensor in layer.state_dict().items()}, tmp_path / "w.safetensors"
    )
    encoded = encode_files(
        "chest_net", [picture], weights=str(tmp_path / "w.safetensors"), with_pixels=True, device="cpu"
    )
    expected = layer(torch.from_numpy(encoded.pixels[0]).mean((1, 2))).detach().numpy()
    assert np.abs(encoded.features[0] - expected).max() < 1e-6
    assert registry.family_entry(load_models()["chest_net"]).code_version == "chest-net-1.2"
    registry._from_packages.cache_clear()
