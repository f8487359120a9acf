"""The number of threads changes no bit of what is trained."""

from tests.support import processes


def test_every_number_of_threads_learns_the_same():
    """1, 2, 3 and 7 threads in fresh processes: weights, slots and predictions to the last bit.

    With the native kernels, where there is a compiler, and with TensorFlow's operations alone.
    """
    digests = {}
    for threads in (1, 2, 3, 7):
        (ended,) = processes.run("tests.support.thread_run", threads)
        assert ended.returncode == 0, ended.stdout[-3000:]
        digests[threads] = ended.stdout.split()[-2:]
    assert len({tuple(pair) for pair in digests.values()}) == 1, digests
