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
        "multi_head_attention(x : [.., t, d]; heads, causal = 0, width = floor(d/heads), init = glorot_uniform)",
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
)
