"""Command line, exit codes and the end of the process."""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from nnunet_api.contract import CONTRACT_ENV, RESULTS_PATH, RunContract, TerminationReport
from nnunet_api.exit_codes import ExitCode
from nnunet_api.folders import PREPROCESSED, RAW, RESULTS
from nnunet_trainer.commands.prepare import Folders, prepare
from nnunet_trainer.commands.prepare_weights import Weights
from nnunet_trainer.process import later, pools
from nnunet_trainer.process.failures import (
    Failure,
    TrainerError,
    classify,
    one_line,
    wrong_configuration,
)
from nnunet_trainer.process.fonts import bring_fonts
from nnunet_trainer.process.imports import uncollected
from nnunet_trainer.process.of_predictions import in_words_of_predictions
from nnunet_trainer.process.preemption import SIGNALS, Preemption
from nnunet_trainer.process.processes import kill_descendants
from nnunet_trainer.process.watchdog import INTERVAL_SECONDS, Watchdog
from nnunet_trainer.run import audit, report
from nnunet_trainer.run.paths import RunPaths, claims_root, run_paths

log = logging.getLogger(__name__)

_EPILOG = f"""\
The run is described by the environment variable {CONTRACT_ENV} (JSON), which the operator sets;
history needs none.

exit codes:
  0   done
  64  wrong configuration     65  wrong data           69  checkpoint unusable
  70  epochs not reached      74  storage full         75  preempted, resumes
  76  GPU out of memory       77  weights are no numbers; another attempt may do better
  1   anything else; another attempt may succeed
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="nnunet-trainer",
        description="Plan, train and evaluate an nnU-Net v2 model as one NnunetTraining asks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(
        dest="command",
        required=True,
        metavar="prepare | plan | train | verify | evaluate | predict | compare | history",
    )
    prepare = commands.add_parser("prepare", help="make the training's folders on its claims (the operator's image)")
    for part in (RAW, PREPROCESSED, RESULTS):
        prepare.add_argument(f"--{part}", required=True, help=f"folder of the {part} data, from the root of its claim")
    prepare.add_argument("--weights", default="", help="checkpoint to begin with, from the root of its claim")
    prepare.add_argument("--weights-hash", default="", help="its SHA-256, or the beginning of it")
    prepare.add_argument("--weights-cases", default="", help="list of the cases that it has seen, on the same claim")
    commands.add_parser("plan", help="check the dataset, plan, preprocess (no GPU); shared where trainings agree")
    train = commands.add_parser("train", help="train one fold, or go on with it, and validate it on full volumes")
    train.add_argument("--fold", required=True, help='fold: 0 to 49, or "all"')
    train.add_argument("--configuration", help="which of several configurations")
    train.add_argument("--replicate", type=int, default=1, help="which of several replicates, 1 = first")
    commands.add_parser(
        "verify", help="prove from the final checkpoints what was trained (no GPU, the operator's image)"
    )
    commands.add_parser("evaluate", help="cross-validation Dice, and the ensemble's Dice on the test set")
    commands.add_parser("predict", help="predict new images with a model that was verified; the run is only read")
    commands.add_parser(
        "compare", help="compare arms of trainings by the scores that their evaluations reported (the operator's image)"
    )
    history = commands.add_parser("history", help="print as JSON what each fold's newest checkpoint has logged")
    history.add_argument("folder", type=Path, help="folder of a run")
    return top


def read_contract() -> RunContract:
    """Return the contract of this run. Raises TrainerError with WRONG_CONFIGURATION."""
    text = os.environ.get(CONTRACT_ENV)
    if not text:
        raise wrong_configuration(f"{CONTRACT_ENV} is not set; the operator sets it")
    try:
        return RunContract.model_validate_json(text)
    except ValidationError as error:
        raise wrong_configuration(
            f"{CONTRACT_ENV} does not fit this image; is it older or newer than the operator? "
            f"{one_line(str(error))[:1000]}"
        ) from error


def at_hand(contract: RunContract, configuration: str | None) -> RunContract:
    """Return the contract with a configuration at hand. Raises TrainerError with WRONG_CONFIGURATION."""
    if configuration is None and not contract.has_several:
        return contract
    names = contract.configuration_names
    if configuration not in names:
        raise wrong_configuration(f"--configuration is {configuration}, must be one of {', '.join(names)}")
    return contract.of_configuration(configuration)


def run(arguments: Sequence[str], preemption: Preemption) -> NoReturn:
    """Run a command to the end of the process."""
    # A test may run commands on its way; --help and wrong usage end here.
    options = parser().parse_args(arguments)
    if options.command == "history":
        # Of no run in particular: without a contract, and it leaves no report.
        from nnunet_trainer.commands.history import print_history

        print_history(options.folder)
        sys.exit(0)
    _set_up()
    stopped = f"stopped on request during {options.command}; the next attempt starts it again and reuses what is done"
    standing = Standing(preemption, lambda: TerminationReport(message=stopped))
    watchdog = watch_workers(standing, preemption)
    volumes: list[Path] = []
    read_only: list[Path] = []
    try:
        if options.command == "compare":
            from nnunet_trainer.commands.compare import compare_runs, read_comparison_contract

            read_only.append(Path(RESULTS_PATH))
            result = compare_runs(read_comparison_contract())
            log.info("%s", result.message)
            _end(int(ExitCode.DONE), result)
        contract = read_contract()
        if options.command == "prepare":
            volumes += [claims_root() / PREPROCESSED, claims_root() / RESULTS]
            read_only.append(claims_root() / RAW)
            folders = Folders(options.raw, options.preprocessed, options.results)
            begins = Weights(options.weights, options.weights_hash, options.weights_cases) if options.weights else None
            result = prepare(contract, claims_root(), folders, begins)
        elif options.command == "predict":
            result = _predict(contract, volumes, read_only, standing)
        else:
            paths = run_paths(contract)
            volumes += [paths.run, Path("/tmp")]
            read_only.append(paths.raw)
            (volumes if options.command == "plan" else read_only).insert(0, paths.preprocessed)
            paths.run.mkdir(parents=True, exist_ok=True)
            audit.record(contract, paths.run, options.command)
            result = _command(options, contract, paths, preemption, standing)
    except TrainerError as error:
        log.error("%s", standing.worded(error.message))
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        _end(int(error.code), standing.report(error.message))
    except Exception as error:
        traceback.print_exc()
        failure = watchdog.behind(classify(error, volumes, read_only))
        log.error("%s", standing.worded(failure.message))
        _end(failure.code, standing.report(failure.message))
    log.info("%s", result.message)
    _end(int(ExitCode.DONE), result)


def _command(
    options: argparse.Namespace, contract: RunContract, paths: RunPaths, preemption: Preemption, standing: "Standing"
) -> TerminationReport:
    # Each command loads what it needs, train its metrics before torch.
    if options.command == "plan":
        from nnunet_trainer.commands.plan import plan

        return plan(contract, paths)
    if options.command == "train":
        with uncollected():
            from nnunet_trainer.commands.train import train

        contract = at_hand(contract, options.configuration)
        return train(contract, paths, options.fold, options.replicate, standing.report_with, preemption)
    if options.command == "verify":
        from nnunet_trainer.commands.verify import verify

        return verify(contract, paths, standing.report_with)
    with uncollected():
        from nnunet_trainer.commands.evaluate import evaluate
        from nnunet_trainer.report.cases import forget_drawing
        from nnunet_trainer.scoring.predicting import forget_attempt

    def tidy() -> None:
        forget_attempt()
        forget_drawing(paths)

    standing.tidy_with(tidy)
    return evaluate(contract, paths)


def _predict(
    contract: RunContract, volumes: list[Path], read_only: list[Path], standing: "Standing"
) -> TerminationReport:
    """Predict new images; say which folders may be written to, and which are only read."""
    from nnunet_trainer.commands import predict
    from nnunet_trainer.scoring.predicting import forget_attempt

    paths = run_paths(contract)
    volumes += [predict.segmentations_folder(), Path("/tmp")]
    read_only += [paths.run, predict.images_folder()]
    standing.tidy_with(forget_attempt)
    standing.word_with(in_words_of_predictions)
    return predict.predict_images(contract, paths, predict.read_prediction())


class Standing:
    """How far the command got: what a stop request or a failure adds to the report."""

    def __init__(self, preemption: Preemption, make_report: Callable[[], TerminationReport]) -> None:
        self._make_report = make_report
        self._tidy: Callable[[], None] = lambda: None
        self.worded: Callable[[str], str] = one_line
        """Returns the message of a failure as it is said."""
        preemption.on_leave(self._stop)

    def _stop(self) -> NoReturn:
        with contextlib.suppress(OSError):  # the report is worth more
            self._tidy()
        _end(int(ExitCode.PREEMPTED), self._make_report())

    def tidy_with(self, tidy: Callable[[], None]) -> None:
        """Set what a stop request does before the process ends: briefly, it runs in the signal handler."""
        self._tidy = tidy

    def word_with(self, words: Callable[[str], str]) -> None:
        """Set in whose words failures are said; they get a message in one line."""
        self.worded = lambda message: words(one_line(message))

    def report_with(self, make_report: Callable[[], TerminationReport]) -> None:
        """Set what makes the report of a stop request."""
        self._make_report = make_report

    def report(self, message: str) -> TerminationReport:
        """Return the report of a failure: the message, and the state of the fold where there is one."""
        return self._make_report().model_copy(update={"message": self.worded(message)})


def watch_workers(standing: Standing, preemption: Preemption, interval_seconds: float = INTERVAL_SECONDS) -> Watchdog:
    """From now on end as for any other failure when a worker process was killed."""

    def end(failure: Failure) -> None:
        _end(failure.code, standing.report(failure.message))

    watchdog = Watchdog(end, lambda: preemption.busy, interval_seconds)
    watchdog.start()
    return watchdog


_ending = threading.RLock()
"""Held by the thread that ends the process: the main thread (its signal handler included) or the watchdog."""


def _end(code: int, result: TerminationReport) -> NoReturn:
    """Write the termination message and end the process with everything that it started.

    Runs in the signal handler too. os._exit, because interpreters that leave orderly wait for worker processes
    and their queues.
    """
    while not _ending.acquire(blocking=False):
        # The other thread was first; the process ends any moment.
        time.sleep(1)
    try:
        if threading.current_thread() is threading.main_thread():
            # Elsewhere Python doesn't allow it; a handler that runs now waits above.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
        report.write(result)
        kill_descendants()
        os.write(2, f"nnunet-trainer: exit code {code}: {result.message}\n".encode())
    finally:
        os._exit(code)


def _set_up() -> None:
    """Set up the log, and what spares this process and its workers work at their start."""
    _line_buffering()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s nnunet-trainer %(levelname)s %(message)s"
    )
    logging.captureWarnings(True)
    later.put_off()
    pools.share_imports()
    bring_fonts()


def _line_buffering() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)
