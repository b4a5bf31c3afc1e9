"""Work done ahead of its reader, by threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int
) -> Iterator[Result]:
    """`work(item)` for each item, in the order of the items.

    Threads, not processes: torch, numpy and Pillow let go of the interpreter while they work,
    and nothing has to be sent. An error of a thread is raised where its result would have come.
    Closing the iterator drops what has not begun and waits for what has.

    Args:
        work: Called in some thread; must not depend on the order of the calls.
        items: Taken one by one, at most `ahead` before their results are.
        workers: Threads; 0 works in the caller's thread, when a result is asked for.
        ahead: The most results that are begun and not yet taken.

    Example:
        >>> list(ordered(abs, [-3, 2, -1], workers=2, ahead=2))
        [3, 2, 1]
    """
    if workers == 0:
        yield from map(work, items)
        return
    executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="luthier-data")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(work, item))
            if len(waiting) >= max(ahead, 1):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
