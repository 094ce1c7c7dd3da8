"""What was written and acknowledged, and what that forbids a later answer to show."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_STAMP = re.compile(rb"r(\d{3}) s(\d{8})")

Pairs = list[tuple[int, int]]


def stamp(resource: int, state: int) -> str:
    """To stand in the title of a post or the name of a user, and nowhere else."""
    return f"r{resource:03} s{state:08}"


def stamps_in(body: bytes) -> Pairs:
    """Resources and the states they are shown in."""
    return [(int(resource), int(state)) for resource, state in _STAMP.findall(body)]


class Ack(NamedTuple):
    """`process` acknowledged at `at` that a resource is in this state; None: another process than those that answer."""

    state: int
    at: float
    process: int | None


class History:
    """Of `size` resources. The states of each are numbered, ever higher: in the odd ones it is shown to strangers, in
    the even ones there is nothing to show, and all begin in state 0. One writer at a time for each."""

    def __init__(self, size: int) -> None:
        self.floors = [0] * size
        """The state that was acknowledged last, by resource: what begins from now on shows no older one."""
        self.begun = [0] * size
        self.hidden_begun = [0] * size
        self.acks: list[list[Ack]] = [[] for _ in range(size)]
        self.latest = 0
        """The resource of which something was acknowledged last."""

    def begin(self, resource: int, *, hides: bool = False) -> int:
        """The state that it is about to be written in."""
        state = self.begun[resource] + 1
        if state % 2 == hides:
            state += 1
        self.begun[resource] = state
        if hides:
            self.hidden_begun[resource] = state
        return state

    def acknowledge(self, resource: int, state: int, at: float, process: int | None) -> None:
        assert state > self.floors[resource]
        self.floors[resource] = state
        self.latest = resource
        self.acks[resource].append(Ack(state, at, process))

    def written(self) -> int:
        return sum(map(len, self.acks))

    def older(self, floors: Sequence[int], shown: Pairs, expected: Sequence[int]) -> Pairs:
        """Of an answer that was asked for when the floors were these and must show what is `expected` of it: which
        resources it shows in an older state, or does not show as no newer state allows; each with the newest state that
        this can be."""
        found = [pair for pair in shown if pair[1] < floors[pair[0]]]
        there = {resource for resource, _ in shown}
        for resource in expected:
            if resource not in there:
                floor = floors[resource]
                if floor % 2 and self.hidden_begun[resource] < floor:
                    found.append((resource, floor - 1))
        return found

    def total_is_possible(self, floors: Sequence[int], counted: Sequence[int], total: int) -> bool:
        """Of those `counted`, if they are all there are."""
        surely = possibly = 0
        for resource in counted:
            floor = floors[resource]
            if floor % 2:
                possibly += 1
                surely += self.hidden_begun[resource] < floor
            elif self.begun[resource] > floor:
                possibly += 1
        return surely <= total <= possibly

    def lately(self, resource: int, before: float, within_s: float) -> list[int]:
        """The states that were acknowledged within so long before then, newest first."""
        found = []
        for ack in reversed(self.acks[resource]):
            if ack.at < before - within_s:
                break
            if ack.at <= before:
                found.append(ack.state)
        return found

    def missed(self, resource: int, state: int, before: float) -> list[Ack]:
        """What was acknowledged until then, newest first, and is newer than this state."""
        found = []
        for ack in reversed(self.acks[resource]):
            if ack.state <= state:
                break
            if ack.at <= before:
                found.append(ack)
        return found
