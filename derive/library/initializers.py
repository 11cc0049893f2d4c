"""Initializers: how a parameter starts, in the form in which a model writes its own.

In: nothing. Out: the text that `derive.language.initializers` reads. Each is about one element: ``z`` is drawn from the
standard normal distribution, ``u`` evenly from 0 to 1; ``fan_in`` and ``fan_out`` say how many terms the parameter is
summed over and how many results it feeds.
"""

from __future__ import annotations

INITIALIZERS = """
init zeros() = 0
init ones() = 1
init constant(c) = c
init normal(mu=0, std=1) = mu + std*z
init uniform(low=0, high=1) = low + (high - low)*u
init bernoulli(p=1/2) = u < p
init glorot_uniform() = sqrt(6/(fan_in + fan_out))*(2*u - 1)
init glorot_normal() = sqrt(2/(fan_in + fan_out))*z
init he_uniform() = sqrt(6/fan_in)*(2*u - 1)
init he_normal() = sqrt(2/fan_in)*z
init lecun_uniform() = sqrt(3/fan_in)*(2*u - 1)
init lecun_normal() = sqrt(1/fan_in)*z
"""
