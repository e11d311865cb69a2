"""One trial, by every schedule; the exported network is the measured one; what diverges is told as such."""

from dataclasses import replace

import msgspec
import pytest
import torch

from ranksearch.networks import Augmentation
from ranksearch.progressive import CLASSIFICATION, reestimate_batch_norm
from ranksearch.records import NO_DECAY, SCHEDULES, DecaySchedule, Recipe
from ranksearch.records.recipe import AUGMENT
from ranksearch.records.schedule import FADES, ORDERS
from ranksearch.runner.session import Session
from ranksearch.subject.trial import MILESTONES, measured, run_trial

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
        session.variables.allocate(3.0, {}, {}), DecaySchedule(shape="cosine", order=order), RECIPE  # type: ignore[arg-type]
    )  # fmt: skip
    assert run_trial(session.subject, session.bases, plan, "plain")[1].measured.accuracy > 0.4


def test_a_trial_repeats_itself_and_leaves_the_dense_network_alone(session: Session) -> None:
    before = {name: value.clone() for name, value in session.subject.network.state_dict().items()}
    plan = session.plan(session.variables.allocate(4.0, {}, {}), DecaySchedule(shape="cosine"), RECIPE)
    (one, first), (two, second) = (run_trial(session.subject, session.bases, plan, "pivoted") for _ in range(2))
    assert one is not None
    assert two is not None
    assert first.measured == second.measured
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert all(torch.equal(before[name], value) for name, value in session.subject.network.state_dict().items())


def test_batch_norm_is_re_estimated_as_the_trial_was_trained(session: Session) -> None:
    stage = session.subject.search_stage
    stage = replace(stage, train=stage.train.prepared(None, Augmentation(crop=3)))
    for augment in AUGMENT:
        recipe = msgspec.structs.replace(RECIPE, augment=augment)
        plan = session.plan(session.variables.allocate(3.0, {}, {}), NO_DECAY, recipe)
        network, _ = run_trial(session.subject, session.bases, plan, "plain", stage=stage)
        assert network is not None
        statistics = dict(network.named_buffers())
        for part in AUGMENT:
            images, precision = stage.reestimate, stage.precision  # the probe's choice differs from run to run
            again = reestimate_batch_norm(network, stage.train, images, augment=part, precision=precision)
            same = all(torch.equal(statistics[name], buffer) for name, buffer in again.named_buffers())
            assert same == (part == augment or {part, augment} == {"flip", "none"})  # it has no flips


@pytest.mark.parametrize(("images", "told"), [(512, "lower training.lr"), (128, "output is not finite on 128 of 128")])
def test_a_loss_or_an_output_that_is_not_finite_is_a_result(images: int, told: str, session: Session) -> None:
    recipe = msgspec.structs.replace(RECIPE, images=images, lr=1e30)
    plan = session.plan(session.variables.allocate(3.0, {}, {}), DecaySchedule(shape="cosine"), recipe)
    network, record = run_trial(session.subject, session.bases, plan, "pivoted")
    assert network is None
    assert record.measured.accuracy == 0
    assert record.measured.distance is None
    assert told in record.failure


def test_what_was_done_before_a_loss_broke_down_is_recorded(session: Session) -> None:
    calls = iter(range(100))
    task = replace(CLASSIFICATION, loss=lambda o, t: o.sum() * (float("nan") if next(calls) == 5 else 1e-3))
    plan = session.plan(session.variables.allocate(3.0, {}, {}), NO_DECAY, RECIPE)
    _, record = run_trial(replace(session.subject, task=task), session.bases, plan, "pivoted")
    assert "loss is nan at step 6 of 8" in record.failure
    assert [m.images for m in record.milestones] == [128, 256]
    assert record.cost.images == 6 * 64
    assert 0 < record.cost.training_seconds < record.cost.seconds
    assert record.cost.trainable_params > 0


def test_a_trial_that_is_stopped_is_recorded_as_far_as_it_went(session: Session) -> None:
    seen: list[int] = []
    plan = session.plan(session.variables.allocate(3.0, {}, {}), DecaySchedule(shape="linear", end=0.4), RECIPE)
    network, record = run_trial(
        session.subject, session.bases, plan, "pivoted",
        hopeless=lambda milestones: seen.append(len(milestones)) or ("enough" if len(milestones) == 3 else ""),
    )  # fmt: skip
    assert network is None
    assert (record.stopped, record.failure) == ("enough", "")
    assert seen == [2, 3]  # never before the decay has ended
    assert record.measured.accuracy == record.milestones[-1].accuracy
    assert (record.measured.distance, record.measured.images) == (None, 128)
    assert record.cost.images == 384
