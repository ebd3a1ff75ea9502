"""Clusters of siblings, and the distance that is chosen from the pool."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.clusters import (
    DISTANCE_CAP,
    DISTANCE_FLOOR,
    agglomerated,
    choose_distance,
    cosine_distances,
    linked,
    medoid,
)
from filters.diversity import Diversity


def pool(*distances: float) -> pl.DataFrame:
    """Make questions of two rows that are this far apart."""
    rows = [
        {"question_id": f"q{number}", "sample_id": f"{number}{side}", "embedding": vector}
        for number, distance in enumerate(distances)
        for side, vector in enumerate(
            ([1.0, 0.0], [1 - distance, (1 - (1 - distance) ** 2) ** 0.5])
        )
    ]
    schema = {"question_id": pl.String, "sample_id": pl.String, "embedding": pl.List(pl.Float32)}
    return pl.DataFrame(rows, schema=schema)


def share_with_a_choice(frame: pl.DataFrame, distance: float) -> float:
    """Count, with the filter itself, the questions that keep two clusters."""
    filter_ = Diversity(by=("embedding",), distance=distance, near_duplicate=None)
    texts = frame.with_columns(rationale=pl.lit(None, pl.String))
    judged = texts.with_columns(filter_.judge(texts)["cluster"])
    counts = judged.group_by("question_id").agg(pl.col("cluster").n_unique())["cluster"].to_list()
    return sum(count > 1 for count in counts) / len(counts)


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=12))
def test_the_distance_is_the_largest_that_keeps_a_choice(distances: list[float]) -> None:
    frame = pool(*distances)
    chosen = choose_distance(frame, "average")
    assert DISTANCE_FLOOR <= chosen <= DISTANCE_CAP
    assert share_with_a_choice(frame, chosen) >= 0.8
    if chosen < DISTANCE_CAP:
        assert share_with_a_choice(frame, chosen + 1e-4) < 0.8


@pytest.mark.parametrize("frame", [pool(), pool(0.2).head(1)])
def test_a_pool_without_siblings_gets_the_cap(frame: pl.DataFrame) -> None:
    assert choose_distance(frame, "average") == DISTANCE_CAP


def test_twins_everywhere_get_the_floor() -> None:
    assert choose_distance(pool(0.0, 0.0, 0.3), "average") == DISTANCE_FLOOR


def test_settling_is_done_once_and_only_where_asked() -> None:
    settled = Diversity().settle(pool(0.05))
    assert settled.distance == pytest.approx(0.05, abs=1e-6)
    assert settled.pool_columns() == ()
    assert Diversity(distance=0.2).pool_columns() == ()
    assert Diversity(by=("path",)).settle(pool(0.05)).distance == "auto"
    with pytest.raises(ValueError, match="settle"):
        Diversity().judge(pool(0.05))


def test_linkages_differ_on_a_chain() -> None:
    angles = np.array([0.0, 0.2, 0.4, 0.6])
    distances = cosine_distances(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    assert len(set(agglomerated(distances, 0.1, "single"))) == 1
    assert len(set(agglomerated(distances, 0.1, "complete"))) == 2


def test_components_are_numbered_by_first_member() -> None:
    near = np.eye(5, dtype=np.bool_)
    near[0, 3] = near[3, 0] = near[3, 4] = near[4, 3] = True
    assert linked(near) == [0, 1, 2, 0, 0]


def test_the_medoid_is_the_middle_and_ties_go_to_the_first() -> None:
    assert medoid(np.array([[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])) == 1
    assert medoid(np.ones((3, 3))) == 0


@pytest.mark.parametrize("wrong", [{"by": []}, {"by": ["path", "path"]}, {"distance": 0}])
def test_a_wrong_config_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must name|is no cosine distance"):
        Diversity.model_validate(wrong)
