"""A study without a study file: ``ranksearch.search`` on any network and data sets, and the handle it returns."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import msgspec
import optuna
import pandas as pd
import plotly.graph_objects as go
from rich.console import Console
from torch import Tensor, nn

from ..artifacts.exports import Bench, export_named
from ..artifacts.forms import Forms
from ..artifacts.take_away import export, selected
from ..errors import DataError, NetworkError
from ..export import load_compressed
from ..front import confirmed_table, finalist_table, front, trial_table
from ..networks import Normalization, given_splits
from ..networks.copying import uncompiled
from ..progressive import Task
from ..records import RankFile, StudyHistory
from ..report import front_figure, write_report
from ..runner.confirm import confirm
from ..runner.finalist import network_name
from ..runner.finetune import finetune
from ..runner.founding import join_study
from ..runner.running import conclude, prepare, run_session
from ..runner.session import Session
from ..runner.worker import Budget
from ..study import changed_section, parse_study, reaching
from ..study.ranges import default
from ..subject.device import torch_device
from ..subject.subject import Subject, make_subject
from ..terminal.console import plain_console
from ..terminal.progress import summary
from .network_verbs import step_lines
from .results import report_history


class Study:
    """A study that has run, in this process: its front, its figure, what is taken away from it."""

    def __init__(self, session: Session, console: Console) -> None:
        self.session, self.console = session, console

    @property
    def history(self) -> StudyHistory:
        """Everything in the storage, read now."""
        return self.session.ledger.history(screen=True)

    def table(self) -> pd.DataFrame:
        """All finished trials, one row each; see :func:`ranksearch.front.trial_table`."""
        return trial_table(self.history)

    def front(self) -> pd.DataFrame:
        """The Pareto front, from the largest network to the smallest."""
        return front(self.table())

    def __repr__(self) -> str:
        return f"{self.session.study.name}: {summary(self.history)}"

    def figure(self) -> go.Figure:
        """The Pareto front as a Plotly figure."""
        return front_figure([self.history])

    def report(self, path: str | Path) -> Path:
        """Writes the self-contained HTML page, to ``path/index.html`` where that is a folder."""
        return write_report([report_history(self.session.study, self.session.ledger)], Path(path))

    def export(
        self, path: str | Path, select: str = "knee", to: str | None = None, form: str | None = None
    ) -> list[Path]:
        """Writes rank files (``.json``, ``.yaml``) or the measured networks.

        Args:
            select: ``knee``, ``best-accuracy``, ``smallest``, ``max-drop=1.0``, ``min-ratio=4``, ``trial=17``, ``all``.
            to: ``ranks``, ``safetensors``, ``onnx``, ``program``, ``int8`` or ``card``; as ``path`` ends unless given.
            form: of the layers, one or several with commas between, or ``"fastest"``, by measurement of one image in
                PyTorch; as they were measured unless given.
        """
        subject = self.session.subject
        forms = Forms.parse(form, "torch", 1) if form else None
        bench = Bench(subject.network, subject.splits, subject.task)
        written = export(
            self.history, select, Path(path), self.session.store, lambda: bench, to or export_named(Path(path)), forms
        )
        return [file for file, _ in written]

    def network(self, select: str = "knee") -> nn.Module:
        """The measured compressed network of one point, in evaluation mode."""
        (number, ranks), *_ = selected(self.history, select)
        return load_compressed(self.session.subject.network, self.session.store.find(number, ranks))

    def confirm(self, seeds: int = 2) -> pd.DataFrame:
        """Trains every point of the front again with further seeds; see :func:`ranksearch.front.confirmed_table`."""
        confirm(self.session, seeds, self.console)
        return confirmed_table(self.history)

    def finetune(self, select: str = "knee", *, epochs: int, seeds: int = 1, **changes: Any) -> pd.DataFrame:
        """Trains selected points to full length beside a dense control; test accuracies by configuration.

        The networks are written to ``NAME.finetune/RUN.safetensors`` in the study's folder, for
        :func:`ranksearch.load`; which is which is printed.

        Args:
            epochs: over train + search.
            seeds: runs of each.
            changes: settings of training and decay that replace the trial's own, such as ``lr=0.01``, ``end=0.3``;
                ``augment`` is ``"all"`` unless given.
        """
        files: Mapping[str, RankFile] = {f"trial {number}": ranks for number, ranks in selected(self.history, select)}
        study = self.session.study
        section = changed_section(study.finetune, changes | {"epochs": epochs, "seeds": seeds}, "")
        folder = study.folder / f"{study.name}.finetune"
        made = finetune(
            self.session, files, epochs=epochs, seeds=seeds, changes=section.changes, folder=folder,
            on_step=step_lines(self.console),
        )  # fmt: skip
        for record in made.records:
            if (path := folder / network_name(record)).exists():
                text = f"{record.origin}, seed {record.seed}: {record.measured.accuracy:.2%} on test, {path}"
                self.console.print(text, soft_wrap=True)
        made.require()
        return finalist_table(self.history)


def search(
    model: nn.Module,
    train: Any,
    search: Any,
    *,
    test: Any = None,
    ratio: tuple[float, float] = (1.5, 8.0),
    accuracy_floor: float = 0.0,
    trials: int = 50,
    minutes: float | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    metric: Callable[[Tensor, Tensor], float] | None = None,
    direction: Literal["maximize", "minimize"] = "maximize",
    metric_range: tuple[float, float] = (0.0, 1.0),
    normalize: Mapping[str, Sequence[float]] | None = None,
    augment: Sequence[str] = (),
    ranks: Mapping[str, Any] | None = None,
    schedule: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    elastic: Mapping[str, Any] | None = None,
    screen: Mapping[str, Any] | None = None,
    baselines: Sequence[str] = (),
    sampler: str = "tpe",
    stop: str = "none",
    seed: int = 0,
    device: str | None = None,
    folder: str | Path | None = None,
    name: str = "notebook",
    quiet: bool = False,
) -> Study:
    """Searches the ranks of ``model``; the same call with the same ``folder`` goes on where it stopped.

    Args:
        model: trained, dense; left as it is.
        train: for fine-tuning: a Dataset, or a pair of tensors or arrays (inputs, targets).
        search: for every decision; neither in ``train`` nor in ``test``.
        test: for :meth:`Study.finetune`.
        ratio, accuracy_floor: the box in which the front is sought.
        loss: (outputs, targets) of a batch → scalar; cross-entropy unless given. With it, outputs are distilled and
            compared by their mean squared error.
        metric: (outputs, targets) of a whole split → number; top-1 accuracy unless given. Scaled from
            ``metric_range`` (worst to best by ``direction``) to [0, 1], it takes accuracy's place everywhere; the
            dense network's must lie within.
        normalize, augment: as in a study file's ``[data]``, for uint8 images.
        ranks, schedule, training, elastic, screen: entries of those sections of a study file, values or ranges, such as
            ``training={"images": 6400, "lr": {"low": 0.005, "high": 0.1, "log": True}}``.
        stop: rule by which hopeless trials are ended early: ``none``, ``neighbours``, ``domination``.
        folder: where storage and networks are kept; a temporary folder unless given.
        quiet: print nothing.

    Raises:
        RanksearchError: before the first trial, for anything that does not fit together.

    >>> import torch, ranksearch
    >>> from torch import nn
    >>> images, labels = torch.rand(256, 1, 8, 8), torch.arange(256) % 4
    >>> images += labels[:, None, None, None]                      # four classes by brightness
    >>> model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(),
    ...                       nn.Linear(256, 4))
    >>> optimizer = torch.optim.Adam(model.parameters(), 0.01)
    >>> for _ in range(60):
    ...     optimizer.zero_grad(); nn.functional.cross_entropy(model(images), labels).backward(); _ = optimizer.step()
    >>> study = ranksearch.search(model, (images[:192], labels[:192]), (images[192:], labels[192:]), ratio=(1.5, 6),
    ...                           trials=3, training={"images": 384, "batch": 32}, quiet=True)
    >>> front = study.front()
    >>> bool((front["compression_ratio"] > 1).all())
    True
    >>> study.network("smallest")(images).shape
    torch.Size([256, 4])

    With a loss and a metric of one's own, here for regression; ``accuracy`` is then the scaled metric:

    >>> brightness, regressor = images.mean((1, 2, 3))[:, None], nn.Sequential(nn.Flatten(), nn.Linear(64, 32),
    ...                                                                         nn.ReLU(), nn.Linear(32, 1))
    >>> study = ranksearch.search(regressor, (images[:192], brightness[:192]), (images[192:], brightness[192:]),
    ...                           loss=nn.functional.mse_loss, metric=lambda y, t: float((y - t).abs().mean()),
    ...                           direction="minimize", metric_range=(4.0, 0.0), trials=2, ratio=(1.5, 4),
    ...                           training={"images": 384, "batch": 32}, quiet=True)
    >>> bool(study.front()["accuracy"].between(0, 1).all())
    True
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if not isinstance(model, nn.Module):
        what = f"the class itself: {model.__name__}(…)" if isinstance(model, type) else f"a {type(model).__name__}"
        raise NetworkError(f"model must be a trained torch.nn.Module, got {what}")
    task = Task.of(loss, metric, direction, metric_range)
    splits = given_splits(
        train, search, test, normalize=normalize, augment=augment, labels=loss is None or metric is None
    )
    table = {
        "name": name,
        "network": {"model": type(uncompiled(model)).__name__, "weights": "none"},
        "data": {
            "source": "given",
            "search": len(splits.search),
            "normalize": normalize and asdict(Normalization.of(normalize)),
            "augment": list(augment),
        },
        "ranks": {"ratio": ratio, "accuracy_floor": accuracy_floor, **(ranks or {})},
        "schedule": dict(schedule or {}),
        "training": dict(training or {}),
        "elastic": dict(elastic or {}),
        "screen": dict(screen or {}),
        "search": {
            "trials": trials,
            "minutes": minutes,
            "sampler": sampler,
            "stop": stop,
            "seed": seed,
            "baselines": list(baselines),
        },
    }
    study = parse_study(table, Path(folder or "", f"{name}.toml").resolve(), source="ranksearch.search")
    if splits.classes is None and loss is None:
        raise DataError("targets are no class labels (int64, from 0), so a loss is needed: search(…, loss=…, metric=…)")

    console, budget = plain_console(quiet=quiet), Budget.of(study.search)
    if folder is None:
        path = Path(tempfile.mkdtemp(prefix="ranksearch-"), study.path.name)
        study = msgspec.structs.replace(study, path=path)
        console.print(f"kept in {path.parent}: folder={str(path.parent)!r} goes on with it", soft_wrap=True)
    study.folder.mkdir(parents=True, exist_ok=True)

    def subject(precision: str | None) -> Subject:
        return make_subject(
            model,
            splits,
            task=task,
            include=study.ranks.include,
            exclude=study.ranks.exclude,
            flattened=study.ranks.flattened,
            device=torch_device(device),
            precision=precision,
            batch=default(study.training.batch),
            reestimate=study.data.reestimate,
        )

    with reaching(study.storage_url):
        session = join_study(study, subject=subject, console=console)
        prepare(session, budget, console)
        run_session(session, budget, console)
        conclude(session, console)
    return Study(session, console)
