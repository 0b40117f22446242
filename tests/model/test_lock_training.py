import torch
from torch.nn import functional

from renderlift.model.lock_training import detail_amount


def test_blur_has_less_detail_and_a_shift_by_a_pixel_has_as_much() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 64, 64)
    amount = detail_amount(picture).mean()
    blurred = functional.avg_pool2d(picture, 3, stride=1)
    assert detail_amount(blurred).mean() < 0.6 * amount
    shifted = picture.roll(1, dims=3)
    assert abs(detail_amount(shifted).mean() / amount - 1) < 0.02
