"""Imports run one way, each library has its room, and no two modules share a name (the house's laws)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ranksearch"

EVERYWHERE = {"errors", "whole_file"}
# What a room may import besides, and besides itself.
NUMPY_LADDER = ["pareto", "layers", "allocation", "records", "front", "report"]
TORCH_LADDER = ["networks", "decomposition", "progressive", "export"]
GROUND = [*NUMPY_LADDER, *TORCH_LADDER, "study", "terminal"]
WORK_LADDER = ["subject", "artifacts", "runner", "launch", "verbs"]  # where both meet
ALLOWED = {
    **{room: set() for room in EVERYWHERE},
    "markdown": set(),
    **{room: set(NUMPY_LADDER[:i]) for i, room in enumerate(NUMPY_LADDER)},
    "study": {"pareto", "layers", "allocation", "records"},
    **{room: {"markdown", "layers", "records"} | set(TORCH_LADDER[:i]) for i, room in enumerate(TORCH_LADDER)},
    "terminal": {"layers", "records"},
    **{room: {*GROUND, *WORK_LADDER[:i]} for i, room in enumerate(WORK_LADDER)},
    "dashboard": {"markdown", "layers", "records", "report", "study", "terminal", "verbs"},
    "cli": {"terminal", "study", "subject", "artifacts", "runner", "launch", "verbs", "dashboard"},
    "__main__": {"cli"},
    "__init__": {"verbs", "export"},
}
# Libraries and the only rooms (or modules) that may name them.
GATES = {
    "torch": {*TORCH_LADDER, "subject", "artifacts", "runner", "verbs/evaluation.py", "verbs/notebook.py"},
    "torchvision": {"networks"},
    "optuna": {"study", "artifacts/artifacts.py", "runner/worker.py", "verbs/notebook.py", "dashboard"},
    "pandas": {"front", "report", "verbs/notebook.py"},
    "plotly": {"report", "verbs/notebook.py"},
    "tensorly": {"decomposition/hooi.py"},
    "safetensors": {"networks", "decomposition/bases_file.py", "export"},
    "onnx": {"export/onnx_file.py"},
    "onnxruntime": {"export/onnx_file.py", "export/int8.py"},
    "typer": {"cli"},
    "optuna_dashboard": {"dashboard"},
    "waitress": {"dashboard"},
    "ray": {"launch/ray_cluster.py", "launch/ray_launcher.py"},
}


def imports(path: Path) -> set[tuple[str, ...]]:
    """Absolute dotted names that a module imports, anywhere in it."""
    here = ("ranksearch", *path.relative_to(PACKAGE).with_suffix("").parts)
    found: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else ()
            module = base + tuple(node.module.split(".") if node.module else ())
            found |= {(*module, alias.name) for alias in node.names}
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    room = room_of(path)
    reached = {name[1] for name in imports(path) if name[0] == "ranksearch" and len(name) > 1}
    assert reached - {room} - EVERYWHERE <= ALLOWED[room], f"{room} must not import {reached - ALLOWED[room]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    place = {room_of(path), str(path.relative_to(PACKAGE))}
    for library in {name[0] for name in imports(path)} & GATES.keys():
        assert place & GATES[library], f"{library} is imported outside {GATES[library]}"


def test_no_two_modules_share_a_name() -> None:
    names = [p.name for p in MODULES if p.name != "__init__.py"]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)


@pytest.mark.parametrize("room", ["report", "front", "records", "allocation", "study", "terminal.tables"])
def test_fresh_import_loads_no_torch(room: str) -> None:
    heavy = ["torch"] if room == "study" else ["torch", "optuna"]
    code = f"import sys, ranksearch.{room}; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
