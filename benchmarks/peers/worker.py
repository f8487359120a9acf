"""The child's side: builds one peer, then runs jobs as they are asked for, line by line."""

import gc
import importlib
import json
import os
import resource
import sys
import traceback

from peers.workload import Workload


def main():
    # Libraries print; the answers go where nothing else does.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**message):
        print(json.dumps(message), file=answers, flush=True)

    name, variant, spec = sys.argv[1:]
    try:
        workload = Workload(**json.loads(spec))
        settings, jobs = importlib.import_module(f"peers.{name}").make(workload, variant)
        answer(settings=settings)
        prepared = {}
        for line in sys.stdin:
            request = json.loads(line)
            job = request["job"]
            if job not in prepared:
                prepared[job] = jobs[job]()
                gc.collect()
            seconds = prepared[job](request["steps"])
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            answer(seconds=seconds, peak_memory_gb=memory)
    except Exception as error:
        traceback.print_exc()
        answer(error=f"{type(error).__name__}: {error}".splitlines()[0][:300])


if __name__ == "__main__":
    main()
