"""Layers over the last axis: dense, gated and residual ones; and tables of vectors."""

from __future__ import annotations

from derive.library.layers.declaration import LayerDecl

DECLARED = (
    LayerDecl(
        "dense(x : [.., d]; h, f = identity, init = glorot_uniform)",
        """
        param W : [d, h] ~ init()
        param b : [h] ~ zeros()
        Z[.., j] = sum[k] x[.., k]*W[k,j] + b[j]
        A = f(Z)
        return A
        """,
        "h numbers from the d numbers of the last axis, whatever axes stand before it, through f",
    ),
    LayerDecl(
        "flat_dense(x : [n, ..]; h, f = identity, init = glorot_uniform)",
        """
        param W : [.., h] ~ init()
        param b : [h] ~ zeros()
        Z[s, j] = sum[..] x[s, ..]*W[.., j] + b[j]
        A = f(Z)
        return A
        """,
        "h numbers from all numbers of a sample, however many axes they lie along",
    ),
    LayerDecl(
        "glu(x : [.., d]; h, f = sigmoid, init = glorot_uniform)",
        """
        param W : [d, h] ~ init()
        param b : [h] ~ zeros()
        param V : [d, h] ~ init()
        param c : [h] ~ zeros()
        Z[.., j] = sum[k] x[.., k]*W[k,j] + b[j]
        G[.., j] = sum[k] x[.., k]*V[k,j] + c[j]
        A = Z * f(G)
        return A
        """,
        "gated linear unit: one dense layer times another one behind f",
    ),
    LayerDecl(
        "swiglu(x : [.., d]; h, init = glorot_uniform)",
        """
        param W : [d, h] ~ init()
        param V : [d, h] ~ init()
        param U : [h, d] ~ init()
        Z[.., j] = sum[k] x[.., k]*W[k,j]
        G[.., j] = sum[k] x[.., k]*V[k,j]
        A = silu(G) * Z
        y[.., k] = sum[j] A[.., j]*U[j,k]
        return y
        """,
        "the gated unit with silu and the way back to d numbers, as in transformers",
    ),
    LayerDecl(
        "maxout(x : [.., d]; h, pieces = 2, init = glorot_uniform)",
        """
        param W : [pieces, d, h] ~ init()
        param b : [pieces, h] ~ zeros()
        Z[.., p, j] = sum[k] x[.., k]*W[p,k,j] + b[p,j]
        A[.., j] = max[p] Z[.., p, j]
        return A
        """,
        "the largest of several dense layers, the first of them where they tie",
    ),
    LayerDecl(
        "residual(x, f)",
        """
        F = f(x)
        y = x + F
        return y
        """,
        "x and what f adds to it; f is a function, or a block that needs x alone",
    ),
    LayerDecl(
        "highway(x : [.., d]; f = tanh, init = glorot_uniform)",
        """
        param W : [d, d] ~ init()
        param b : [d] ~ zeros()
        param V : [d, d] ~ init()
        param c : [d] ~ constant(-1)
        Z[.., j] = sum[k] x[.., k]*W[k,j] + b[j]
        G[.., j] = sum[k] x[.., k]*V[k,j] + c[j]
        T = sigmoid(G)
        y = T * f(Z) + (1 - T) * x
        return y
        """,
        "a gate T between a dense layer and x itself, which it lets through at the start",
    ),
    LayerDecl(
        "embedding(t : [..]; v, d)",
        """
        param E : [v, d] ~ normal(0, 1)
        y[.., k] = E[t[..], k]
        return y
        """,
        "for each integer of t, declared labels(v), a row of d numbers",
    ),
)
