"""Recurrent layers: a cell along the first axis, which is time; the states are kept, the first of them is zero."""

from __future__ import annotations

from derive.library.layers.declaration import LayerDecl

DECLARED = (
    LayerDecl(
        "rnn(x : [t, .., d]; k, f = tanh, init = glorot_uniform)",
        """
        param W : [d, k] ~ init()
        param U : [k, k] ~ init()
        param b : [k] ~ zeros()
        H[0, .., j:k] = 0
        Z[s, .., j] = sum[i] x[s, .., i]*W[i,j] + sum[i] H[s, .., i]*U[i,j] + b[j]
        H[s+1, .., j] = f(Z[s, .., j])
        return H
        """,
        "the states of a recurrent network: H[s] is the one after s steps, so there are t + 1",
    ),
    LayerDecl(
        "lstm(x : [t, .., d]; k, init = glorot_uniform)",
        """
        param Wi : [d, k] ~ init()
        param Ui : [k, k] ~ init()
        param bi : [k] ~ zeros()
        param Wf : [d, k] ~ init()
        param Uf : [k, k] ~ init()
        param bf : [k] ~ ones()
        param Wg : [d, k] ~ init()
        param Ug : [k, k] ~ init()
        param bg : [k] ~ zeros()
        param Wo : [d, k] ~ init()
        param Uo : [k, k] ~ init()
        param bo : [k] ~ zeros()
        H[0, .., j:k] = 0
        C[0, .., j:k] = 0
        I[s, .., j] = sigmoid(sum[i] x[s, .., i]*Wi[i,j] + sum[i] H[s, .., i]*Ui[i,j] + bi[j])
        F[s, .., j] = sigmoid(sum[i] x[s, .., i]*Wf[i,j] + sum[i] H[s, .., i]*Uf[i,j] + bf[j])
        G[s, .., j] = tanh(sum[i] x[s, .., i]*Wg[i,j] + sum[i] H[s, .., i]*Ug[i,j] + bg[j])
        O[s, .., j] = sigmoid(sum[i] x[s, .., i]*Wo[i,j] + sum[i] H[s, .., i]*Uo[i,j] + bo[j])
        C[s+1, .., j] = F[s, .., j]*C[s, .., j] + I[s, .., j]*G[s, .., j]
        H[s+1, .., j] = O[s, .., j]*tanh(C[s+1, .., j])
        return H
        """,
        "the states of a network with memory: H[s] is the one after s steps; the memory C is beside them",
    ),
    LayerDecl(
        "gru(x : [t, .., d]; k, init = glorot_uniform)",
        """
        param Ws : [d, k] ~ init()
        param Us : [k, k] ~ init()
        param bs : [k] ~ zeros()
        param Wr : [d, k] ~ init()
        param Ur : [k, k] ~ init()
        param br : [k] ~ zeros()
        param Wt : [d, k] ~ init()
        param Ut : [k, k] ~ init()
        param bt : [k] ~ zeros()
        H[0, .., j:k] = 0
        S[s, .., j] = sigmoid(sum[i] x[s, .., i]*Ws[i,j] + sum[i] H[s, .., i]*Us[i,j] + bs[j])
        R[s, .., j] = sigmoid(sum[i] x[s, .., i]*Wr[i,j] + sum[i] H[s, .., i]*Ur[i,j] + br[j])
        T[s, .., j] = tanh(sum[i] x[s, .., i]*Wt[i,j] + sum[i] R[s, .., i]*H[s, .., i]*Ut[i,j] + bt[j])
        H[s+1, .., j] = S[s, .., j]*H[s, .., j] + (1 - S[s, .., j])*T[s, .., j]
        return H
        """,
        "the states of a gated network: H[s] is the one after s steps",
    ),
)
