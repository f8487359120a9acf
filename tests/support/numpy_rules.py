"""The update rules in NumPy float64, row by row with plain loops: independent of the library."""

import numpy as np


def summed_rows(values, rows):
    """Row number to the sum of its gradients."""
    total = {}
    for row, value in zip(rows, np.asarray(values, np.float64), strict=True):
        total[int(row)] = total.get(int(row), 0.0) + value
    return total


class RowWiseAdagrad:
    def __init__(self, table, lr=0.1, initial=0.0, eps=1e-8):
        self.w, self.lr, self.eps = np.array(table, np.float64), lr, eps
        self.m = np.full(len(self.w), initial)

    def step(self, values, rows):
        for r, g in summed_rows(values, rows).items():
            self.m[r] += sum(x * x for x in g) / len(g)
            self.w[r] -= self.lr * g / (np.sqrt(self.m[r]) + self.eps)


class Adagrad:
    def __init__(self, table, lr=0.1, initial=0.1, eps=1e-7):
        self.w, self.lr, self.eps = np.array(table, np.float64), lr, eps
        self.m = np.full(self.w.shape, initial)

    def step(self, values, rows):
        for r, g in summed_rows(values, rows).items():
            self.m[r] += g**2
            self.w[r] -= self.lr * g / (np.sqrt(self.m[r]) + self.eps)


class SGD:
    def __init__(self, table, lr=0.1, momentum=0.0, nesterov=False):
        self.w, self.lr, self.mu, self.nesterov = (
            np.array(table, np.float64),
            lr,
            momentum,
            nesterov,
        )
        self.v = np.zeros(self.w.shape)

    def step(self, values, rows):
        for r, g in summed_rows(values, rows).items():
            self.v[r] = self.mu * self.v[r] - self.lr * g
            self.w[r] += self.mu * self.v[r] - self.lr * g if self.nesterov else self.v[r]


class LazyAdam:
    def __init__(self, table, lr=0.1, b1=0.9, b2=0.999, eps=1e-7, amsgrad=False):
        self.w, self.lr, self.b1, self.b2, self.eps = np.array(table, np.float64), lr, b1, b2, eps
        self.m, self.v, self.top = (np.zeros(self.w.shape) for _ in range(3))
        self.amsgrad, self.t = amsgrad, 0

    def step(self, values, rows):
        self.t += 1
        for r, g in summed_rows(values, rows).items():
            self.m[r] = self.b1 * self.m[r] + (1 - self.b1) * g
            self.v[r] = self.b2 * self.v[r] + (1 - self.b2) * g**2
            self.top[r] = np.maximum(self.top[r], self.v[r])
            second = self.top[r] if self.amsgrad else self.v[r]
            alpha = self.lr * np.sqrt(1 - self.b2**self.t) / (1 - self.b1**self.t)
            self.w[r] -= alpha * self.m[r] / (np.sqrt(second) + self.eps)


class Ftrl:
    def __init__(
        self, table, lr=0.1, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0, initial=0.1, power=0.5
    ):
        self.w, self.lr, self.l1, self.l2 = np.array(table, np.float64), lr, l1, l2
        self.power = power
        self.shrinkage, self.beta = shrinkage, beta
        self.n, self.z = np.full(self.w.shape, initial), np.zeros(self.w.shape)

    def step(self, values, rows):
        for r, g in summed_rows(values, rows).items():
            n_new = self.n[r] + g**2
            if self.lr == 0:
                continue
            sigma = (n_new**self.power - self.n[r] ** self.power) / self.lr
            self.z[r] += g + 2 * self.shrinkage * self.w[r] - sigma * self.w[r]
            curvature = (n_new**self.power + self.beta) / self.lr + 2 * self.l2
            shrunk = np.sign(self.z[r]) * np.maximum(np.abs(self.z[r]) - self.l1, 0.0)
            held = curvature != 0
            self.w[r] = np.where(held, -shrunk / np.where(held, curvature, 1), self.w[r])
            self.n[r] = n_new
