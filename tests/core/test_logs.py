"""Logs hold no secrets and end; what libraries print lands in them."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medvlm_tui.core.secrets import INSTEAD, redact
from medvlm_tui.core.workspace.logs import rotate

TOKEN = "hf_ThisIsNotARealToken1234567890"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Illegal header value b'Bearer {TOKEN}'", f"Illegal header value b'Bearer {INSTEAD}'"),
        ("proxy http://me:pass@host:3128/x", f"proxy http://{INSTEAD}@host:3128/x"),
        ("ghp_0123456789abcdefghij failed", f"{INSTEAD} failed"),
        ("github_pat_0123456789abcdefghij", INSTEAD),
        ("Authorization: Bearer abc.def-0=, Accept: */*", f"Authorization: Bearer {INSTEAD}, Accept: */*"),
        (json.dumps({"a": "Bearer abc", "b": 1}), json.dumps({"a": f"Bearer {INSTEAD}", "b": 1})),
        ("https://huggingface.co/a/b and hf_short", "https://huggingface.co/a/b and hf_short"),
    ],
)
def test_tokens_and_passwords_are_replaced(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_a_token_of_any_shape_is_known_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "api-0123456789")
    assert redact("it was api-0123456789.") == f"it was {INSTEAD}."
    monkeypatch.setenv("HF_TOKEN", "a")
    assert redact("a banana") == "a banana"


SPEAKS = """
import logging, os, subprocess, sys
from pathlib import Path
from medvlm_tui.core.workspace.logs import point_output_at
point_output_at(Path(sys.argv[1]))
print("printed", os.environ["HF_TOKEN"])
logging.getLogger("x").warning("logged %s", os.environ["HF_TOKEN"])
os.write(1, b"from C\\n")
subprocess.run(["echo", "from a child"])
raise RuntimeError("crashed with " + os.environ["HF_TOKEN"])
"""


def test_everything_a_process_says_ends_in_its_log_without_the_token(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    environment = {**os.environ, "HF_TOKEN": TOKEN}
    done = subprocess.run([sys.executable, "-c", SPEAKS, log], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    said = log.read_text()
    assert TOKEN not in said
    for words in (f"printed {INSTEAD}", f"logged {INSTEAD}", "from C", "from a child", f"crashed with {INSTEAD}"):
        assert words in said


def test_a_long_log_is_cut_and_its_writers_go_on(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with open(log, "ab", buffering=0) as writer:
        for number in range(5):
            writer.write(b"%d" % number * 100)
            rotate(log, most_bytes=99, kept=3)
        writer.write(b"end")
    assert log.read_bytes() == b"end"
    assert [log.with_name(f"x.log.{n}").read_bytes()[:1] for n in (1, 2, 3)] == [b"4", b"3", b"2"]
    assert not log.with_name("x.log.4").exists()
    rotate(tmp_path / "none.log")


def test_logging_goes_on_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    handler = logging.FileHandler(log)
    logger = logging.Logger("x")
    logger.addHandler(handler)
    logger.warning("a" * 200)
    rotate(log, most_bytes=99)
    logger.warning("b")
    handler.close()
    assert log.read_text() == "b\n"
