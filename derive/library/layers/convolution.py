"""Convolutions over the last one or two axes, channels before them; a kernel is not flipped, as is customary."""

from __future__ import annotations

from derive.library.layers.declaration import LayerDecl

DECLARED = (
    LayerDecl(
        "conv1d(x : [.., c, t]; h, k, f = identity, stride = 1, pad = 0, dilation = 1, init = glorot_uniform)",
        """
        param W : [h, c, k] ~ init()
        param b : [h] ~ zeros()
        Z[.., o, i:floor((t+2*pad-dilation*(k-1)-1)/stride)+1] = b[o] + sum[e,p] (
        x[.., e, stride*i+dilation*p-pad | 0]*W[o,e,p])
        A = f(Z)
        return A
        """,
        "h channels from c channels by a kernel of k places, zeros standing outside of the axis",
    ),
    LayerDecl(
        "conv2d(x : [.., c, s, t]; h, k, f = identity, stride = 1, pad = 0, dilation = 1, init = glorot_uniform)",
        """
        param W : [h, c, k, k] ~ init()
        param b : [h] ~ zeros()
        Z[.., o, i:floor((s+2*pad-dilation*(k-1)-1)/stride)+1,
        j:floor((t+2*pad-dilation*(k-1)-1)/stride)+1] = b[o] + sum[e,p,q] (
        x[.., e, stride*i+dilation*p-pad, stride*j+dilation*q-pad | 0]*W[o,e,p,q])
        A = f(Z)
        return A
        """,
        "h channels from c channels by a kernel of k times k places, zeros standing outside of the picture",
    ),
    LayerDecl(
        "grouped_conv2d(x : [.., c, s, t]; h, k, groups, f = identity, stride = 1, pad = 0, dilation = 1, "
        "init = glorot_uniform, u = c/groups, v = h/groups)",
        """
        param W : [groups, v, u, k, k] ~ init()
        param b : [h] ~ zeros()
        Y[.., g, o, i:floor((s+2*pad-dilation*(k-1)-1)/stride)+1, j:floor((t+2*pad-dilation*(k-1)-1)/stride)+1] = (
        sum[e:u,p,q] x[.., u*g+e, stride*i+dilation*p-pad, stride*j+dilation*q-pad | 0]*W[g,o,e,p,q])
        Z[.., a:h, i, j] = b[a] + sum[g,o] (Y[.., g, o, i, j] if a == v*g+o else 0)
        A = f(Z)
        return A
        """,
        "a convolution in groups: v channels of each group from its own u channels",
    ),
    LayerDecl(
        "depthwise_conv2d(x : [.., c, s, t]; k, f = identity, stride = 1, pad = 0, dilation = 1, "
        "init = glorot_uniform)",
        """
        param W : [c, k, k] ~ init()
        param b : [c] ~ zeros()
        Z[.., e, i:floor((s+2*pad-dilation*(k-1)-1)/stride)+1, j:floor((t+2*pad-dilation*(k-1)-1)/stride)+1] = (
        b[e] + sum[p,q] x[.., e, stride*i+dilation*p-pad, stride*j+dilation*q-pad | 0]*W[e,p,q])
        A = f(Z)
        return A
        """,
        "every channel with a kernel of its own",
    ),
    LayerDecl(
        "conv_transpose1d(x : [.., c, t]; h, k, f = identity, stride = 1, pad = 0, dilation = 1, "
        "init = glorot_uniform)",
        """
        param W : [c, h, k] ~ init()
        param b : [h] ~ zeros()
        Z[.., o, u:stride*(t-1)+dilation*(k-1)+1-2*pad] = b[o] + sum[e,i,p] (
        x[.., e, i]*W[e,o,p] if u == stride*i+dilation*p-pad else 0)
        A = f(Z)
        return A
        """,
        "what a convolution's pullback does: place i is spread over the places stride*i to stride*i + k − 1",
    ),
    LayerDecl(
        "conv_transpose2d(x : [.., c, s, t]; h, k, f = identity, stride = 1, pad = 0, dilation = 1, "
        "init = glorot_uniform)",
        """
        param W : [c, h, k, k] ~ init()
        param b : [h] ~ zeros()
        Z[.., o, u:stride*(s-1)+dilation*(k-1)+1-2*pad, v:stride*(t-1)+dilation*(k-1)+1-2*pad] = b[o] + sum[e,i,j,p,q] (
        x[.., e, i, j]*W[e,o,p,q] if u == stride*i+dilation*p-pad and v == stride*j+dilation*q-pad else 0)
        A = f(Z)
        return A
        """,
        "what a convolution's pullback does: every place is spread over a window of k times k places",
    ),
)
