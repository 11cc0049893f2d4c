"""Attention, positions, and the block of a transformer."""

from __future__ import annotations

from derive.library.layers.declaration import LayerDecl

DECLARED = (
    LayerDecl(
        "attention(q : [.., t, d], k : [.., s, d], v : [.., s, e]; causal = 0)",
        """
        S[.., i, j] = sum[c] q[.., i, c]*k[.., j, c] / sqrt(d)
        M[.., i, j] = S[.., i, j] if j <= i or causal == 0 else -1e9
        P = softmax(M, axis=-1)
        y[.., i, c] = sum[j] P[.., i, j]*v[.., j, c]
        return y
        """,
        "scaled dot-product attention; with causal=1 place i sees the places up to i only",
    ),
    LayerDecl(
        "multi_head_attention(x : [.., t, d]; heads, causal = 0, width = d/heads, init = glorot_uniform)",
        """
        param Wq : [d, heads, width] ~ init()
        param Wk : [d, heads, width] ~ init()
        param Wv : [d, heads, width] ~ init()
        param Wo : [heads, width, d] ~ init()
        param b : [d] ~ zeros()
        Q[.., h, i, c] = sum[k] x[.., i, k]*Wq[k,h,c]
        K[.., h, i, c] = sum[k] x[.., i, k]*Wk[k,h,c]
        V[.., h, i, c] = sum[k] x[.., i, k]*Wv[k,h,c]
        A = attention(Q, K, V, causal)
        y[.., i, k] = sum[h,c] A[.., h, i, c]*Wo[h,c,k] + b[k]
        return y
        """,
        "attention of a sequence to itself, in several heads whose results are put together",
    ),
    LayerDecl(
        "sinusoidal_positions(x : [.., t, d]; base = 10000)",
        """
        s = sum[a:d] (1 if 2*a < d else 0)
        y[.., i, k] = x[.., i, k] + (sin(i / base^(2*k/d)) if 2*k < d else cos(i / base^(2*(k - s)/d)))
        return y
        """,
        "the place i in waves of growing length: s sines, then the cosines of the same waves",
    ),
    LayerDecl(
        "learned_positions(x : [.., t, d])",
        """
        param P : [t, d] ~ normal(0, 1/50)
        y[.., i, k] = x[.., i, k] + P[i,k]
        return y
        """,
        "a learned vector for each place",
    ),
    LayerDecl(
        "transformer_block(x : [.., t, d]; heads, h, f = gelu, causal = 0)",
        """
        N = layer_norm(x)
        M = multi_head_attention(N, heads, causal)
        R = x + M
        L = layer_norm(R)
        F = dense(L, h, f)
        D = dense(F, d)
        y = R + D
        return y
        """,
        "attention and two dense layers, each behind a layer norm and beside what it is added to",
    ),
)
