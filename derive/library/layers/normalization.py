"""Normalization: by the statistics of each vector, of groups of channels, or of the batch."""

from __future__ import annotations

from derive.library.layers.declaration import LayerDecl

DECLARED = (
    LayerDecl(
        "layer_norm(x : [.., d]; eps = 1e-5)",
        """
        param g : [d] ~ ones()
        param b : [d] ~ zeros()
        mu[..] = mean[k] x[.., k]
        v[..] = mean[k] (x[.., k] - mu[..])^2
        H[.., k] = (x[.., k] - mu[..]) / sqrt(v[..] + eps)
        y[.., k] = g[k]*H[.., k] + b[k]
        return y
        """,
        "each vector along the last axis with mean 0 and variance 1, then scaled and shifted",
    ),
    LayerDecl(
        "rms_norm(x : [.., d]; eps = 1e-6)",
        """
        param g : [d] ~ ones()
        r[..] = sqrt(mean[k] x[.., k]^2 + eps)
        y[.., k] = g[k]*x[.., k] / r[..]
        return y
        """,
        "each vector along the last axis divided by its root mean square, then scaled",
    ),
    LayerDecl(
        "batch_norm(x : [n, c, ..]; eps = 1e-5, momentum = 0.1)",
        """
        param g : [c] ~ ones()
        param b : [c] ~ zeros()
        state running_mean : [c] ~ zeros()
        state running_var : [c] ~ ones()
        mu[j] = mean[s, ..] x[s, j, ..]
        v[j] = mean[s, ..] (x[s, j, ..] - mu[j])^2
        update running_mean = (1 - momentum)*running_mean + momentum*mu
        update running_var = (1 - momentum)*running_var + momentum*v
        H[s, j, ..] = (x[s, j, ..] - mu[j]) / sqrt(v[j] + eps) if training else (
        x[s, j, ..] - running_mean[j]) / sqrt(running_var[j] + eps)
        y[s, j, ..] = g[j]*H[s, j, ..] + b[j]
        return y
        """,
        "each channel, the second axis, with mean 0 and variance 1 over the batch and all places; where it is used, "
        "over what training has seen",
    ),
    LayerDecl(
        "instance_norm(x : [n, c, ..]; eps = 1e-5)",
        """
        param g : [c] ~ ones()
        param b : [c] ~ zeros()
        mu[s, j] = mean[..] x[s, j, ..]
        v[s, j] = mean[..] (x[s, j, ..] - mu[s, j])^2
        H[s, j, ..] = (x[s, j, ..] - mu[s, j]) / sqrt(v[s, j] + eps)
        y[s, j, ..] = g[j]*H[s, j, ..] + b[j]
        return y
        """,
        "each channel of each sample with mean 0 and variance 1 over its places",
    ),
    LayerDecl(
        "group_norm(x : [n, c, ..]; groups, eps = 1e-5, m = c/groups)",
        """
        param g : [c] ~ ones()
        param b : [c] ~ zeros()
        mu[s, a:groups] = mean[e:m, ..] x[s, m*a+e, ..]
        v[s, a:groups] = mean[e:m, ..] (x[s, m*a+e, ..] - mu[s, a])^2
        M[s, j:c] = sum[a] (mu[s, a] if m*a <= j and j < m*a + m else 0)
        V[s, j:c] = sum[a] (v[s, a] if m*a <= j and j < m*a + m else 0)
        H[s, j, ..] = (x[s, j, ..] - M[s, j]) / sqrt(V[s, j] + eps)
        y[s, j, ..] = g[j]*H[s, j, ..] + b[j]
        return y
        """,
        "the channels of each sample in groups, each with mean 0 and variance 1 over its m channels and all places",
    ),
)
