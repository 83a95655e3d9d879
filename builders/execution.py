"""Run a stage of a build: every product that is not yet done, on worker processes, with progress and a journal.

A product's function is pure (it depends on its arguments alone), so the bytes do not depend on how many workers there
are, on their order or on interruptions. Nothing here knows a dataset.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from symile_data.errors import SymileDataError
from symile_data.files import file_sha256
from symile_data.progress import stage

from .workspace import Product, Workspace

# Writes the product to the path (atomically) and returns a JSON-like result.
Make = Callable[[Any, Path], dict[str, Any]]


def worker_pool(workers: int) -> Executor | None:
    """A pool of worker processes, or None where the caller's own process does the work.

    Workers are spawned, not forked: forking a process that runs Arrow's threads can deadlock.
    """
    if workers <= 1:
        return None
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_start_worker)


def run_stage(
    workspace: Workspace, title: str, products: Sequence[Product], make: Make, pool: Executor | None
) -> list[dict[str, Any]]:
    """Make every product that is not already done.

    Returns:
        The products' results, in the order of `products`, whether made now or in an earlier run.
    """
    results = {product.path: workspace.finished(product) for product in products}
    todo = [product for product in products if results[product.path] is None]
    with stage(title, len(products), _unit(products)) as advance:
        advance(len(products) - len(todo))
        for product, (made, size, sha256) in _completed(workspace.directory, todo, make, pool):
            workspace.record(product, made, size, sha256)
            results[product.path] = made
            advance()
    return [result for product in products if (result := results[product.path]) is not None]


_Outcome = tuple[dict[str, Any], int, str]


def _completed(
    directory: Path, todo: Sequence[Product], make: Make, pool: Executor | None
) -> Iterator[tuple[Product, _Outcome]]:
    if pool is None:
        for product in todo:
            yield product, _make_and_measure(make, product.arguments, directory / product.path)
        return
    try:
        futures = {
            pool.submit(_make_and_measure, make, product.arguments, directory / product.path): product
            for product in todo
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise SymileDataError(
            "a worker process died, probably for lack of memory",
            do="run the same command again with fewer --workers: finished files are kept",
        ) from None
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _make_and_measure(make: Make, arguments: Any, path: Path) -> _Outcome:
    result = make(arguments, path)
    return result, path.stat().st_size, file_sha256(path)


def _unit(products: Sequence[Product]) -> str:
    return "files" if products and products[0].path.startswith(".") else "shards"


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
