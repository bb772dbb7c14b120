"""What is refused before it is recorded."""

from __future__ import annotations

from typing import Any

import pytest

import featurestore as fs
from featurestore.errors import DefinitionError
from featurestore.operations.definitions import apply_definitions, recorded

SOURCE = fs.EventSource("events", schema={"id": "int64", "user_id": "int64", "at": "timestamp"}, event_id="id", event_time="at")
USERS = fs.FeatureView(
    "users",
    entity=fs.Entity("user", key="user_id"),
    source=SOURCE,
    aggregations=[fs.Count("bought", windows=["1y"]), fs.Count("seen", windows=["1y"])],
)
OTHER = fs.FeatureView("other", entity=USERS.entity, source=SOURCE, aggregations=[fs.Count("n", windows=["1y"])])
GOOD: dict[str, Any] = {"fit": "beta_binomial", "inputs": ["users:bought_1y", "users:seen_1y"]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"fit": "nosuch"}, "no fitter 'nosuch'"),
        ({"fit": "beta_binomal"}, "Did you mean 'beta_binomial'"),
        ({"loss": "pinball"}, "losses of 'beta_binomial' are log_loss, brier"),
        ({"fit": "order_cutoff"}, "losses of 'order_cutoff' are pinball. Write loss='pinball'"),
        ({"inputs": ["users:bought_1y"]}, "takes successes, trials"),
        ({"inputs": ["users:bought_1y", "other:n_1y"]}, "must share one view"),
        ({"by": "other:n_1y"}, "must share one view"),
    ],
)
def test_a_calibration_that_could_never_be_fitted_is_neither_planned_nor_recorded(
    tmp_path: Any, changed: dict[str, Any], says: str
) -> None:
    store = fs.FeatureStore(tmp_path / "store")
    wrong = fs.Calibration("prior", **(GOOD | changed))
    for call in (store.plan, store.apply):
        with pytest.raises(DefinitionError, match=says):
            call([USERS, OTHER, wrong])
    assert not store.layout.registry.exists()
    store.apply([USERS, fs.Calibration("prior", **GOOD)])


def test_a_calibration_that_was_recorded_before_it_was_checked_locks_nobody_out(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fs.FeatureStore(tmp_path / "store")
    wrong = fs.Calibration("prior", **(GOOD | {"fit": "nosuch"}))
    with monkeypatch.context() as older:
        older.setattr("featurestore.operations.definitions.check_definition", lambda calibration: None)
        apply_definitions(store.layout, [USERS, wrong])
    assert "nosuch" in str(recorded(store.layout).calibrations["prior"])
    store.apply([OTHER])
    store.apply([fs.Calibration("prior", **GOOD)])
    assert recorded(store.layout).calibrations["prior"].fit == "beta_binomial"
