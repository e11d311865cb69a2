"""The command line: one verb per thing that a user does; each is thin and calls what does it."""

import logging
import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .errors import RanksearchError, TableError, describe
from .runner import notice
from .terminal.console import Console, plain_console

app = typer.Typer(
    help="Search the ranks of a low-rank compressed network: a Pareto front of accuracy against size.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="study file (TOML); `ranksearch init` writes one")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is unless given")]
Storage = Annotated[
    str | None, typer.Option(envvar="RANKSEARCH_STORAGE", help="URL of the storage; else the study file's")
]
Sampler = Annotated[str | None, typer.Option(help="tpe, nsga2, nsga3, gp, random or qmc")]
Trials = Annotated[int | None, typer.Option(min=1, help="finished trials in all")]
Minutes = Annotated[float | None, typer.Option(min=0, help="stop asking for trials after so many minutes")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="file or folder to write")]


def _console() -> Console:
    return plain_console(width=None if sys.stdout.isatty() else 160)


def _study(path: Path, **search: Any) -> Any:
    from .study import opened_file

    return opened_file(path, search)


def _study_alone(path: Path) -> Any:
    """The study file for a verb that reads no storage, whose address may be known elsewhere only."""
    return _study(path, storage="sqlite")


@app.command()
def init(
    output: Annotated[Path, typer.Option("--output", "-o", help="study file to write")] = Path("study.toml"),
    model: Annotated[str, typer.Option(help="ours, torchvision:NAME, or package.module:factory")] = "digits-convnet",
    data: Annotated[str, typer.Option(help="ours, npz:PREFIX, folder:DIR, or package.module:factory")] = "digits",
    weights: Annotated[str, typer.Option(help='checkpoint, "train" or "none"')] = "train",
    force: Annotated[bool, typer.Option(help="overwrite")] = False,
) -> None:
    """Write a study file with every default written out and explained."""
    from .verbs.init import write_template

    write_template(output, model=model, data=data, weights=weights, force=force)
    _console().print(f"{output} written; next: ranksearch layers {shlex.quote(str(output))}")


@app.command()
def layers(study: StudyPath, device: Device = None) -> None:
    """List what will be compressed, legal ranks and dense cost; what stays dense, and why; the data's splits."""
    from .verbs.network_verbs import show_layers

    show_layers(_study_alone(study), device, _console())


@app.command()
def allocate(
    study: StudyPath,
    ratio: Annotated[float | None, typer.Option(min=1, help="dense / compressed; evbmf takes none")] = None,
    budget: Annotated[Literal["params", "macs"], typer.Option(help="what the ratio counts")] = "params",
    allocator: Annotated[
        str | None,
        typer.Option(
            help="rate-distortion:NAME (relative, log, weighted-log, absolute or measured), uniform, energy, evbmf or "
            "evbmf-weakened; else rate-distortion by the study file's distortion"
        ),
    ] = None,
    search: Annotated[
        int, typer.Option(min=1, help="weightings of the layers to try untrained, about a second each")
    ] = 1,
    output: Output = None,
    device: Device = None,
) -> None:
    """Choose ranks in closed form, in seconds, without a search."""
    from .verbs.allocate import allocate_ranks

    allocate_ranks(
        _study_alone(study), ratio, _console(), allocator=allocator, budget=budget, candidates=search, output=output,
        device=device,
    )  # fmt: skip


@app.command()
def search(
    study: StudyPath,
    trials: Trials = None,
    minutes: Minutes = None,
    workers: Annotated[int | None, typer.Option(min=1, help="how many; local ones share out the cores")] = None,
    launcher: Annotated[Literal["local", "ray"], typer.Option(help="what places the workers")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Ray: HOST:PORT of a cluster of which this machine is a node, or auto")
    ] = None,
    cpus_per_worker: Annotated[float | None, typer.Option(help="Ray: 1 unless given; threads, too")] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option(help="Ray: 0.5 lets two share one; none unless given")
    ] = None,
    memory_per_worker: Annotated[str | None, typer.Option(help="Ray: 4GiB, say, to place workers by")] = None,
    confirm: Annotated[
        int, typer.Option(min=0, help="then train every point of the front again with so many further seeds; 2, say")
    ] = 0,
    storage: Storage = None,
    sampler: Sampler = None,
    device: Device = None,
) -> None:
    """Run a study, or resume it: the same command goes on where it stopped."""
    from .launch.placement import Placement, size

    memory = size(memory_per_worker) if memory_per_worker else None
    placement = Placement(launcher, address, cpus_per_worker, gpus_per_worker, memory)

    from .verbs.search import search_study

    file = _study(study, trials=trials, minutes=minutes, storage=storage, sampler=sampler)
    search_study(file, device=device, workers=workers, placement=placement, seeds=confirm, console=_console())


