"""What is done to a model while it is trained, and not where it is used."""

from __future__ import annotations

from derive.library.layers.declaration import LayerDecl

DECLARED = (
    LayerDecl(
        "dropout(x : [..]; p = 0.5)",
        """
        noise M : [..] ~ bernoulli(1 - p)
        y = x*M/(1 - p) if training else x
        return y
        """,
        "each number 0 with probability p and the others scaled, so that the mean stays; nothing where it is used",
    ),
    LayerDecl(
        "gaussian_noise(x : [..]; std = 0.1)",
        """
        noise M : [..] ~ normal(0, std)
        y = x + M if training else x
        return y
        """,
        "normal noise added to every number; nothing where it is used",
    ),
)
