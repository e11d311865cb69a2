"""The section on settings and protocol."""

import msgspec

from ranksearch.records import StudyHistory
from ranksearch.report.blocks import Table, Text
from ranksearch.report.protocol_section import machines, protocol_section, seeds_sentence, settings_table
from ranksearch.report.study_view import StudyView


def test_settings_are_named_as_in_error_messages(view: StudyView) -> None:
    rows = dict(settings_table(view.study.settings).rows)
    assert rows["name"] == '"resnet20-cifar10"'
    assert rows["training.lr"] == "{ low = 0.005, high = 0.1, log = true }"
    assert rows["schedule.shape"] == '["none", "linear", "cosine"]'


def test_the_protocol_is_printed_with_splits_machine_and_fingerprint(view: StudyView) -> None:
    blocks = protocol_section([view]).blocks
    assert [b.text for b in blocks if isinstance(b, Text)][:2] == list(view.study.protocol)
    tables = {b.caption: b.rows for b in blocks if isinstance(b, Table)}
    assert tables["Splits"] == (("train", "45,000"), ("search", "5,000"), ("test", "10,000"))
    assert ("weights", "12fca82f0c5d3a77") in tables["Fingerprint"]
    assert "torch 2.13.0" in tables["Machines"][0][4]


def test_machines_are_counted_by_what_they_ran(history: StudyHistory) -> None:
    first = history.trials[0]
    assert first.record is not None
    other = msgspec.structs.replace(first.record.machine, device="cuda")
    moved = msgspec.structs.replace(first, record=msgspec.structs.replace(first.record, machine=other))
    found = machines(StudyView(msgspec.structs.replace(history, trials=(moved, *history.trials[1:]))))
    ran = sum(1 for room in (history.trials, history.baselines, history.finalists) for t in room
              if t.record and t.record.copy_of is None)  # fmt: skip
    assert [(machine.device, n) for machine, n in found] == [("cpu", ran - 1), ("cuda", 1)]


def test_an_idle_study_still_names_its_machine(odd_views: dict[str, StudyView]) -> None:
    assert [n for _, n in machines(odd_views["bare"])] == [0]
    assert "study's seed (none)" in seeds_sentence(odd_views["bare"])


def test_seeds(view: StudyView) -> None:
    assert seeds_sentence(view).endswith("Finalists were trained with the seeds 0, 1, 2.")
    assert "study's seed (0)" in seeds_sentence(view)
