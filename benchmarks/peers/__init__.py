"""The contestants of `compare.py`, one a file, each run in a process of its own.

A peer's module has `REQUIRES` (what to import, and the command that installs it), `MODELS` (which
of the workload's models it has), `FORWARD` (the job that answers requests) and
`make(workload, variant)`, which returns what to print about its settings and a dict from the name
of a job to a function that prepares it. A prepared job takes a number of steps, runs them, and
returns seconds a step: one number for each step, or one for all.
"""
