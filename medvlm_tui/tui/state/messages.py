"""Messages to the screens: the board has changed, and which part of it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from medvlm_tui.core import events
from medvlm_tui.core.plan import Plan
from medvlm_tui.errors import MedvlmError


class SurveyArrived(Message, bubble=False):
    """Models, datasets and cells are known anew."""


@dataclass
class DataFound(Message, bubble=False):
    """The datasets at a path and below it are known."""

    event: events.DataFound


@dataclass
class PlanArrived(Message, bubble=False):
    """A plan is there: of the run that begins, or of a dry run."""

    plan: Plan
    dry: bool


@dataclass
class StepChanged(Message, bubble=False):
    """A step started, finished, failed or was skipped."""

    step: str

    def can_replace(self, message: Message) -> bool:
        """Screens draw themselves from the board: hundreds of steps that are there already are drawn once."""
        return isinstance(message, StepChanged)


class RunChanged(Message, bubble=False):
    """A run was asked for or is being cancelled, or the board was filled with what happened before."""


@dataclass
class StepMoved(Message, bubble=False):
    """A step came further; a newer message of the same step replaces an older one that still waits."""

    step: str

    def can_replace(self, message: Message) -> bool:
        """Only the newest position is worth drawing."""
        return isinstance(message, StepMoved) and message.step == self.step


class PreviewChanged(Message, bubble=False):
    """A step has more to show than before."""

    def can_replace(self, message: Message) -> bool:
        """Only the newest is worth drawing."""
        return isinstance(message, PreviewChanged)


class Logged(Message, bubble=False):
    """The log grew; one message stands for many lines."""

    def can_replace(self, message: Message) -> bool:
        """All lines are on the board already."""
        return isinstance(message, Logged)


class DeviceChanged(Message, bubble=False):
    """The device's state is known anew."""


class RunEnded(Message, bubble=False):
    """The run is over."""


@dataclass
class EngineGone(Message, bubble=False):
    """The engine's process ended by itself."""

    error: MedvlmError


def of_event(event: events.Event) -> Message | None:
    """Return the message that tells screens about an event, None where nothing on a screen changes."""
    match event:
        case events.Survey():
            return SurveyArrived()
        case events.DataFound():
            return DataFound(event)
        case events.PlanReady():
            return PlanArrived(Plan.from_record(event.plan), dry=not event.run_id)
        case events.StepProgress():
            return StepMoved(event.step)
        case events.StepStarted() | events.ResultReady() | events.StepFailed() | events.StepSkipped():
            return StepChanged(event.step)
        case events.PreviewReady():
            return PreviewChanged()
        case events.RunFinished() | events.RunRefused():
            return RunEnded()
        case events.RunAsked() | events.CancelAsked() | events.CaughtUp():
            return RunChanged()
        case events.Log():
            return Logged()
        case events.DeviceStatus():
            return DeviceChanged()
    return None