@app.command()
def worker(
    study: StudyPath,
    trials: Trials = None,
    minutes: Minutes = None,
    storage: Storage = None,
    sampler: Sampler = None,
    device: Device = None,
    cpus: Annotated[
        int | None, typer.Option(min=1, help="threads; else what the scheduler, the container or the machine grants")
    ] = None,
    share: Annotated[int, typer.Option(min=1, help="take one of so many shares of the cores")] = 1,
    quiet: Annotated[bool, typer.Option(help="show errors only")] = False,
    tied: Annotated[bool, typer.Option("--tied", hidden=True, help="leave when standard input ends")] = False,
) -> None:
    """Work on a study until its budget is met; the first worker makes it, the others wait."""
    from .runner.running import work_on

    if tied:
        threading.Thread(target=_leave_with_input, daemon=True).start()
    file = _study(study, trials=trials, minutes=minutes, storage=storage, sampler=sampler)
    work_on(file, cpus=cpus, share=share, device=device, console=plain_console(quiet=quiet, width=160))


@app.command()
def status(study: StudyPath, storage: Storage = None) -> None:
    """Show trials by state, the pace, the time left, and who is at work."""
    from .verbs.status import show_status

    show_status(_study(study, storage=storage), _console())


@app.command()
def front(
    study: StudyPath,
    csv: Annotated[Path | None, typer.Option(help="write all trials, confirmations and finalists too, as CSV")] = None,
    parquet: Annotated[Path | None, typer.Option(help="the same as Parquet")] = None,
    storage: Storage = None,
) -> None:
    """Print the Pareto front; write the table of all trials."""
    from .verbs.results import show_front

    for path, suffix in ((csv, ".csv"), (parquet, ".parquet")):
        if path and path.suffix != suffix:
            raise TableError(f"{path}: --{suffix[1:]} writes a file that ends in {suffix}")
    show_front(_study(study, storage=storage), [p for p in (csv, parquet) if p], _console())


@app.command()
def report(
    studies: Annotated[list[Path], typer.Argument(metavar="STUDY…", help="one or more studies to overlay")],
    output: Output = None,
    storage: Storage = None,
) -> None:
    """Write one self-contained HTML page."""
    from .verbs.results import make_report

    path = make_report([_study(study, storage=storage) for study in studies], output)
    _console().print(f"{path} written", soft_wrap=True)


@app.command()
def dashboard(
    studies: Annotated[list[Path], typer.Argument(metavar="STUDY…", help="one or more studies to overlay")],
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for other machines too")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8080,
    allow_edit: Annotated[bool, typer.Option("--allow-edit", help="let notes be written and studies deleted")] = False,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="RANKSEARCH_TOKEN",
            help="asked of every browser; made by chance where --host is not this machine alone; by this option it "
            "stands in the list of processes",
        ),
    ] = None,
    storage: Storage = None,
) -> None:
    """Serve the report, live, and optuna-dashboard, read-only, until Ctrl-C."""
    from .dashboard.serve import serve_dashboard

    files = [_study(study, storage=storage) for study in studies]
    serve_dashboard(files, host=host, port=port, token=token, edits=allow_edit, console=_console())


