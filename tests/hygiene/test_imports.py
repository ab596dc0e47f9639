"""Who imports whom, seen in fresh interpreters: a static graph cannot see a deferred import."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "timm", "open_clip", "umap", "sklearn", "textual", "matplotlib", "torchvision"}


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after running `code`."""
    script = f"{code}\nimport sys, json\nprint('\\n' + json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def command(*arguments: str) -> str:
    """Return code that runs the command line and swallows its exit."""
    return f"from medvlm_tui.cli import main\ntry:\n    main({list(arguments)!r})\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize(
    "code",
    [
        "import medvlm_tui",
        command("--help"),
        command("--version"),
        command("--batch", "--help"),
        "import medvlm_tui.core.store.store, medvlm_tui.catalog.models, medvlm_tui.catalog.datasets",
        "import medvlm_tui.settings.sources",
    ],
)
def test_light_entries_load_nothing_heavy(code: str) -> None:
    assert not loaded_by(code) & (HEAVY | {"PIL", "rich"})


@pytest.mark.parametrize("what", ["models", "datasets"])
def test_the_catalog_commands_load_neither_torch_nor_textual(what: str, tmp_path) -> None:
    assert not loaded_by(command(what, "--workspace", str(tmp_path))) & HEAVY


def test_the_plan_keeping_process_loads_no_science_library() -> None:
    code = "import medvlm_tui.engine.run.planner, medvlm_tui.engine.run.survey, medvlm_tui.service.server"
    assert not loaded_by(code) & HEAVY


def test_the_screens_load_no_engine_and_no_torch() -> None:
    loaded = loaded_by("import medvlm_tui.tui.app")
    assert not loaded & (HEAVY - {"textual"})
    assert "textual" in loaded


def test_render_and_report_load_no_torch_and_no_textual() -> None:
    code = (
        "import medvlm_tui.report.write, medvlm_tui.render.scatter, medvlm_tui.render.heat, medvlm_tui.render.thumbnail"
    )
    assert not loaded_by(code) & {"torch", "textual", "transformers", "sklearn"}
