"""Another process reads the table: every state whole, and no file that is not a table."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mevfast._cache import Table
from mevfast._pool import Pool
from mevfast._slots import TableReader
from mevfast.errors import DataError
from tests import frames
from tests.conftest import ROOT
from tests.frames import address
from tests.oracle.univ3 import sqrt_ratio_at_tick
from tests.pools import EXAMPLES, id_of, tokens_of
from tests.table_child import ENOUGH, GAP, reserve_of

V2, V3, WIDE = (address(i) for i in range(1, 4))
TOKENS = tuple(address(10 + i) for i in range(8))
SECONDS = 2.5
LONG = 120.0
"""Seconds: on one core, until the writer is taken off it inside a slot."""
L = 10**18
V2_STATE = {"reserve0": 1, "reserve1": 1 + GAP, "fee_pips": 3000}
V3_STATE = {
    "sqrt_price_x96": sqrt_ratio_at_tick(0),
    "liquidity": L,
    "tick": 0,
    "tick_spacing": 10,
    "fee_pips": 500,
    "ticks": [(-887270, L, L), (887270, L, -L)],
}


def weighted(balance: int) -> Pool:
    """A pool of eight tokens whose balances are equal: 872 bytes of the arena."""
    return Pool("balancer_weighted", {
        "balances": [balance] * 8, "scaling_factors": [10**18] * 8,
        "weights": [125 * 10**15] * 8, "swap_fee": 10**15,
    })  # fmt: skip


def fill(table: Table) -> None:
    table.put(V2, "uniswap_v2", TOKENS[:2], V2_STATE, 0)
    table.put(V3, "uniswap_v3", TOKENS[:2], V3_STATE, 0)
    table.put(WIDE, "balancer_weighted", TOKENS, weighted(1), 0)


def logs() -> list[bytes]:
    """Syncs of reserves that their place gives, and positions that come and go."""
    spans = [(-10 * i, 10 * i + 5, L + i) for i in range(1, 20)]
    moves = [(make, span) for make in (frames.v3_mint, frames.v3_burn) for span in spans]
    out: list[bytes] = []
    for make, span in moves:
        for _ in range(2):
            value = reserve_of(len(out))
            out.append(frames.v2_sync(V2, value, value + GAP, block=1, index=len(out)))
        out.append(make(V3, *span, block=1, index=len(out)))
    return out


def race(path: Path, seconds: float, how: str) -> dict[str, Any]:
    """What a reading process saw while this one wrote."""
    table = Table(4, 4096, path=path)
    fill(table)
    events, wide = logs(), [weighted(n) for n in range(1, 1 << 70, 1 << 64)]
    child = [sys.executable, "-m", "tests.table_child", str(path), str(seconds), how]
    with subprocess.Popen(child, cwd=ROOT, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        block = 1
        while reader.poll() is None:
            assert table.replay(events, 20) == 20 * len(events)
            for _ in range(20):
                for i, pool in enumerate(wide):
                    assert table.overwrite(2, pool, block, i + 1) == "changed"
                block += 1
            table.put(V2, "uniswap_v2", TOKENS[:2], V2_STATE, 0)  # the next replay starts behind it
            table.put(V3, "uniswap_v3", TOKENS[:2], V3_STATE, 0)
        result: dict[str, Any] = json.loads(reader.stdout.read())
        assert reader.returncode == 0
    return result


def test_another_process_sees_every_state_whole(tmp_path: Path) -> None:
    result = race(tmp_path / "table", SECONDS, "checked")
    assert result["torn"] == {"uniswap_v2": 0, "uniswap_v3": 0, "balancer_weighted": 0}
    assert min(result["reads"].values()) >= ENOUGH
    assert result["states"] > 100


def test_without_the_sequence_lock_states_are_torn(tmp_path: Path) -> None:
    """The race above is one: whoever does not ask the lock sees halves of states, of every sort."""
    torn = race(tmp_path / "table", LONG, "unchecked")["torn"]
    assert all(count > 0 for count in torn.values()), torn


# ---- what is in a file ----


def test_a_reader_has_what_the_writer_has(tmp_path: Path) -> None:
    table = Table(32, 4096, path=tmp_path / "table", chain_id=42161)
    for kind, state in EXAMPLES.items():
        table.put(id_of(kind), kind, tokens_of(kind), state, 7)
    table.add(V2, "solidly", TOKENS[:2])
    table.head_block = 9
    table.count("rpc_calls", 5)
    table.quarantine(3)
    reader = TableReader(tmp_path / "table")
    assert reader.slots() == table.slots()
    assert [reader.read(slot) for slot in reader.slots()] == [
        table.read(slot) for slot in table.slots()
    ]
    assert {kind: reader.slot(id_of(kind)) for kind in EXAMPLES} == {
        kind: table.slot(id_of(kind)) for kind in EXAMPLES
    }
    assert list(reader.states()) == list(table.states())
    assert reader.counters() == table.counters()
    assert (len(reader), reader.stale(), reader.tokens()) == (
        len(EXAMPLES) + 1, [len(EXAMPLES)], table.token_addresses,
    )  # fmt: skip
    header = reader.header()
    assert (header["chain_id"], header["head_block"], reader.head_block) == (42161, 9, 9)
    assert (header["writer_pid"], header["writer_alive"]) == (os.getpid(), True)
    assert (tmp_path / "table").stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["table"]
    del table
    assert not TableReader(tmp_path / "table").header()["writer_alive"]


def test_a_living_writers_file_is_refused_and_a_dead_ones_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = Table(4, 64, path=path)
    slot = table.put(V2, "uniswap_v2", TOKENS[:2], V2_STATE, 0)
    with pytest.raises(DataError, match=f"{path}: .* was process {os.getpid()}'s"):
        Table(4, 64, path=path)
    reader = TableReader(path)
    del table
    again = Table(4, 64, path=path)
    assert len(again) == 0
    assert reader.read(slot)["reserve1"] == 1 + GAP  # of the file that it opened
    assert not reader.header()["writer_alive"]
    code = "from mevfast._cache import Table; import os; t = Table(4, 64, path='{}'); os._exit(0)"
    del again
    subprocess.run([sys.executable, "-c", code.format(path)], cwd=ROOT, check=True)
    assert len(Table(4, 64, path=path)) == 0  # killed, not closed


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: b"", "cannot be mapped"),
        (lambda raw: b"{}" * 5000, "was another file of 10000 bytes"),
        (lambda raw: raw[:8] + b"\7" + raw[9:], "expected a table of layout 1, was 7"),
        (lambda raw: raw[:-4096], "file: expected .* bytes, was"),
        (lambda raw: raw[:12] + b"\0\1" + raw[14:], "header: expected .* bytes, was 256"),
    ],
)
def test_a_file_that_is_no_table_is_refused_by_name(
    tmp_path: Path, damage: Any, words: str
) -> None:
    path = tmp_path / "table"
    Table(4, 64, path=path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=f"^{path}: .*{words}"):
        TableReader(path)


def test_missing_files_and_what_is_no_table_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        TableReader(tmp_path / "none")
    with pytest.raises(DataError, match="No such file"):
        Table(4, 64, path=tmp_path / "none" / "table")
    other = tmp_path / "other"
    other.write_text("mine")
    with pytest.raises(DataError, match="expected a table's file or none, was another file"):
        Table(4, 64, path=other)
    assert other.read_text() == "mine"
