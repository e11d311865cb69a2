"""A small convolutional network for scikit-learn's 8×8 digits, over-parametrised on purpose."""

from torch import Tensor, nn


def _stage(channels_in: int, channels_out: int, *, pool: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    ]
    return [*layers, nn.MaxPool2d(2)] if pool else layers


class DigitsConvNet(nn.Module):
    """Four 3×3 convolutions and two linear layers: ``(N, channels, 8, 8)`` → ``(N, classes)``.

    274,090 parameters with one channel and ten classes, at 2.1 million multiply-accumulates per image:
    far more weights than 1,797 digits need, so that there is something to compress, and few enough
    operations for hundreds of trials on two cores.
    """

    def __init__(self, classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_stage(channels, 32, pool=True),
            *_stage(32, 64, pool=False),
            *_stage(64, 128, pool=True),
            *_stage(128, 128, pool=False),
        )
        self.classifier = nn.Sequential(nn.Linear(512, 64), nn.ReLU(inplace=True), nn.Linear(64, classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).flatten(1))
