"""The rules of `ipcbench.testing` as this project's own tests: in this process, for speed.

gRPC's are tried in processes of their own. A death that breaks into a call leaves gRPC at work in
this process, and no fork of such a one can use it.
"""

from functools import partial
from pathlib import Path

import pytest

from ipcbench.testing.isolation import isolated
from ipcbench.testing.subject import PATIENCE_S, NotTried, NotWitnessed, Rule, Subject, Trial
from ipcbench.transports.base import Transport


def keep(rule: Rule, transport: Transport, directory: Path) -> None:
    """Tries one rule in each of its settings, which have a directory of their own.

    A mechanism of our own whose claim can't be confirmed breaks it. Skips, with the reasons, a rule
    that can't be tried in any setting.
    """
    tried = _tried_alone if transport.name.startswith("rpc-grpc") else _tried
    reasons: dict[str, None] = {}
    kept = 0
    for number, trial in enumerate(rule.trials):
        own = directory / str(number)
        own.mkdir()
        try:
            tried(trial, Subject(transport, own))
        except NotWitnessed as reason:
            pytest.fail(f"{_promise(rule, trial)}: {reason}")
        except NotTried as reason:
            reasons[str(reason)] = None
        except BaseException as broken:
            broken.add_note(_promise(rule, trial))
            raise
        else:
            kept += 1
    if not kept:
        pytest.skip("; ".join(reasons))


def _promise(rule: Rule, trial: Trial) -> str:
    return f"{rule.promise} ({trial.setting})" if trial.setting else rule.promise


def _tried(trial: Trial, subject: Subject) -> None:
    trial.check(subject)


def _tried_alone(trial: Trial, subject: Subject) -> None:
    """Tries one rule in a process of its own. Raises NotTried, as the rule does there."""
    temporary = subject.directory.with_name(f"{subject.directory.name}-t")
    temporary.mkdir()
    outcome = isolated(partial(trial.check, subject), temporary, PATIENCE_S + 2)
    if outcome.kind == "skipped":
        raise NotTried(outcome.sentence)
    assert outcome.kind == "passed", outcome.sentence
    assert not list(temporary.iterdir())
