"""ONNX: the network as one file for other runtimes, with its ranks in the metadata, and onnxruntime reading it back."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from ..errors import ExportError, describe
from ..records import RankFile
from .compressed import METADATA_KEY
from .tracing import traced

OPSET = 18  # of onnxscript's own functions: any other is converted from it


def save_onnx(network: nn.Module, example: Tensor, path: Path, ranks: RankFile | None = None) -> Path:
    """Writes ``network`` in evaluation mode as one float32 graph, ``input`` (batch, …) → ``output`` (batch, …).

    Args:
        network: dense or deployed; left as it is.
        example: an input as the network takes it, (n, …); the size of its batch does not matter.
        ranks: what a compressed network was collapsed from; stands in the file's metadata.

    Raises:
        ExportError: the extra ``onnx`` is not installed, or the network has an operation that ONNX has not; also as
            :func:`~.tracing.traced`.
    """
    for library in ("onnx", "onnxscript"):
        require(library)
    program = traced(network, example)
    try:
        written = torch.onnx.export(
            program,
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=({0: "batch"},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    except Exception as error:
        raise ExportError(f"{path}: {type(network).__name__} cannot be told in ONNX ({describe(error)})") from error
    assert written is not None
    graph = written.model.graph
    graph.metadata_props.clear()
    for node in graph.all_nodes():  # each holds the stack trace that it came from: bytes, and paths of this machine
        node.metadata_props.clear()
    if ranks is not None:
        written.model.metadata_props[METADATA_KEY] = ranks.to_text()
    path.parent.mkdir(parents=True, exist_ok=True)
    written.save(path, external_data=False)
    return path


class OnnxNetwork:
    """An ONNX file as a callable from tensor to tensor, run by onnxruntime on the CPU.

    Attributes:
        threads: of one pass; torch's own number unless given.
        ranks: what the network was collapsed from; None for a dense network, or another's file.

    Raises:
        ExportError: the extra ``onnx`` is not installed, or not a readable ONNX file.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        runtime = require("onnxruntime")
        self.threads = threads or torch.get_num_threads()
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.add_session_config_entry("session.force_spinning_stop", "1")  # threads do not wait busily for the next
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes derive from nothing more special
            raise ExportError(f"{path}: not a readable ONNX file ({describe(error)})") from None
        self._input = self._session.get_inputs()[0].name
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        self.ranks = RankFile.from_text(text, source=str(path)) if text else None

    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.from_numpy(self._session.run(None, {self._input: inputs.numpy(force=True)})[0])


def require(library: str) -> ModuleType:
    """The library of the extra ``onnx``.

    Raises:
        ExportError: not installed; says how to.
    """
    try:
        return import_module(library)
    except ModuleNotFoundError:
        raise ExportError(f'ONNX needs {library}, which is not installed: pip install "ranksearch[onnx]"') from None
