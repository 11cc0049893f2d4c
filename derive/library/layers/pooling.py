"""Pooling over the last one or two axes."""

from __future__ import annotations

from derive.library.layers.declaration import LayerDecl

DECLARED = (
    LayerDecl(
        "max_pool1d(x : [.., t]; k, stride = k)",
        """
        y[.., i:floor((t-k)/stride)+1] = max[p:k] x[.., stride*i+p]
        return y
        """,
        "the largest of each window of k, the first of them where they tie",
    ),
    LayerDecl(
        "max_pool2d(x : [.., h, w]; k, stride = k)",
        """
        y[.., i:floor((h-k)/stride)+1, j:floor((w-k)/stride)+1] = max[p:k,q:k] x[.., stride*i+p, stride*j+q]
        return y
        """,
        "the largest of each window of k times k, the first of them where they tie",
    ),
    LayerDecl(
        "avg_pool1d(x : [.., t]; k, stride = k)",
        """
        y[.., i:floor((t-k)/stride)+1] = mean[p:k] x[.., stride*i+p]
        return y
        """,
        "the mean of each window of k",
    ),
    LayerDecl(
        "avg_pool2d(x : [.., h, w]; k, stride = k)",
        """
        y[.., i:floor((h-k)/stride)+1, j:floor((w-k)/stride)+1] = mean[p:k,q:k] x[.., stride*i+p, stride*j+q]
        return y
        """,
        "the mean of each window of k times k",
    ),
    LayerDecl(
        "global_max_pool1d(x : [.., t])",
        """
        y[..] = max[i] x[.., i]
        return y
        """,
        "the largest along the last axis",
    ),
    LayerDecl(
        "global_max_pool2d(x : [.., h, w])",
        """
        y[..] = max[i,j] x[.., i, j]
        return y
        """,
        "the largest of the last two axes",
    ),
    LayerDecl(
        "global_avg_pool1d(x : [.., t])",
        """
        y[..] = mean[i] x[.., i]
        return y
        """,
        "the mean along the last axis",
    ),
    LayerDecl(
        "global_avg_pool2d(x : [.., h, w])",
        """
        y[..] = mean[i,j] x[.., i, j]
        return y
        """,
        "the mean over the last two axes",
    ),
)
