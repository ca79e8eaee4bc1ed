"""Data that several tests use."""

import pytest
from sklearn import datasets


@pytest.fixture(scope="session")
def digits():
    """The 8 x 8 digits, shape (1797, 64), float64."""
    return datasets.load_digits().data


@pytest.fixture(scope="session")
def cancer():
    """Raw breast cancer data, shape (569, 30): features of very different scale."""
    return datasets.load_breast_cancer().data
