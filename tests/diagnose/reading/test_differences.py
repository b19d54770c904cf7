"""How two arrays differ, named."""

import numpy as np
import pytest

from segdiff.diagnose.reading.differences import difference, same

RANDOM = np.random.default_rng(5)
KERNEL = RANDOM.standard_normal((8, 6, 3, 3)).astype(np.float32)
VECTOR = RANDOM.standard_normal(32).astype(np.float32)


def zeroed(array, channels, axis):
    copy = array.copy()
    np.moveaxis(copy, axis, 0)[channels] = 0
    return copy


def one_moved(array):
    copy = array.copy()
    copy.flat[7] += 0.5
    return copy


def by_step(array, step):
    return (np.round(array / step) * step).astype(np.float32)


def cut_off(array):
    return (array.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


CHANGES = {
    "parameter.sign": [lambda a: -a],
    "parameter.scale": [lambda a: a * np.float32(1.01), lambda a: a / np.float32(255), lambda a: a * -2],
    "parameter.channel_zeroed": [lambda a: zeroed(a, 3, 0), lambda a: zeroed(a, [1, 4], 0)],
    "parameter.channels": [lambda a: a[::-1].copy(), lambda a: np.roll(a, 1, 0)],
    "parameter.fp16": [lambda a: a.astype(np.float16).astype(np.float32)],
    "parameter.bf16": [cut_off],
    "parameter.int8": [lambda a: by_step(a, np.abs(a).max() / 127)],
    "parameter.element": [one_moved],
    "parameter.value": [lambda a: a + 1, lambda a: a**2, lambda a: np.zeros_like(a), np.tanh],
}
CASES = [(kind, change) for kind, changes in CHANGES.items() for change in changes]


@pytest.mark.parametrize("array", [KERNEL, VECTOR], ids=["kernel", "vector"])
@pytest.mark.parametrize(("kind", "change"), CASES, ids=[f"{k}-{n}" for n, (k, _) in enumerate(CASES)])
def test_a_change_has_its_name(kind, change, array) -> None:
    axes = (0, 1) if array.ndim > 1 else (0,)
    assert difference(change(array), array, axes)[0] == kind


def test_input_channels_are_channels_too() -> None:
    assert difference(KERNEL[:, [1, 0, 2, 3, 4, 5]], KERNEL, (0, 1)) == (
        "parameter.channels",
        "with channels 0, 1 exchanged",
    )


def test_integers_with_a_scale_for_each_channel() -> None:
    wide = KERNEL * np.logspace(-2, 2, 8, dtype=np.float32).reshape(-1, 1, 1, 1)
    step = np.abs(wide).max(axis=(1, 2, 3), keepdims=True) / 127
    assert difference(by_step(wide, step), wide, (0, 1))[0] == "parameter.int8"


def test_a_weight_half_way_between_two_integers_may_go_to_either() -> None:
    wide = np.linspace(-127, 127, 1017, dtype=np.float32)  # every fourth one lies half way
    assert difference(np.floor(wide + np.float32(0.5)), wide, ())[0] == "parameter.int8"
    assert difference(np.floor(wide), wide, ())[0] == "parameter.value"


def test_rounding_is_no_difference() -> None:
    factor = np.float32(0.37)
    one = (KERNEL * factor) / np.float32(3.0)
    assert same(one, KERNEL.astype(np.float64) * float(factor) / 3.0)
    assert same(KERNEL, KERNEL.astype(np.float16))  # of that type's own rounding
    assert not same(KERNEL, KERNEL.astype(np.float16).astype(np.float32))


def test_the_words_say_where() -> None:
    kind, words = difference(one_moved(KERNEL), KERNEL, (0, 1))
    assert kind == "parameter.element" and "[0, 0, 2, 1]" in words
