"""The paper's networks, as its public scripts define them, with their layers in PyTorch's order: channels first."""

from torch import nn


def convolution(channels_in: int, channels_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    """With the output as large as the input, over the stride ('same')."""
    return nn.Conv2d(channels_in, channels_out, size, stride, size // 2)


def lenet5(channels: int = 1, outputs: int = 10) -> nn.Sequential:
    """For images of 28 × 28."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, outputs),
        nn.Softmax(1),
    )


def alexnet(channels: int = 1, outputs: int = 10) -> nn.Sequential:
    """For images of 28 × 28: batch norm after each activation."""

    def layer(*modules: nn.Module) -> list[nn.Module]:
        first = modules[0]
        width = first.out_channels if isinstance(first, nn.Conv2d) else first.out_features
        norm = nn.BatchNorm2d(width) if isinstance(first, nn.Conv2d) else nn.BatchNorm1d(width)
        return [first, nn.ReLU(), norm, *modules[1:]]

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, 1)

    return nn.Sequential(
        *layer(convolution(channels, 96, 11, 4), pool()),
        *layer(convolution(96, 256, 5), pool()),
        *layer(convolution(256, 384, 3)),
        *layer(convolution(384, 384, 3)),
        *layer(convolution(384, 256, 3), pool()),
        nn.Flatten(),
        *layer(nn.Linear(256, 4096)),
        *layer(nn.Linear(4096, 4096)),
        *layer(nn.Linear(4096, 1000)),
        nn.Linear(1000, outputs),
        nn.Softmax(1),
    )


def vgg_body(channels: int) -> list[nn.Module]:
    """For images of 56 × 56, to 512 features: thirteen 3 × 3 convolutions with batch norm after each activation."""
    layers: list[nn.Module] = []
    width = channels
    for step in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if step == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [convolution(width, step, 3), nn.ReLU(), nn.BatchNorm2d(step)]
        width = step
    return [*layers, nn.Flatten()]


def vggnet16(channels: int = 1, outputs: int = 10) -> nn.Sequential:
    """For images of 56 × 56."""
    return nn.Sequential(
        *vgg_body(channels),
        nn.Linear(512, 4096),
        nn.ReLU(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, outputs),
        nn.Softmax(1),
    )


def cnn_wider_face(channels: int = 1, outputs: int = 4) -> nn.Sequential:
    """VGGNet-16's body with batch norm after the dense layers too, to the coordinates of a box."""
    return nn.Sequential(
        *vgg_body(channels),
        nn.Linear(512, 4096),
        nn.ReLU(),
        nn.BatchNorm1d(4096),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.BatchNorm1d(4096),
        nn.Linear(4096, outputs),
    )
