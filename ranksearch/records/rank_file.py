"""The rank configuration file, ``ranksearch.ranks/1``: JSON or YAML, readable without this package."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from ..errors import RankError, RanksearchError
from ..layers import Dense, Form, LayerForm, NetworkSpec, RankConfiguration, Shape, layer_forms
from ..layers.legal import require_legal
from ..whole_file import whole_file
from .recipe import Recipe
from .schedule import DecaySchedule
from .trial_record import Measurement, trial_key

FORMAT = "ranksearch.ranks/1"


class RankFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rank configuration with what is needed to use it and to know where it comes from.

    Attributes:
        network: model name and fingerprint of its weights, as ``{"model": …, "weights": …}``.
        configuration: ranks by layer; every compressible layer must be named, as dense where it is to stay.
        schedule, recipe: how it was trained in the search.
        form: the count by which it was chosen, and the form in which the layers of a checkpoint are stored.
        layer_forms: of the layers that a checkpoint stores in another form, by name, since they run faster in it.
        flattened: linear layers that are taken as kernels, as :class:`NetworkSpec` has them.
        objectives: compression ratio, MAC ratio, parameters, MACs by either form.
        measured: with split and number of images; none for a closed-form allocation.
        provenance: study, trial, seed, selection, versions.
    """

    network: dict[str, str]
    configuration: RankConfiguration
    schedule: DecaySchedule = DecaySchedule()
    recipe: Recipe = Recipe()
    form: Form = "pivoted"
    layer_forms: dict[str, LayerForm] = {}
    flattened: dict[str, Shape] = {}
    objectives: dict[str, float] = {}
    measured: Measurement | None = None
    provenance: dict[str, Any] = {}
    format: str = FORMAT

    @property
    def key(self) -> str:
        """The :func:`trial_key` of what it describes."""
        return trial_key(self.configuration, self.schedule, self.recipe)

    @property
    def forms_text(self) -> str:
        """In which forms a checkpoint stores the layers, in words."""
        others = ", ".join(f"{n} {form}" for form, n in Counter(self.layer_forms.values()).most_common())
        return f"the {self.form} form" + (f" but for {others}" if others else "")

    def __post_init__(self) -> None:
        for name, form in self.layer_forms.items():
            if form not in (allowed := layer_forms(self.configuration[name])):
                raise RankError(f"layer {name!r} runs in the forms {', '.join(allowed)}, not {form!r}")

    def to_text(self, suffix: str = ".json") -> str:
        """The file's text; ``suffix`` is ``.json``, ``.yaml`` or ``.yml``."""
        if suffix in (".yaml", ".yml"):
            return msgspec.yaml.encode(self).decode()
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"

    @classmethod
    def from_text(cls, text: str, suffix: str = ".json", source: str = "rank configuration") -> "RankFile":
        """Parses and checks a file's text.

        Raises:
            RankError: not JSON/YAML, another format, an unknown key or a malformed entry; names ``source`` and place.
        """
        decode = msgspec.yaml.decode if suffix in (".yaml", ".yml") else msgspec.json.decode
        try:
            found = decode(text)
            named = found.get("format") if isinstance(found, dict) else type(found).__name__
            if named != FORMAT:
                raise RankError(f'a rank configuration starts with "format": "{FORMAT}", found {named!r}')
            return msgspec.convert(found, cls)
        except (msgspec.MsgspecError, RanksearchError) as error:  # values refuse themselves in their own words
            raise RankError(f"{source}: {' '.join(str(error).split())}") from None

    def write(self, path: Path) -> None:
        with whole_file(path) as part:
            part.write_text(self.to_text(path.suffix), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "RankFile":
        """Reads ``path``; see :meth:`from_text`.

        Raises:
            RankError: additionally where the file is missing.
        """
        try:
            return cls.from_text(path.read_text(encoding="utf-8"), path.suffix, str(path))
        except (FileNotFoundError, IsADirectoryError):
            raise RankError(f"{path}: no such rank configuration") from None
        except UnicodeDecodeError:
            raise RankError(
                f"{path}: not a text file, as rank files are (.json, .yaml); of a compressed network `export STUDY "
                f"--from {path} -o ranks.json` makes one"
            ) from None


def require_fit(configuration: RankConfiguration, network: NetworkSpec, source: str = "rank configuration") -> None:
    """Raises :class:`RankError` by layer name where a configuration is of another network.

    Every compressible layer must be named; a layer that is left dense may be, as dense.
    """
    unknown = sorted(set(configuration.layers) - set(network.names) - {d.name for d in network.left_dense})
    if unknown:
        raise RankError(
            f"{source}: the network has no compressible layer {', '.join(map(repr, unknown[:5]))}"
            f"{' …' if len(unknown) > 5 else ''}; it has {', '.join(network.names[:5])}"
            f"{' …' if len(network.names) > 5 else ''}: is this file for another network?"
        )
    for left in network.left_dense:
        ranks = configuration[left.name]
        if not isinstance(ranks, Dense):
            raise RankError(
                f"{source}: layer {left.name!r} is left dense ({left.reason}), got {ranks}; "
                'name it as "dense", or leave it out'
            )
    missing = [name for name in network.names if name not in configuration.layers]
    if missing:
        raise RankError(f'{source}: no ranks for layer {missing[0]!r}; name it, as "dense" if it is to stay')
    for spec in network.layers:
        try:
            require_legal(spec, configuration[spec.name])
        except RankError as error:
            raise RankError(f"{source}: {error}") from None
