"""Every interleaving of a plan's steps: each state that can be reached is reached, and looked at, once."""

import time
from dataclasses import dataclass

from tests.caching.chance import no_time_or_chance
from tests.caching.processes import Stale
from tests.caching.stepping import RememberedValkey
from tests.caching.world import Move, Plan, State, World


@dataclass
class Explored:
    """`steps` lead from state to state; `cells` are states of single processes, and `runs` how many times a step was
    taken by real code to find them. `seconds` are of CPU."""

    states: int = 0
    steps: int = 0
    ends: int = 0
    cells: int = 0
    runs: int = 0
    seconds: float = 0.0


def explore(plan: Plan, valkey: RememberedValkey) -> Explored:
    """Raises Stale, which tells the steps that lead to it."""
    began = time.process_time()
    found = Explored()
    seen: set[bytes] = set()
    path: list[Move] = []
    with no_time_or_chance():
        world = World(plan, valkey)
        state = world.first()
        ahead: list[tuple[State, list[Move]]] = [(state, world.moves(state))]
        seen.add(world.digest(state))
        try:
            while ahead:
                state, moves = ahead[-1]
                if not moves:
                    ahead.pop()
                    if path:
                        path.pop()
                    continue
                move = moves.pop()
                path.append(move)
                following = world.after(state, move)
                found.steps += 1
                digest = world.digest(following)
                if digest in seen:
                    path.pop()
                    continue
                seen.add(digest)
                world.check(following)
                moves = world.moves(following)
                if not moves:
                    found.ends += 1
                ahead.append((following, moves))
        except Stale as stale:
            raise Stale(f"{stale}, after " + "; ".join(" ".join(map(str, move)) for move in path)) from stale
    found.states, found.runs, found.cells = len(seen), world.cells.runs, world.cells.count
    found.seconds = time.process_time() - began
    return found
