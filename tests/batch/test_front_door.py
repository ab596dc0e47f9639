"""The commands that only look: help, version, catalog, doctor."""

import json
import sys

import pytest

from medvlm_tui import __version__, cli


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["--version"], __version__),
        (["--help"], "--batch"),
        (["--batch", "--help"], "--rise-masks"),
    ):
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        assert left.value.code == 0
        assert expected in capsys.readouterr().out


def test_models_lists_every_encoder_with_its_state(medvlm) -> None:
    plain = medvlm("models")
    records = json.loads(medvlm("models", "--json").stdout)
    by_id = {record["id"]: record for record in records}
    assert plain.code == 0
    assert all(model in plain.stdout for model in by_id)
    assert by_id["efficientnet_lite0"]["weights"] == "present"
    assert by_id["medsiglip"]["weights"] == "gated"
    assert by_id["clip_b16"]["hint"]


def test_one_model_and_one_dataset_in_full(medvlm) -> None:
    model = medvlm("models", "efficientnet_lite0")
    assert "1280" in model.stdout
    assert json.loads(medvlm("datasets", "brain_mr", "--json").stdout)["published_n"] == 2870
    assert medvlm("models", "no_such_model").code == 2
    assert medvlm("datasets", "no_such_dataset").code == 2


def test_doctor_names_a_fix_for_everything_that_is_missing(medvlm) -> None:
    done = medvlm("doctor", "--json")
    findings = json.loads(done.stdout)
    assert done.code == (1 if any(finding["state"] == "failed" for finding in findings) else 0)
    assert {"torch", "device", "workspace", "model efficientnet_lite0"} <= {finding["what"] for finding in findings}
    assert all(finding["fix"] for finding in findings if finding["state"] != "ok")
    assert medvlm("doctor").code == done.code


def test_doctor_never_shows_the_token(medvlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    done = medvlm("doctor")
    assert "hub token" in done.stdout
    assert "verysecret" not in done.stdout + done.stderr


def test_the_screens_want_a_terminal(medvlm) -> None:
    done = medvlm()
    assert done.code == 2
    assert "--batch" in done.stderr


def test_a_broken_settings_file_is_named(medvlm, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no-settings.toml").write_text("models = [")
    done = medvlm("models")
    assert done.code == 2
    assert "no-settings.toml" in done.stderr


def test_a_closed_pipe_is_no_error(tmp_path) -> None:
    import subprocess

    command = f"{sys.executable} -m medvlm_tui models --json | head -c 10"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
