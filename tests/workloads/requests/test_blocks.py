"""Numbers of blocks: the same for the same prefix, and for no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kvsim.workloads.requests.blocks import BlockNumbers, Text

BLOCK = 4
STEP = st.tuples(
    st.integers(0, 7),  # which of the texts that there are
    st.sampled_from(["own", "named", "fork", "prompt"]),
    st.integers(0, 11),  # how many tokens, or which document
)


@given(st.lists(STEP, max_size=60))
def test_a_block_has_the_number_of_its_prefix_and_no_other(steps: list[tuple[int, str, int]]) -> None:
    numbers = BlockNumbers()
    # Beside each text, its tokens: those of its own are like no others, those of a document always the same.
    texts: list[tuple[Text, list[object], tuple[int, ...]]] = [(Text(numbers, BLOCK), [], ())]
    prefixes: dict[int, tuple[object, ...]] = {}
    for serial, (which, what, amount) in enumerate(steps):
        text, tokens, path = texts[which % len(texts)]
        if what == "own":
            text.add(amount)
            tokens += [(serial, place) for place in range(amount)]
            texts[which % len(texts)] = text, tokens, (*path, -1 - serial) if amount else path
        elif what == "named":
            path = (*path, amount)
            text.add(5 + amount, numbers.named(*path))
            tokens += [(amount, "document", place) for place in range(5 + amount)]
            texts[which % len(texts)] = text, tokens, path
        elif what == "fork":
            texts.append((text.fork(), tokens.copy(), path))
        else:
            tokens += [(serial, "asked")]  # a prompt's partial block is nobody else's, as there is a question
            texts[which % len(texts)] = text, tokens, (*path, -1 - serial)
            text.add(1)
            for place, block in enumerate(text.blocks()):
                prefix = tuple(tokens[: (place + 1) * BLOCK])
                assert prefixes.setdefault(block, prefix) == prefix
    numbered: dict[tuple[object, ...], int] = {}
    for block, prefix in prefixes.items():
        if len(prefix) % BLOCK == 0:
            assert numbered.setdefault(prefix, block) == block


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=30))
def test_lanes_share_no_numbers(taken: list[tuple[int, int]]) -> None:
    lanes = [BlockNumbers(lane, 3) for lane in range(3)]
    given_out = [number for lane, count in taken for number in lanes[lane].take(count)]
    given_out += [number for lane in lanes for number in lane.named(1, 2)(4)]
    assert len(set(given_out)) == len(given_out)


def test_the_partial_block_of_a_prompt_is_another_one_once_it_is_full() -> None:
    text = Text(BlockNumbers(), BLOCK)
    text.add(6)
    first, partial = text.blocks()
    text.add(3)
    assert text.full_since(6) == [*text.blocks()[1:2]]
    assert text.blocks()[0] == first
    assert partial not in text.blocks()
