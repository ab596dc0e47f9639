"""The wheel and the source distribution: complete, and working without a checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of the tracked files, built without a network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source]
    subprocess.run(command, check=True, capture_output=True)
    return out


def tracked(folder: str) -> set[str]:
    """Return the files below a folder that git keeps."""
    done = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "HEAD", folder], cwd=ROOT, capture_output=True, text=True
    )
    return set(done.stdout.split("\n")) - {""}


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert tracked("medvlm_tui/") - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_source_distribution_holds_tests_and_documents(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    kept = tracked("medvlm_tui/") | tracked("tests/") | tracked("docs/") | {"CHANGELOG.md", "CITATION.cff", "LICENSE"}
    assert kept - names == set()


def test_the_wheel_works_from_another_folder(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel]
    subprocess.run(install, check=True, capture_output=True)
    environment = os.environ | {"PYTHONPATH": str(site), "MEDVLM_WORKSPACE": str(tmp_path / "workspace")}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert Path(run("-c", "import medvlm_tui; print(medvlm_tui.__file__)").strip()).is_relative_to(site)
    assert "efficientnet_lite0" in run("-m", "medvlm_tui.cli", "models")
    options = ["--models", "efficientnet_lite0", "--datasets", "phantom", "--phantom-per-class", "12", "--offline"]
    run("-m", "medvlm_tui.cli", "--batch", *options, "--stages", "extract,probe,report", "--out", "out")
    assert "accuracy" in (tmp_path / "out" / "results.csv").read_text()
