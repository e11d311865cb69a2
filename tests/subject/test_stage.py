"""A stage reads and measures its own split, whole or a sample of it."""

import numpy as np
import torch

from ranksearch.runner.session import Session


def test_the_stages_keep_search_and_test_apart(session: Session) -> None:
    search, final = session.subject.search_stage, session.subject.final_stage
    assert (len(search.train), len(search.measured), search.split) == (512, 128, "search")
    assert (len(final.train), len(final.measured), final.split) == (640, 128, "test")
    assert search.measured.fingerprint != final.measured.fingerprint
    assert search.dense_outputs.shape == final.dense_outputs.shape == (128, 4)
    assert (search.reestimate, final.reestimate) == (128, 640)


def test_a_sample_is_exact_in_size_and_knows_no_period(session: Session) -> None:
    stage = session.subject.search_stage
    few = stage.sample(100)
    rows = few.measured.rows.tolist()
    assert len(rows) == len(few.dense_outputs) == 100
    assert len(set(np.diff(rows))) > 2  # labels may be in turn: every so manieth image would be of few classes
    assert rows == stage.sample(100).measured.rows.tolist()
    assert torch.equal(few.dense_outputs, stage.dense_outputs[[stage.measured.rows.tolist().index(r) for r in rows]])
    assert len(stage.sample(1000).measured) == 128
