"""The gradient of a whole batch: put together from its parts, measured, and clipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from luthier.tasks.task import Loss

LEAST_COUNT = torch.finfo(torch.float32).tiny
"""A batch with no target has the loss 0, not 0 / 0."""


def backward(loss: Loss, parts: int) -> Loss:
    """Adds the gradient of one of the `parts` of a batch to those that are there.

    Only after the last part is the count of the whole batch known, so the gradients of several
    parts are those of their sums, and `finish` divides them.

    Returns:
        The loss, without what the backward pass needed.
    """
    # A lone part knows the count already, and one number is divided sooner than a gradient.
    share = loss.count.clamp_min(LEAST_COUNT).reciprocal() if parts == 1 else None
    torch.autograd.backward(loss.sum, share)
    own = {name: part.detach() for name, part in loss.parts.items()}
    return Loss(loss.sum.detach(), loss.count, own)


def total(losses: Sequence[Loss]) -> Loss:
    """The loss of a batch from those of its parts."""
    if len(losses) == 1:
        return losses[0]
    return Loss(
        torch.stack([loss.sum for loss in losses]).sum(),
        torch.stack([loss.count for loss in losses]).sum(),
        {
            name: torch.stack([loss.parts[name] for loss in losses]).sum()
            for name in losses[0].parts
        },
    )


@dataclass(frozen=True)
class Checked:
    """What is known of the gradient of a batch."""

    witness: Tensor
    """A scalar that is finite if the loss and every element of the gradient are."""
    norm: Tensor | None
    """Before clipping, a scalar; none where nobody asked."""


def finish(
    parameters: Sequence[nn.Parameter],
    loss: Loss,
    parts: int,
    *,
    clip_norm: float | None,
    measure: bool,
) -> Checked:
    """Makes the sum of the gradients of all parts the gradient of the batch, and clips it.

    Args:
        parameters: Whose gradients; those without one are left out.
        loss: Of the whole batch.
        parts: How many parts it came in.
        clip_norm: The longest that the gradient may be; none leaves it as it is.
        measure: Whether its norm is wanted, even if it is not clipped.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    assert gradients, "the loss depends on no parameter"
    witness: Tensor | None = None
    norm: Tensor | None = None
    scale: Tensor | None = None
    if parts > 1:
        scale = loss.count.clamp_min(LEAST_COUNT).reciprocal().to(gradients[0].dtype)
    if measure or clip_norm is not None:
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        # What cannot be clipped is not finite either, so a norm that is there each time will do.
        witness = None if clip_norm is None else norm + loss.sum
        norm = norm if scale is None else norm * scale
    if norm is not None and clip_norm is not None:
        shorter = (clip_norm / (norm + 1e-6)).clamp(max=1.0)
        scale = shorter if scale is None else scale * shorter
    if scale is not None and not _is_one(scale):
        torch._foreach_mul_(gradients, scale)
    return Checked(_witness(gradients, loss) if witness is None else witness, norm)


def _is_one(scale: Tensor) -> bool:
    """Whether a product would change nothing, where that is known without waiting."""
    return scale.device.type == "cpu" and scale.item() == 1.0


def _witness(gradients: list[Tensor], loss: Loss) -> Tensor:
    """NaN and infinity outlast every sum."""
    if gradients[0].is_cuda:
        sums = list(torch._foreach_norm(gradients))  # one kernel for all
    else:
        sums = [gradient.sum() for gradient in gradients]  # quicker than norms
    return torch.stack([loss.sum, *sums]).sum()
