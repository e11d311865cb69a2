"""A shared training in the books: round-trips, and says how many steps it took."""

import msgspec

from ranksearch.records import ElasticRecord, Machine, Recipe


def test_round_trips_as_json() -> None:
    machine = Machine(device="cpu", processor="p", threads=1, precision="float32", versions={"torch": "2"})
    record = ElasticRecord(
        recipe=Recipe(images=640, batch=64), slices=2, images=1280, seconds=3.5, digest="ab", outputs=(0.5, -1.0),
        machine=machine,
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(record), type=ElasticRecord) == record
    assert record.steps == 10


def test_one_that_is_off_took_no_steps() -> None:
    assert ElasticRecord(off="it would not pay").steps == 0
