"""Shared memory: what is written is read, blocks are reused, idle pages go back."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest

from segdiff.engines.blocks import IDLE_LIMIT, PATIENCE, SMALLEST, Mappings, Pool
from segdiff.engines.protocol import INLINE
from segdiff.engines.shared import Blocks


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (3, 5, 7), (0, 4), (70_000,)])
def test_what_is_written_is_read(dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype)
    pool = Pool("test")
    back = pool.view(pool.write(array))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


def test_an_array_that_is_not_contiguous() -> None:
    array = np.arange(24).reshape(4, 6).T
    pool = Pool("test")
    np.testing.assert_array_equal(pool.view(pool.write(array)), array)


def test_another_process_would_see_it_through_the_descriptor() -> None:
    pool, other = Pool("test"), Mappings()
    ref = pool.write(np.arange(1000))
    other.add(ref.owner, ref.block, os.dup(pool.blocks[ref.block].fd))
    np.testing.assert_array_equal(other.view(ref), np.arange(1000))


def test_a_block_is_written_again_only_after_its_release() -> None:
    pool = Pool("test")
    first, second = pool.write(np.full(100, 1)), pool.write(np.full(100, 2))
    assert first.block != second.block
    pool.release(first.block)
    assert pool.write(np.full(100, 3)).block == first.block
    np.testing.assert_array_equal(pool.view(second), np.full(100, 2))


def test_a_small_tensor_does_not_take_a_large_block() -> None:
    pool = Pool("test")
    large = pool.write(np.zeros(SMALLEST * 10, np.uint8))
    pool.release(large.block)
    assert pool.write(np.zeros(10, np.uint8)).block != large.block


def test_idle_blocks_give_their_pages_back_and_still_work() -> None:
    pool = Pool("test")
    half = IDLE_LIMIT // 2
    refs = [pool.write(np.ones(half, np.uint8)) for _ in range(4)]
    for ref in refs:
        pool.release(ref.block)
    resident = [os.fstat(pool.blocks[ref.block].fd).st_blocks * 512 for ref in refs]
    assert sum(resident) <= IDLE_LIMIT
    assert resident[-1] >= half  # those idle for longest go first
    again = [pool.write(np.full(half, n, np.uint8)) for n in range(4)]
    assert {ref.block for ref in again} == {ref.block for ref in refs}
    for number, ref in enumerate(again):
        assert pool.view(ref).min() == pool.view(ref).max() == number


def test_idle_blocks_keep_their_pages_as_long_as_little_is_used() -> None:
    pool = Pool("test", warm=0, room=4 * SMALLEST)

    def resident() -> int:
        return sum(os.fstat(block.fd).st_blocks * 512 for block in pool.blocks.values()) // SMALLEST

    refs = [pool.write(np.ones(SMALLEST, np.uint8)) for _ in range(6)]
    for ref in refs[:3]:
        pool.release(ref.block)
    assert pool.used == 3 * SMALLEST and resident() == 3 + 1
    for ref in refs[3:]:
        pool.release(ref.block)
    assert pool.used == 0 and resident() == 4
    pool.write(np.ones(4 * SMALLEST, np.uint8))
    assert resident() == 4


def test_a_block_that_nothing_fits_gives_its_pages_back_though_there_is_room() -> None:
    pool = Pool("test", warm=64 * SMALLEST, room=64 * SMALLEST)
    large = pool.write(np.ones(8 * SMALLEST, np.uint8))
    pool.release(large.block)

    def resident() -> int:
        return os.fstat(pool.blocks[large.block].fd).st_blocks * 512

    for _ in range(PATIENCE):
        pool.release(pool.write(np.ones(SMALLEST, np.uint8)).block)
    assert resident() == 8 * SMALLEST
    pool.release(pool.write(np.ones(SMALLEST, np.uint8)).block)
    assert resident() == 0
    again = pool.write(np.full(8 * SMALLEST, 2, np.uint8))
    assert again.block == large.block and pool.view(again).min() == 2


def test_the_block_of_a_tensor_is_free_once_nobody_holds_the_tensor() -> None:
    blocks = Blocks()
    array = np.arange(INLINE, dtype=np.float64)
    first = blocks.tensor(array)
    held = blocks.tensor(array)
    assert first.ref is not None and held.ref is not None
    number = first.ref.block
    del first
    gc.collect()
    third = blocks.tensor(array)
    assert third.ref is not None
    assert third.ref.block == number != held.ref.block


def test_a_small_tensor_takes_no_block() -> None:
    blocks = Blocks()
    assert blocks.tensor(np.zeros(INLINE, np.uint8)).ref is None
    assert blocks.tensor(np.zeros(INLINE + 1, np.uint8)).ref is not None
