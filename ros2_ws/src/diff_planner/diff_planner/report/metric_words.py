"""What each metric of an evaluation says, in words: one place for tables, plots and pages."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Group(str, enum.Enum):
    """Which table of the page a metric belongs in."""

    TOTAL = "total"
    SUB_SCORE = "sub-score"
    PROPOSALS = "the set of proposals"
    HUMAN = "distance to the human"


@dataclass(frozen=True)
class MetricWords:
    """A metric as a reader meets it."""

    key: str
    """Its name in results.jsonl."""
    short: str
    title: str
    words: str
    group: Group
    scale: float = 100.0
    """What the stored value is multiplied with on the page."""
    unit: str = ""
    is_rate: bool = False
    """True where a scene has it or not: the interval is then Wilson's, if no value lies between."""


def _sub(key: str, short: str, title: str, words: str, *, is_rate: bool = True) -> MetricWords:
    return MetricWords(key, short, title, words, Group.SUB_SCORE, is_rate=is_rate)


def _metres(key: str, title: str, words: str, group: Group) -> MetricWords:
    return MetricWords(key, title, title, words, group, 1.0, "m")


def _at_k(metric: str, k: int) -> MetricWords:
    name = f"{metric.upper()}@{k}"
    return MetricWords(
        f"{metric}_at_{k}",
        name,
        name,
        f"The score of the {'best' if k == 1 else f'{k}th best'} proposal of each scene, ranked "
        "by true score, averaged over scenes (our definition; the published one is not written "
        "down)." + (" No way of choosing among these proposals does better." if k == 1 else ""),
        Group.PROPOSALS,
    )


def _best(metric: str, k: int) -> MetricWords:
    title = f"{metric.upper()}, mean of the best {k}"
    return MetricWords(
        f"{metric}_mean_of_best_{k}",
        title,
        title,
        f"The other reading of {metric.upper()}@{k}: the mean score of the {k} best proposals of "
        "each scene.",
        Group.PROPOSALS,
    )


CATALOGUE: tuple[MetricWords, ...] = (
    MetricWords(
        "pdms",
        "PDMS",
        "PDMS",
        "NAVSIM v1's score of a plan that is followed for 4 s while all others do what they did: "
        "NC x DAC x (5 EP + 5 TTC + 2 C) / 12. One collision or one wheel off the road makes it 0.",
        Group.TOTAL,
    ),
    MetricWords(
        "epdms",
        "EPDMS",
        "EPDMS",
        "NAVSIM v2's score, one stage: NC x DAC x DDC x TLC x (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) "
        "/ 16; where there is no plan of 0.5 s before, without EC and / 14. Nothing is forgiven.",
        Group.TOTAL,
    ),
    MetricWords(
        "epdms_filtered",
        "EPDMS filtered",
        "EPDMS with the human filter",
        "The same, but in scenes where the human driver got 0 in a sub-score the plan is forgiven "
        "that one. Published figures have this filter on.",
        Group.TOTAL,
    ),
    _sub(
        "nc",
        "NC",
        "no at-fault collision",
        "0 where the ego runs into a vehicle, pedestrian or bicycle by its own fault, 0.5 where "
        "into another thing, else 1. Being hit from behind is not its fault.",
    ),
    _sub(
        "dac",
        "DAC",
        "drivable area",
        "1 where every corner of the vehicle stays on the drivable area for 4 s, else 0.",
    ),
    _sub(
        "ddc",
        "DDC",
        "driving direction",
        "Against oncoming traffic for less than 2 m in a second: 1; less than 6 m: 0.5; else 0. "
        "PDMS only reports it.",
    ),
    _sub("tlc", "TLC", "traffic lights", "0 where the ego enters a stretch whose light is red."),
    _sub(
        "ep",
        "EP",
        "ego progress",
        "Progress along the route in 4 s, as a share of what the reference plan makes.",
        is_rate=False,
    ),
    _sub(
        "ttc",
        "TTC",
        "time to collision",
        "0 where the ego, going on straight at its speed, would hit somebody ahead within about "
        "a second, else 1.",
    ),
    _sub(
        "comfort",
        "C",
        "comfort",
        "1 where accelerations, jerks and yaw rates stay within NAVSIM's bounds, else 0.",
    ),
    _sub(
        "lk",
        "LK",
        "lane keeping",
        "0 where the ego is over 0.5 m off the middle of its lane for 2 s outside of "
        "intersections, else 1.",
    ),
    _sub(
        "hc",
        "HC",
        "history comfort",
        "Comfort of what was driven in the last 1.5 s and the plan together.",
    ),
    _sub(
        "ec",
        "EC",
        "extended comfort",
        "0 where the plan departs sharply from the one of 0.5 s before, else 1.",
    ),
    *(_at_k(metric, k) for metric in ("pdms", "epdms") for k in (1, 5, 10)),
    *(_best(metric, k) for metric in ("pdms", "epdms") for k in (5, 10)),
    MetricWords(
        "diversity",
        "Div",
        "diversity",
        "Mean distance between two proposals over their mean distance from the ego, cut at 1, "
        "averaged over the steps: 0 all alike. It does not say whether the variety is of any use.",
        Group.PROPOSALS,
    ),
    _metres(
        "divergence_m",
        "divergence",
        "HDP's spread: mean distance of the end points of all proposals to their middle.",
        Group.PROPOSALS,
    ),
    _metres(
        "ade_m",
        "ADE",
        "Mean distance of the chosen plan to what the human drove, over 4 s.",
        Group.HUMAN,
    ),
    _metres("fde_m", "FDE", "The same at 4 s.", Group.HUMAN),
    _metres("min_ade_m", "minADE", "ADE of the nearest of all proposals.", Group.HUMAN),
    _metres("min_fde_m", "minFDE", "FDE of the nearest of all proposals.", Group.HUMAN),
    MetricWords(
        "hdp_open_loop",
        "HDP",
        "HDP open-loop score",
        "(1 - share of proposals that collide by their own fault) x (0.35 nearness by minADE + "
        "0.25 by minFDE + 0.40 comfort), 0 to 100. A reconstruction of Hyper Diffusion Planner's "
        "score: compare with our own numbers only.",
        Group.HUMAN,
        scale=1.0,
    ),
)
_BY_KEY = {words.key: words for words in CATALOGUE}


def words_of(key: str) -> MetricWords:
    """Return the words of a metric; one without any is shown under its own name."""
    found = _BY_KEY.get(key)
    if found is not None:
        return found
    return MetricWords(key, key, key, "No description is written for it.", Group.SUB_SCORE, 1.0)


def in_order(keys: set[str]) -> list[MetricWords]:
    """Return the words of these metrics in the order of the catalogue, unknown ones last."""
    known = [words for words in CATALOGUE if words.key in keys]
    return known + [words_of(key) for key in sorted(keys - _BY_KEY.keys())]
