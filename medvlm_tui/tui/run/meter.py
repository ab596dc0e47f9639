"""Progress of the running step: bar, count, rate, time left, and the rate of the last minute."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.state.board import Board, Task
from medvlm_tui.tui.states import GREY, letter, look

SPARKS = "▁▂▃▄▅▆▇█"


def bar(fraction: float, width: int, style: str) -> Text:
    """Return a bar of `width` cells, filled to `fraction` by eighths of a cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
    return Text.assemble((filled, style), ("░" * (width - len(filled)), GREY))


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last `width` values as blocks, from zero to the largest."""
    shown = list(values)[-width:] if width > 0 else []
    top = max(shown, default=0.0)
    return "".join(SPARKS[min(7, int(8 * value / top))] if top > 0 else SPARKS[0] for value in shown)


def clock(seconds: float) -> str:
    """Return `0:09:42`."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def meter(task: Task, width: int) -> list[Text]:
    """Return the lines on a running or finished step."""
    fraction = task.done / task.total if task.total else (1.0 if task.state == "done" else 0.0)
    counts = f"{task.done:,} / {task.total:,} {task.unit}" if task.total else look(task.state).word
    parts = [counts]
    if task.state == "running":
        parts += [f"{task.rate:,.1f} {task.unit}/s"] if task.rate else []
        parts += [f"ETA {clock(task.eta_s)}"] if task.eta_s is not None else []
    lines = [bar(fraction, width, look(task.state).style), Text("   ".join(parts))]
    if len(task.rates) > 1 and any(task.rates):
        lines.append(Text.assemble(("rate ", GREY), sparkline(task.rates, width - 5)))
    return lines


def device_line(board: Board) -> Text:
    """Return what the work runs on, empty before the engine has said so."""
    device = board.device
    if device is None:
        return Text()
    same = device.name.lower() in ("", device.device.lower())
    parts = [device.device if same else f"{device.device} {device.name}", device.precision]
    parts += [f"batch {device.batch_size}"] if device.batch_size else []
    if device.memory_used_gb is not None and device.memory_total_gb:
        parts.append(f"{device.memory_used_gb:.1f} / {device.memory_total_gb:.0f} GB")
    return Text(clean(" · ".join(part for part in parts if part)), style=GREY)


def decoding_line(board: Board, task: Task) -> Text:
    """Return who decodes, how long the network waits for it and what was left out; empty where nothing is decoded."""
    if task.quarantined is None:
        return Text()
    workers = board.device.workers if board.device else 0
    parts = [f"decode {workers} {'worker' if workers == 1 else 'workers'}"] if workers else []
    if task.state == "running" and task.waiting is not None:
        parts.append(f"waiting {100 * task.waiting:.0f} %")
    line = Text(", ".join(parts) + " · " if parts else "", style=GREY)
    return line.append(f"{task.quarantined:,} quarantined", look("stale").style if task.quarantined else GREY)


def work_lines(board: Board, task: Task | None, width: int) -> list[Text]:
    """Return what the work runs on and how it is fed, in one line where that fits."""
    lines = [device_line(board)] + ([decoding_line(board, task)] if task is not None else [])
    lines = [line for line in lines if line]
    joined = Text(" · ", style=GREY).join(lines)
    return [joined] if lines and joined.cell_len <= width else lines


def queue_line(board: Board, task: Task, width: int) -> Text:
    """Return a step's line in the queue."""
    left = Text.assemble(letter(task.state), f" {clean(task.step.kind):<10} ", board.who(task.step))
    tail = f"{task.percent} %" if task.state == "running" and task.percent is not None else "had" if task.cached else ""
    right = Text(tail, style=look(task.state).style if tail != "had" else GREY)
    room = width - right.cell_len - (1 if right.cell_len else 0)
    left.truncate(max(0, room), overflow="ellipsis", pad=True)
    return Text.assemble(left, " " if right.cell_len else "", right)
