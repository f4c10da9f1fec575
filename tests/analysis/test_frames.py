from __future__ import annotations

from analysis.synthetic import busy_run, make_run, step_row

from kvsim.analysis.frames import TRANSFER_COLUMNS, frames
from kvsim.sim.records import Cause, TransferClass

US = 10**6


def test_transfers_have_a_row_for_each_hop_in_order_of_service() -> None:
    run = make_run(
        transfers=[
            (3, TransferClass.DEMAND, TransferClass.PREFETCH, 40, 2, 512, 2, 0, 9, US, 2 * US, 9 * US)
        ],
        hops=[(3, 0, 5 * US, 6 * US, 8 * US, 512, 2 * US), (3, 2, 2 * US, 3 * US, 5 * US, 512, 2 * US)],
    )
    table = frames(run).transfers
    assert list(table.columns) == list(TRANSFER_COLUMNS)
    assert table.to_dict("records") == [
        {
            "transfer": 3,
            "hop": hop,
            "lane": lane,
            "class": "demand",
            "issued_class": "prefetch",
            "page": 40,
            "pages": 2,
            "bytes": 512,
            "source": "nvme",
            "target": "hbm",
            "step": 9,
            "requested_s": 1e-6,
            "granted_s": 2e-6,
            "queued_s": queued,
            "start_s": start,
            "end_s": end,
            "arrived_s": 9e-6,
        }
        for hop, lane, queued, start, end in ((0, "nvme", 2e-6, 3e-6, 5e-6), (1, "pcie up", 5e-6, 6e-6, 8e-6))
    ]


def test_a_transfer_without_a_lane_keeps_its_row() -> None:
    run = make_run(transfers=[(0, 0, 0, 1, 1, 64, -1, 0, 0, 0, 0, 0)])
    table = frames(run).transfers
    assert len(table) == 1
    assert table[["source", "lane", "start_s"]].isna().all(axis=None)


def test_stalls_name_their_cause_and_lane() -> None:
    run = make_run(stalls=[(0, 1, 0, US, Cause.ROOM, 1, 4), (0, 2, US, 3 * US, Cause.CODEC, -1, -1)])
    table = frames(run).stalls
    assert table["cause"].tolist() == ["room", "codec"]
    assert table["lane"].iloc[0] == "pcie down"
    assert table["lane"].isna().tolist() == [False, True]
    assert table["exposed_s"].tolist() == [1e-6, 2e-6]


def test_steps_split_their_latency_into_compute_and_exposed_time() -> None:
    run = make_run(steps=[step_row(0, 0, 10 * US, (US, 2 * US, 0, 0, 0), accesses=4, hits=3, late=1)])
    row = frames(run).steps.iloc[0]
    assert (row["latency_s"], row["compute_s"], row["exposed_s"]) == (10e-6, 7e-6, 3e-6)
    assert (row["demand_queueing_s"], row["demand_service_s"]) == (1e-6, 2e-6)
    assert (row["accesses"], row["hits"], row["late"]) == (4, 3, 1)


def test_summary_records_leave_only_steps() -> None:
    tables = frames(busy_run(200, keep_events=False))
    assert len(tables.steps) > 0
    assert tables.layers.empty
    assert tables.stalls.empty
    assert tables.transfers.empty


def test_every_time_column_is_named_in_seconds() -> None:
    tables = frames(busy_run(200))
    for table in (tables.steps, tables.layers, tables.stalls, tables.transfers):
        floats = table.select_dtypes("float").columns
        assert all(name.endswith("_s") for name in floats)
