"""Packs and trees: nothing is lost, what is shared stands once, a node sees its own past alone."""

from hypothesis import given
from hypothesis import strategies as st

from curate.models.students import packing, trees
from curate.models.students.cached_branches import groups
from curate.models.students.packing import Target


def test_shared_tokens_stand_once() -> None:
    targets = [Target((1, 2, 3, 4, 9), ((1, 5),)), Target((1, 2, 5, 4, 8), ((1, 4),))]
    (pack,) = packing.packs(targets, 99)
    assert pack.tokens.tolist() == [1, 2, 3, 4, 5]
    assert packing.depths(pack.parents).tolist() == [0, 1, 2, 3, 2]
    (block,) = trees.blocks(pack.parents, 99)
    assert block.seen[4].tolist() == [True, True, False, False, True]


def test_nothing_is_run_behind_what_predicts_the_last_wanted_token() -> None:
    ids = (1, 2, 3, 4, 5, 6)
    assert Target(ids, ((1, 3), (3, 5))).inputs == (1, 2, 3, 4)
    assert Target(ids, ((4, 6), (2, 3), (0, 0))).inputs == (1, 2, 3, 4, 5)
    assert Target(ids, ((0, 0),)).inputs == ids == Target(ids, ()).inputs
    assert Target((7,), ((0, 1),)).inputs == (7,)


@given(
    rows=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=20),
    size=st.integers(1, 40),
)
def test_a_node_sees_its_ancestors_and_itself_however_the_tree_is_cut(
    rows: list[list[int]], size: int
) -> None:
    (pack,) = packing.packs([Target(tuple(row), ()) for row in rows], 10_000)
    seen: dict[int, set[int]] = {}
    for block in trees.blocks(pack.parents, size):
        for node in range(block.start, block.stop):
            seen[node] = set(block.keys[block.seen[node - block.start]].tolist())
    for path in pack.paths:
        for place, node in enumerate(path.tolist()):
            assert seen[node] == set(path[: place + 1].tolist())


@given(
    rows=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=20),
    nodes=st.integers(1, 30),
)
def test_packing_loses_nothing(rows: list[list[int]], nodes: int) -> None:
    targets = [Target(tuple(row), ((0, len(row)),)) for row in rows]
    made = list(packing.packs(targets, nodes))
    assert sorted(member for pack in made for member in pack.members) == list(range(len(rows)))
    for pack in made:
        assert len(pack.tokens) <= nodes or len(pack.members) == 1
        depth = packing.depths(pack.parents)
        for path, member in zip(pack.paths, pack.members, strict=True):
            inputs = list(targets[member].inputs)
            assert pack.tokens[path].tolist() == inputs
            assert depth[path].tolist() == list(range(len(inputs)))


@given(
    stems=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.integers(0, 1), min_size=2, max_size=9)),
        min_size=1,
        max_size=14,
    ),
)
def test_groups_lose_nothing_and_share_only_what_all_begin_with(
    stems: list[int], rows: list[tuple[int, list[int]]]
) -> None:
    targets: list[Target] = []
    for which, end in rows:
        size = stems[which % len(stems)]
        ids = (*[7 + which % len(stems)] * size, *end)
        targets.append(Target(ids, ((len(ids) - 1, len(ids)),)))
    made = list(groups(targets))
    assert sorted(member for group in made for member in group.members) == list(range(len(rows)))
    for stem, members in made:
        assert stem == 0 or stem >= packing.WORTH_A_PASS
        assert len({targets[member].ids[:stem] for member in members}) == 1
        for member in members:
            (span,) = targets[member].spans
            assert stem <= packing.readers(span).start


def test_siblings_of_a_question_are_one_group_and_another_question_is_not_drawn_in() -> None:
    question, other = tuple(range(30)), (*range(20), *range(50, 70))
    siblings = [(*question, 90 + n, 91, 92) for n in range(6)]
    cousins = [(*other, 90 + n, 91, 92) for n in range(6)]
    targets = [Target(ids, ((len(ids) - 1, len(ids)),)) for ids in (*siblings, *cousins)]
    assert [tuple(group) for group in groups(targets)] == [
        (30, [0, 1, 2, 3, 4, 5]),
        (40, [6, 7, 8, 9, 10, 11]),
    ]