@app.command()
def export(
    study: StudyPath,
    select: Annotated[
        str | None,
        typer.Option(
            help="knee (unless given), best-accuracy, smallest, max-drop=1.0, min-ratio=4, trial=17 or all",
        ),
    ] = None,
    output: Output = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="ranks (JSON or YAML), safetensors, onnx, program (torch.export), int8 (ONNX) or card; as --output "
            "ends unless given, else ranks"
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--from", help="a compressed .safetensors, of `finetune` say, instead of a selection")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            help="of the layers: plain, pivoted, merged-in, merged-out or dense; of several, with commas between, or "
            "`fastest`, each layer gets what is fastest here; as measured unless given"
        ),
    ] = None,
    runtime: Annotated[str | None, typer.Option(help="whose seconds count: torch, or onnxruntime")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="at how many images; 1 unless given")] = None,
    storage: Storage = None,
) -> None:
    """Take networks away from a study, as measured: ranks, weights, files for other runtimes, model cards."""
    from .artifacts.exports import export_named
    from .artifacts.forms import Forms
    from .errors import SelectionError
    from .verbs.network_verbs import export_selected

    if form is None and (runtime or batch):
        raise SelectionError("--runtime and --batch say how the layers' forms are timed: they go with --form")
    to = to or export_named(output)
    forms = None if form is None else Forms.parse(form, runtime or "torch", batch or 1)
    opened = _study(study, storage=storage) if file is None or to == "card" else _study_alone(study)
    for path, said in export_selected(opened, select, file, output, to, forms):
        _console().print(f"{path} written" + (f": {said}" if said else ""), soft_wrap=True)


@app.command()
def finetune(
    study: StudyPath,
    ranks: Annotated[list[Path], typer.Argument(help="rank files from `export` or `allocate`")],
    epochs: Annotated[int | None, typer.Option(min=1, help="over train + search; else the study file's")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="runs per configuration; else the study file's")] = None,
    hooi: Annotated[
        bool, typer.Option("--hooi", help='start from a HOOI of each kernel (TensorLy): for basis = "weights"')
    ] = False,
    output: Output = None,
    storage: Storage = None,
    device: Device = None,
) -> None:
    """Train configurations to full length beside a dense control, and report test accuracy; resumable."""
    from .verbs.network_verbs import finetune_files

    finetune_files(
        _study(study, storage=storage), ranks, epochs=epochs, seeds=seeds, folder=output, device=device, hooi=hooi,
        console=_console(),
    )  # fmt: skip


@app.command()
def evaluate(
    file: Annotated[Path, typer.Argument(help="rank file, or compressed .safetensors, .onnx or .pt2")],
    study: Annotated[Path, typer.Option(help="study file that names the network and the data")],
    batch: Annotated[list[int] | None, typer.Option(min=1, help="for the latency; 1 and 64 unless given")] = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="threads, of PyTorch and onnxruntime")] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="RUNTIME", help="torch or onnxruntime: time each layer in each form, too")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="load a .pt2, which can run code that it holds")] = False,
    device: Device = None,
) -> None:
    """Measure a compressed network on the test split, its size and its latency, beside the dense one."""
    from .subject.threads import use_cores
    from .verbs.evaluation import evaluate_file

    if cpus:
        use_cores(cpus)
    evaluate_file(
        _study_alone(study),
        file,
        device=device,
        batches=batch or (1, 64),
        trust=trust,
        layers=layers,
        console=_console(),
    )


def _leave_with_input() -> None:
    """Whoever holds the other end of standard input is gone when it ends: this process is told to stop."""
    while os.read(0, 4096):  # not by sys.stdin, whose lock the interpreter wants at its end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _in_one_line(error: Exception) -> str | None:
    """An error of ours, or of a file; None for one that wants its traceback."""
    if isinstance(error, RanksearchError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:  # a folder in the way, no permission, a full disk
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return None


def main() -> None:
    """Runs the command line.

    Exit codes: 0 done, 2 refused, 75 storage unreachable, 130 Ctrl-C, 143 told to stop by SIGTERM or SIGUSR1.
    """
    notice.heed()
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("ranksearch.subject").setLevel(logging.INFO)
    sys.path.insert(0, os.getcwd())  # package.module:factory of the user's own
    errors = plain_console(stderr=True, width=None if sys.stderr.isatty() else 1000)
    try:
        app()
    except Exception as error:
        message = _in_one_line(error)
        if message is None and not notice.told():
            raise
        message = message or f"told to stop, in the middle of what then failed: {describe(error)}"
        errors.print(f"ranksearch: {message}", style="red", soft_wrap=True)
        refused = error.exit_code if isinstance(error, RanksearchError) else RanksearchError.exit_code
        sys.exit(notice.HANDED_BACK if notice.told() else refused)
    except SystemExit as left:
        if left.code == 130:  # what Typer makes of Ctrl-C
            errors.print("ranksearch: stopped; the same command goes on")
        raise
