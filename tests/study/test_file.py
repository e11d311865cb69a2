import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ranksearch.errors import StudyFileError
from ranksearch.study import StudyFile, opened_file, parse_study, read_study, settings
from ranksearch.study.ranges import Range, WholeRange

LEAST = '[network]\nmodel = "m"\n[data]\nsource = "digits"\nsearch = 500\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return written


def test_the_least_file_takes_every_default(write: Callable[[str], Path], tmp_path: Path) -> None:
    study = read_study(write(LEAST))
    assert (study.name, study.path, study.folder) == ("mine", tmp_path / "mine.toml", tmp_path)
    assert (study.ranks.space, study.ranks.basis, study.ranks.form) == ("allocated", "activations+gradients", "pivoted")
    assert (study.search.sampler, study.search.baselines) == ("tpe", ("uniform", "energy", "evbmf"))
    assert study.training.init == "elastic"
    assert study.storage_url == f"sqlite:///{tmp_path.resolve()}/mine.db"


def test_values_lists_and_ranges(write: Callable[[str], Path]) -> None:
    text = LEAST + (
        '[schedule]\nshape = ["none", "linear"]\nend = { low = 0.2, high = 0.8, step = 0.2 }\n'
        "[training]\nclip = 5\nlr = { low = 0.005, high = 1, log = true }\nbatch = { low = 32, high = 128, step = 32 }"
    )
    study = read_study(write(text))
    assert study.schedule.shape == ("none", "linear")
    assert study.schedule.end == Range(low=0.2, high=0.8, step=0.2)
    assert study.training.lr == Range(low=0.005, high=1.0, log=True)
    assert study.training.batch == WholeRange(low=32, high=128, step=32)
    assert study.training.clip == 5.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[search]\ntrails = 3", "search.trails is not a known key; did you mean 'trials'?"),
        ("[serch]\ntrials = 3", "serch is not a known key; did you mean 'search'?"),
        ('path = "x"', "path is not a known key"),
        ("[training]\nlr = { low = 1, hgh = 2 }", "training.lr.hgh is not a known key; did you mean 'high'?"),
        ("[network.training]\nepoch = 1", "network.training.epoch is not a known key; did you mean 'epochs'?"),
        ('[search]\ntrials = "many"', "search.trials = 'many': expected int, got string"),
        ("[search]\ntrials = true", "search.trials = True: expected int, got bool"),
        ("[search]\ntrials = 0", "search.trials = 0: expected int >= 1"),
        ("[search]\nminutes = -1", "search.minutes = -1: expected float > 0"),
        ("[ranks]\nratio = [1.5]", "ranks.ratio = [1.5]: expected list of length 2"),
        ("[ranks]\nratio = [8, 2]", "ratio = [8.0, 2.0] must be two numbers with 0 < low < high"),
        ("[ranks]\naccuracy_floor = 1.0", "accuracy_floor = 1.0 must be a fraction in [0, 1)"),
        ('[training]\nlr = { low = "a", high = 2 }', "training.lr.low = 'a': expected float, got string"),
        ("[training]\nlr = 0", "training.lr = 0.0 must be above 0"),
        ("[training]\nlr = nan", "training.lr = nan must be finite"),
        ("[training]\nmomentum = [0.9, 1.5]", "training.momentum = 1.5 must be at least 0 and below 1"),
        ("[training]\nbatch = { low = 1.5, high = 3 }", "training.batch.low = 1.5: expected int, got float"),
        ("[training]\nimages = 10\nepochs = 1", "training.images = 10 and training.epochs = 1.0: give one of them"),
        ('[schedule]\nshape = ["lineal", "none"]', "schedule.shape = 'lineal' is unknown; did you mean 'linear'?"),
        ("[schedule]\nend = 0", "schedule.end = 0.0 must be a fraction of the trial in (0, 1]"),
        ('[search]\nobjectives = ["accuracy"]', "must begin with accuracy, compression_ratio"),
        ('[search]\nsampler = "tpee"', "search.sampler = 'tpee' is not available; did you mean 'tpe'?"),
        ('[search]\nbaselines = ["unifrom"]', "search.baselines = 'unifrom' is not available; did you mean 'uniform'?"),
        ("[finetune]\nlr = -1", "finetune.lr = -1.0 must be above 0"),
        (
            "[search]\nfloors = { mac_rato = 1.5 }",
            "search.floors.mac_rato is not a known key; did you mean 'mac_ratio'?",
        ),
        ("[network.training]\nmomentum = 1.0", "network.training.momentum = 1.0: expected float < 1"),
        ('[training]\ninit = "elastik"', "training.init = 'elastik' is unknown; did you mean 'elastic'"),
        ('[training]\ninit = "elastic"\n[schedule]\nfade = ["residual", "full"]', 'fade must be "residual" where'),
        ('[training]\ninit = ["decomposition", "elastic"]\n[schedule]\nfade = "full"', 'init = "decomposition"'),
        ("[elastic]\nsteps = -1", "elastic.steps = -1: expected int >= 0"),
        ("[elastic]\nwarmup = 1", "elastic.warmup = 1: expected float < 1"),
        ('[ranks]\nbasis = "gradients"', "ranks.basis = 'gradients' is not available; did you mean"),
        ("[search]\nearly_stopping = true", "search.early_stopping is not a known key; allowed: "),
        ('[report]\npublished = [{ name = "x", accuracy = 90.6, ratio = 3 }]', "report.published[0].accuracy = 90.6: "),
        ('[report]\npublished = [{ name = "x", acuracy = 0.9, ratio = 3 }]', "report.published[0].acuracy is not a"),
        ('[report]\npublished = [{ name = "x", accuracy = 0.9, ratio = 3, count = "mac" }]', "did you mean 'macs'?"),
        ('[report]\npublished = [{ name = "x", accuracy = 0.9 }]', "report.published[0].ratio is missing"),
        ('name = "../x"', "name = '../x' must be 1 to 100 letters"),
    ],
)
def test_what_is_not_allowed_is_told_in_one_line(write: Callable[[str], Path], text: str, told: str) -> None:
    # a table may be opened once: top-level keys go first, [network.training] after [network]
    path = write(text + "\n" + LEAST if "= " in text and not text.startswith("[") else LEAST + text)
    with pytest.raises(StudyFileError) as caught:
        read_study(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: "), message
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1 = 2", "not TOML, as a study file is: .*line 1, column"),
        ('[network]\nmodel = "m"\n[data]\nsource = "d"\n', "data.search is missing"),
        ('[data]\nsource = "d"\nsearch = 1\n', "network is missing"),
        (LEAST + "normalize = { mean = [0.5], sdt = [0.5] }", "data.normalize needs mean and std"),
        (LEAST + 'augment = ["flop"]', "data.augment = 'flop' is unknown"),
        (
            LEAST + 'normalize = { mean = ["a", 0.4], std = 1.0 }',
            r"data\.normalize = \{.*\}: expected float, got string",
        ),
    ],
)
def test_incomplete_files(write: Callable[[str], Path], text: str, told: str) -> None:
    with pytest.raises(StudyFileError, match=told):
        read_study(write(text))


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"none\.toml: no such study file; `ranksearch init`"):
        read_study(tmp_path / "none.toml")
    with pytest.raises(StudyFileError, match="cannot be read"):
        read_study(tmp_path)


