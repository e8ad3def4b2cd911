"""The process pools of Python's standard library: pool.py executor|map MESSAGE_BYTES IN_FLIGHT NODES

Commands of the benchmark, a line each on stdin; the answer is a line of JSON. End of file ends the program.
  one COUNT              one call at a time: seconds, p50_us, p99_us
  many COUNT IN_FLIGHT   at most so many calls unanswered: seconds (`map` chooses its own chunks instead)
  spin COUNT US          calls that work so long, all at once: seconds
"""

import collections
import concurrent.futures
import json
import multiprocessing
import pickle
import sys
import time


def echo(text):
    return text


def spin(us):
    """Uses so much CPU time."""
    end = time.thread_time_ns() + us * 1000
    while time.thread_time_ns() < end:
        pass


class Executor:
    """ProcessPoolExecutor."""

    def __init__(self, nodes):
        self.pool = concurrent.futures.ProcessPoolExecutor(nodes)

    def one(self, function, argument):
        return self.pool.submit(function, argument).result()

    def many(self, function, argument, count, in_flight):
        waiting = collections.deque()
        for _ in range(count):
            if len(waiting) == in_flight:
                waiting.popleft().result()
            waiting.append(self.pool.submit(function, argument))
        while waiting:
            waiting.popleft().result()

    def close(self):
        self.pool.shutdown()


class Map:
    """multiprocessing.Pool.map."""

    def __init__(self, nodes):
        self.pool = multiprocessing.Pool(nodes)

    def one(self, function, argument):
        return self.pool.map(function, [argument])[0]

    def many(self, function, argument, count, _in_flight):
        # Of one object over and over pickle would send references only.
        pickled = pickle.dumps(argument)
        self.pool.map(function, [argument] + [pickle.loads(pickled) for _ in range(count - 1)])

    def close(self):
        self.pool.close()
        self.pool.join()


def time_one(pool, text, count):
    times = []
    start = time.perf_counter()
    for _ in range(count):
        begin = time.perf_counter()
        pool.one(echo, text)
        times.append((time.perf_counter() - begin) * 1e6)
    seconds = time.perf_counter() - start
    times.sort()
    percentile = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    return {"seconds": seconds, "p50_us": percentile(0.5), "p99_us": percentile(0.99)}


def time_many(pool, function, argument, count, in_flight):
    start = time.perf_counter()
    pool.many(function, argument, count, in_flight)
    return {"seconds": time.perf_counter() - start}


def main():
    kind, message_bytes, _in_flight, nodes = sys.argv[1], *map(int, sys.argv[2:5])
    pool = {"executor": Executor, "map": Map}[kind](nodes)
    text = "x" * message_bytes
    commands = {
        "one": lambda count: time_one(pool, text, count),
        "many": lambda count, in_flight: time_many(pool, echo, text, count, in_flight),
        "spin": lambda count, us: time_many(pool, spin, us, count, count),
    }
    for line in sys.stdin:
        name, *numbers = line.split()
        try:
            answer = commands[name](*map(int, numbers))
        except Exception as error:  # told to the benchmark, which names it
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
    pool.close()


if __name__ == "__main__":
    main()
