"""One trial, by every schedule; the exported network is the measured one; what diverges is told as such."""

import msgspec
import pytest
import torch

from ranksearch.records import SCHEDULES, DecaySchedule, Recipe
from ranksearch.records.schedule import FADES, ORDERS
from ranksearch.runner.session import Session
from ranksearch.runner.trial import MILESTONES, measured, run_trial

RECIPE = Recipe(images=512, batch=64, lr=0.02)


@pytest.mark.parametrize("fade", FADES)
@pytest.mark.parametrize("shape", SCHEDULES)
def test_every_schedule_ends_in_the_network_that_was_measured(shape: str, fade: str, session: Session) -> None:
    schedule = DecaySchedule(shape=shape, fade=fade, end=0.5)  # type: ignore[arg-type]
    plan = session.plan(session.variables.allocate(3.0, {}, {}), schedule, RECIPE)
    network, record = run_trial(session.subject, session.bases, plan, "pivoted")
    assert network is not None
    assert not record.failure
    assert measured(session.subject, session.subject.search_stage, network) == record.measured
    assert record.measured.accuracy > 0.4  # chance is a quarter
    assert sum(p.numel() for p in network.parameters()) == record.pivoted.params
    assert record.schedule == schedule.canonical()
    assert [m.images for m in record.milestones] == [512 * f for f in MILESTONES]
    assert [m.decay for m in record.milestones][1:] == [0, 0]
    assert all((m.accuracy is not None) == (m.decay == 0) for m in record.milestones)


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_over_the_layers(order: str, session: Session) -> None:
    plan = session.plan(
        session.variables.allocate(3.0, {}, {}), DecaySchedule(order=order), RECIPE  # type: ignore[arg-type]
    )  # fmt: skip
    assert run_trial(session.subject, session.bases, plan, "plain")[1].measured.accuracy > 0.4


def test_a_trial_repeats_itself_and_leaves_the_dense_network_alone(session: Session) -> None:
    before = {name: value.clone() for name, value in session.subject.network.state_dict().items()}
    plan = session.plan(session.variables.allocate(4.0, {}, {}), DecaySchedule(), RECIPE)
    (one, first), (two, second) = (run_trial(session.subject, session.bases, plan, "pivoted") for _ in range(2))
    assert one is not None
    assert two is not None
    assert first.measured == second.measured
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert all(torch.equal(before[name], value) for name, value in session.subject.network.state_dict().items())


@pytest.mark.parametrize(("images", "told"), [(512, "lower training.lr"), (128, "output is not finite on 128 of 128")])
def test_a_loss_or_an_output_that_is_not_finite_is_a_result(images: int, told: str, session: Session) -> None:
    recipe = msgspec.structs.replace(RECIPE, images=images, lr=1e30)
    plan = session.plan(session.variables.allocate(3.0, {}, {}), DecaySchedule(), recipe)
    network, record = run_trial(session.subject, session.bases, plan, "pivoted")
    assert network is None
    assert record.measured.accuracy == 0
    assert record.measured.distance is None
    assert told in record.failure