def test_environment_variables(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DATA", "/data")
    monkeypatch.delenv("MY_OTHER", raising=False)
    text = LEAST.replace("digits", "npz:${MY_DATA}/x") + "[network.arguments]\nfolders = ['${MY_DATA}/a']\n"
    study = read_study(write(text))
    assert (study.data.source, study.network.arguments) == ("npz:/data/x", {"folders": ["/data/a"]})
    path = write(LEAST.replace("digits", "npz:${MY_OTHER}/x"))
    with pytest.raises(StudyFileError, match=r"mine\.toml: data\.source = .* needs the environment variable MY_OTHER"):
        read_study(path)
    path = write(LEAST + '[search]\nstorage = "${MY_OTHER}"\ntrials = 7\n')
    with pytest.raises(StudyFileError, match=r"search\.storage = .* needs the environment variable MY_OTHER"):
        opened_file(path, {"storage": None})
    search = opened_file(path, {"storage": "sqlite:///x.db"}).search
    assert (search.storage, search.trials) == ("sqlite:///x.db", 7)


def test_paths_start_from_the_folder_of_the_file(make_study: Callable[..., StudyFile], tmp_path: Path) -> None:
    study = make_study()
    assert study.resolve("w/x.pt") == (tmp_path / "w/x.pt").resolve()
    assert study.resolve("/w/x.pt") == Path("/w/x.pt")


def _without_none(value: Any) -> Any:
    return {k: _without_none(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def test_settings_hold_everything_and_read_back(make_study: Callable[..., StudyFile]) -> None:
    study = make_study(search={"storage": "postgresql://me:p%40ss:w/rd@host/db"})
    plain = settings(study)
    assert plain["search"]["storage"] == "postgresql://me:***@host/db"
    assert "ss:w" not in repr(plain)
    assert plain["ranks"]["form"] == "pivoted"
    assert plain["training"]["images"] == 6400
    assert plain["schedule"]["shape"] == ["none", "linear"]
    again = parse_study(_without_none(plain), study.path)
    assert settings(again) == plain


def test_one_line_even_for_odd_values(write: Callable[[str], Path]) -> None:
    with pytest.raises(StudyFileError) as caught:
        read_study(write(LEAST + '[search]\ntrials = """a\nb"""'))
    assert not re.search("\n", str(caught.value))
