from __future__ import annotations

from cold_start import Run, missing, summary

from quorate.core.history import Operation


def test_what_was_acknowledged_and_is_not_there_is_counted() -> None:
    done = [Operation(0.0, 0.1, "ok", facts={"number": number}) for number in range(1, 6)]
    unsure = Operation(0.0, 0.1, "unknown", facts={"number": 9})
    assert missing({"writes": [*done, unsure]}, {"writes": {"numbers": [[1, 2], [4, 5]]}}) == 1
    assert missing({"writes": done}, {"writes": {}}) == 0


def test_the_worst_function_of_tokens_counts() -> None:
    runs = [
        Run({"token_issue": 20.0, "token_validation": 30.0, "database_write": 90.0}, {"galera": 12.0}, 0),
        Run({"token_issue": 50.0, "token_validation": 40.0, "database_write": 10.0}, {"rabbitmq": 4.0}, 2),
    ]
    assert summary(runs) == {
        "median_s": 40.0,
        "worst_s": 50.0,
        "lost": 2,
        "runs": 2,
        "functions": {"token_issue": 35.0, "token_validation": 35.0, "database_write": 50.0},
        "phases": {"galera": 6.0, "rabbitmq": 2.0},
    }
