"""Makes a failed worker exit instead of hanging."""

import contextlib
import gc


def let_go(error, caller):
    """Clears the variables of the functions that an error came through.

    Python keeps them with the error until the process ends, the iterators of the data among them.
    Where these run Python, as `from_generator` does, TensorFlow then waits in their destructor for
    a thread that waits for a Python that is no more, and a worker whose peer was lost never ends.
    Keras takes its own functions out of the traceback, so each one's callers are looked at too.

    Args:
        error: the exception.
        caller: the frame that caught it; it and its callers are left alone.
    """
    frames, errors = [], [error]
    for each in errors:
        errors += [e for e in (each.__cause__, each.__context__) if e and e not in errors]
        traceback = each.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            while frame is not None and frame is not caller:
                frames.append(frame)
                frame = frame.f_back
            traceback = traceback.tb_next
    for frame in frames:
        # One of another thread may still run.
        with contextlib.suppress(RuntimeError):
            frame.clear()
    del frames, frame, each, errors, traceback
    # Keras's iterator of an epoch and the generator it runs know each other.
    gc.collect()
