"""The tensor contract that people read is the one that the card of nano states."""

import re

from contract.source_tree import REPOSITORY
from diff_planner.inference.card import load_card

_ROW = re.compile(r"^\| `(\w+)` \| \[([\d, ]+)\] \| (\w+) \|", re.MULTILINE)


def test_the_tensor_tables_of_the_models_page_are_those_of_nanos_card():
    text = (REPOSITORY / "models" / "README.md").read_text(encoding="utf-8")
    written = {
        name: (tuple(int(size) for size in shape.split(",")), dtype)
        for name, shape, dtype in _ROW.findall(text)
    }
    card = load_card(REPOSITORY / "models" / "nano")
    stated = {**card.graph_inputs, **card.outputs}
    assert written == {name: (spec.shape, spec.dtype) for name, spec in stated.items()}
