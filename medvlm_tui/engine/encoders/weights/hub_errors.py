"""Meaning of the hub's answers: one sentence and one hint each. No message holds a token or a raw answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.errors import MissingInputError

_UNAUTHORISED, _FORBIDDEN = 401, 403


@contextmanager
def told_plainly(spec: ModelSpec, name: str) -> Iterator[None]:
    """Turn the errors of huggingface_hub on the repository `name` into MissingInputError."""
    from huggingface_hub import errors

    broken: type[Exception] = errors.HfHubHTTPError.__mro__[1]  # the HTTP client's own error, whichever client it is
    where = f"get the weights from {spec.homepage}, then --weights {spec.id}=PATH"
    try:
        yield
    except errors.GatedRepoError as error:  # a subclass of RepositoryNotFoundError, so it comes first
        page = f"https://huggingface.co/{name}"
        raise MissingInputError(f"{name} is gated", f"accept its terms at {page}, then `hf auth login`") from error
    except errors.DisabledRepoError as error:
        raise MissingInputError(f"{name} is disabled on the hub", where) from error
    except errors.RepositoryNotFoundError as error:
        raise MissingInputError(f"there is no repository {name} on the hub", where) from error
    except errors.RevisionNotFoundError as error:
        raise MissingInputError(f"{name} has no revision {spec.revision}", where) from error
    except errors.LocalEntryNotFoundError as error:
        raise _no_network(name, where) from error
    except errors.EntryNotFoundError as error:
        raise MissingInputError(f"{name} lacks a file that its own list names", "try again later") from error
    except errors.HfHubHTTPError as error:
        raise _refused(name, error.response.status_code if error.response is not None else 0) from error
    except (OSError, broken) as error:
        raise _no_network(name, where) from error


def _refused(name: str, status: int) -> MissingInputError:
    if status == _UNAUTHORISED:
        return MissingInputError(
            f"the hub does not accept the token it was given for {name}", "`hf auth login` with a new token"
        )
    if status == _FORBIDDEN:
        return MissingInputError(
            f"the token has no access to {name}", "ask for access on its page, or `hf auth login` as another user"
        )
    return MissingInputError(f"the hub refused {name} ({status or 'no answer'})", "try again later, or --offline")


def _no_network(name: str, where: str) -> MissingInputError:
    return MissingInputError(
        f"{name} cannot be downloaded: the network is not there, or broke off",
        f"run again (it goes on where it stopped), or on another machine {where}",
    )
