"""The rules: name to the function that judges it, and what one violation of it is."""

from dataclasses import dataclass

RULES = {}


@dataclass
class Violation:
    """One breach. `count`: how many units of the rule it stands for. `doubt`: whether it could as well be
    another client's, as where two clients got two contents and nothing says which is right."""

    why: str
    at: int
    client: int | None = None
    topic: int | None = None
    seqs: tuple | None = None
    count: int = 1
    doubt: bool = False


@dataclass
class Rule:
    name: str
    unit: str
    judge: object


def rule(name, unit):
    """Registers a function from a story to its violations of a rule."""

    def register(judge):
        RULES[name] = Rule(name, unit, judge)
        return judge

    return register


def of_delivery(delivery, why):
    seqs = (delivery.seq, delivery.seq)
    return Violation(why, delivery.at, delivery.client, delivery.topic, seqs)
