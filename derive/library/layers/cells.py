"""Cells: one step of a recurrence, from the state before it to the state after it."""

from __future__ import annotations

from derive.library.layers.declaration import LayerDecl

DECLARED = (
    LayerDecl(
        "rnn_cell(x : [.., d], h : [.., k]; f = tanh, init = glorot_uniform)",
        """
        param W : [d, k] ~ init()
        param U : [k, k] ~ init()
        param b : [k] ~ zeros()
        Z[.., j] = sum[i] x[.., i]*W[i,j] + sum[i] h[.., i]*U[i,j] + b[j]
        H = f(Z)
        return H
        """,
        "the state after a step, from its input and the state before",
    ),
    LayerDecl(
        "lstm_cell(x : [.., d], h : [.., k], c : [.., k]; init = glorot_uniform)",
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
        Zi[.., j] = sum[i] x[.., i]*Wi[i,j] + sum[i] h[.., i]*Ui[i,j] + bi[j]
        Zf[.., j] = sum[i] x[.., i]*Wf[i,j] + sum[i] h[.., i]*Uf[i,j] + bf[j]
        Zg[.., j] = sum[i] x[.., i]*Wg[i,j] + sum[i] h[.., i]*Ug[i,j] + bg[j]
        Zo[.., j] = sum[i] x[.., i]*Wo[i,j] + sum[i] h[.., i]*Uo[i,j] + bo[j]
        I = sigmoid(Zi)
        F = sigmoid(Zf)
        G = tanh(Zg)
        O = sigmoid(Zo)
        C = F * c + I * G
        H = O * tanh(C)
        return H, C
        """,
        "the state H and the memory C after a step; gates say what is let in (I), kept (F) and let out (O)",
    ),
    LayerDecl(
        "gru_cell(x : [.., d], h : [.., k]; init = glorot_uniform)",
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
        Zs[.., j] = sum[i] x[.., i]*Ws[i,j] + sum[i] h[.., i]*Us[i,j] + bs[j]
        Zr[.., j] = sum[i] x[.., i]*Wr[i,j] + sum[i] h[.., i]*Ur[i,j] + br[j]
        S = sigmoid(Zs)
        R = sigmoid(Zr)
        K = R * h
        Zt[.., j] = sum[i] x[.., i]*Wt[i,j] + sum[i] K[.., i]*Ut[i,j] + bt[j]
        T = tanh(Zt)
        H = S * h + (1 - S) * T
        return H
        """,
        "the state after a step; gates say how much of it stays (S) and what of it the new one reads (R)",
    ),
)
