"""Two small networks that say what each pixel shows: a U-Net, and one in the manner of LR-ASPP."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Convolutions(nn.Sequential):
    """Two 3 × 3 convolutions with batch norm and ReLU; the first may have a stride."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        )


class UNet(nn.Module):
    """Images [N, 3, H, W] in [0, 1] to logits [N, outputs, H, W], for sides that 8 divides."""

    def __init__(self, outputs: int = 6, width: int = 12) -> None:
        super().__init__()
        self.down1 = Convolutions(3, width)
        self.down2 = Convolutions(width, 2 * width)
        self.down3 = Convolutions(2 * width, 4 * width)
        self.middle = Convolutions(4 * width, 8 * width)
        self.up3 = nn.ConvTranspose2d(8 * width, 4 * width, 2, stride=2)
        self.join3 = Convolutions(8 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.join2 = Convolutions(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.join1 = Convolutions(2 * width, width)
        self.classifier = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(functional.max_pool2d(first, 2))
        third = self.down3(functional.max_pool2d(second, 2))
        x = self.middle(functional.max_pool2d(third, 2))
        x = self.join3(torch.cat([self.up3(x), third], 1))
        x = self.join2(torch.cat([self.up2(x), second], 1))
        x = self.join1(torch.cat([self.up1(x), first], 1))
        return self.classifier(x)


class FCN(nn.Module):
    """Images [N, 3, H, W] in [0, 1] to logits [N, outputs, H, W], for sides that 8 divides.

    As in LR-ASPP, features at an eighth of the size are gated by their mean over the image, enlarged, and joined with earlier ones. The
    logits, at half the size, are enlarged at the end.
    """

    def __init__(self, outputs: int = 6, width: int = 20) -> None:
        super().__init__()
        self.stage1 = Convolutions(3, width, stride=2)
        self.stage2 = Convolutions(width, 2 * width, stride=2)
        self.stage3 = Convolutions(2 * width, 4 * width, stride=2)
        self.features = nn.Sequential(nn.Conv2d(4 * width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU())
        self.gate = nn.Conv2d(4 * width, 4 * width, 1)
        self.join = Convolutions(7 * width, 2 * width)
        self.classifier = nn.Conv2d(2 * width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        first = self.stage1(x)
        second = self.stage2(first)
        third = self.stage3(second)
        third = self.features(third) * torch.sigmoid(self.gate(functional.adaptive_avg_pool2d(third, 1)))
        coarse = [functional.interpolate(each, size=first.shape[2:], mode="bilinear", align_corners=False) for each in (second, third)]
        x = self.join(torch.cat([first, coarse[0], coarse[1]], 1))
        return functional.interpolate(self.classifier(x), size=size, mode="bilinear", align_corners=False)
