"""Print the results of `symile-data probe`: by method, or by feature."""

from __future__ import annotations

from typing import Any

from symile_data.cli.output import say
from symile_data.progress.amounts import counted

_NEARLY_ONE = 0.995  # is 1.00 in two decimals


def print_methods(found: dict[str, Any]) -> None:
    """Print the main figure of each label for each method, the mean over labels, and how methods differ in it."""
    from symile_data.cli.output.tables import print_wide

    methods = list(dict.fromkeys(name for its in found["table"].values() for name in its))
    title, header = _headings({found["labels"][label]["classes"] == 2 for label in found["table"]})
    with_ideal = any("ideal" in described for described in found["labels"].values())
    table = [["label", header, *(["ideal"] if with_ideal else []), *methods]]
    for label, its in found["table"].items():
        described = found["labels"][label]
        if described["classes"] == 2:
            shown = f"{described['positives']['test']} of {described['rows']['test']}"
        else:
            shown = f"{described['classes']} classes" + ("" if header == _CLASSES else " (accuracy)")
        ideal = [_share(list(described.get("ideal", {"": None}).values())[-1])] if with_ideal else []
        table.append([label, shown, *ideal, *(_figure(its.get(name)) for name in methods)])
    if found["mean"]:
        table.append(
            [
                "mean of labels",
                "",
                *([""] if with_ideal else []),
                *(_figure(found["mean"].get(name)) for name in methods),
            ]
        )
    print_wide(table, title)
    if found["differences"]["mean"]:
        against = found["differences"]["against"]
        tests = found["differences"]["mean"]
        several = any(test.get("over_seeds") for test in tests.values())  # one seed has no test over seeds
        rows = [[f"{against} -", "difference", "p (Holm)", *(["over seeds", "p (Holm)"] if several else [])]]
        for name, test in tests.items():
            seeds = test.get("over_seeds")
            over = ["", ""] if seeds is None else [_signed(seeds, "mean"), _p(seeds["p_holm"])]
            rows.append([name, _signed(test, "difference"), _p(test["p_holm"]), *(over if several else [])])
        added = ", and paired t-test over seeds" if several else ""
        print_wide(rows, f"Mean of labels: paired bootstrap of test rows{added}")


_CLASSES = "classes"


def _headings(two_classes: set[bool]) -> tuple[str, str]:
    """Return the title of the table of methods and the header of its second column.

    Args:
        two_classes: Whether a label has two classes, of all labels.

    >>> _headings({False})
    ('Test accuracy, 95% interval', 'classes')
    """
    if two_classes == {True}:
        return "Test AUROC, 95% interval", "positives"
    if two_classes == {False}:
        return "Test accuracy, 95% interval", _CLASSES
    return "Test AUROC, or accuracy of labels of more classes, 95% interval", "positives or classes"


def print_features(found: dict[str, Any]) -> None:
    """Print the accuracies of each label and feature, beside what can be reached without and with the data."""
    from symile_data.cli.output.tables import print_wide

    seeds = max(len(one["seeds"]) for one in found["runs"].values())
    several = f", mean over {seeds} seeds, 95% interval" if seeds > 1 else ""
    print_wide(_feature_table(found), f"Test accuracy of {found['protocol']['heads'][0]} probes{several}")


def print_notes(found: dict[str, Any]) -> None:
    """Print what the table rests on: rows, groups, policy, representations, and columns that were left out."""
    rows = ", ".join(f"{count:,} {split}" for split, count in found["rows"].items())
    say(f"rows with every modality: {rows}")
    protocol = found["protocol"]
    if protocol["group"] is not None:
        say(f"test rows are drawn by {protocol['group']}: {counted(protocol['groups'], 'group')}")
    if any(label.startswith("chexpert_") for label in found["labels"]):
        policy = protocol["policy"]
        told = f"uncertain {policy['uncertain']}, unmentioned {policy['unmentioned']}"
        say(f"policy of CheXpert's labels, version {policy['version']}: {told}")
    for name, words in protocol["representations"].items():
        say(f"{name}: {words}")
    for column, reason in found["left_out"].items():
        say(f"not probed: {column} ({reason})")


def _feature_table(found: dict[str, Any]) -> list[list[str]]:
    """Make the cells: a line for each label and feature, columns for the references and for both networks of each run.

    The column of Bayes accuracies is there for PID data only, where they are known.
    """
    labels = found["labels"]
    with_bayes = any("bayes" in described for described in labels.values())
    networks = [
        (name, network)
        for name, run in found["runs"].items()
        for network in ("untrained", "trained", "mlp", "frozen", "mlp frozen")
        if network in run
    ]
    table = [["label", "features", "chance", *(["Bayes"] if with_bayes else []), *map(_title, networks)]]
    for label, described in labels.items():
        told = described.get("information")
        first, network = networks[0]
        for number, feature in enumerate(found["runs"][first][network][label]):
            bayes = [_share(described.get("bayes", {}).get(feature))] if with_bayes else []
            values = [_mean(found["runs"][name][its][label].get(feature)) for name, its in networks]
            shown = "" if number else f"{label} ({told})" if told else label
            table.append([shown, feature, _share(described["chance"]), *bayes, *values])
    return table


def _title(network: tuple[str, str]) -> str:
    """Title a column: "symile", "symile untrained" or "symile mlp"."""
    run, kind = network
    return run if kind in ("trained", "frozen") else f"{run} {kind.partition(' ')[0]}"


def _figure(one: dict[str, Any] | None) -> str:
    if one is None or one["value"] is None:
        return ""
    return f"{one['value']:.2f}" + ("" if one["low"] is None else f" [{_bound(one['low'])}, {_bound(one['high'])}]")


def _bound(value: float) -> str:
    """Write an end of an interval within 0 and 1 in three characters: ".46" or "1.0"."""
    return f"{value:.2f}"[1:] if value < _NEARLY_ONE else "1.0"


def _signed(test: dict[str, Any], key: str) -> str:
    if test[key] is None:
        return ""
    interval = "" if test.get("low") is None else f" [{test['low']:+.3f}, {test['high']:+.3f}]"
    return f"{test[key]:+.3f}{interval}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _mean(value: dict[str, Any] | None) -> str:
    if value is None:
        return ""
    interval = f" [{value['low']:.3f}, {value['high']:.3f}]" if "low" in value else ""
    return f"{value['mean']:.3f}{interval}"
