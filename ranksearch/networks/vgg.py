"""VGG networks (Simonyan & Zisserman 2015) in the form used on CIFAR: batch norm, and a small classifier.

Keys ``features.N…`` and ``classifier.N…``; VGG-16 has 14,987,210 parameters with ten classes.
"""

from torch import Tensor, nn

from ..errors import NetworkError

CONVOLUTIONS = {13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # by depth: before each max-pool
WIDTHS = (64, 128, 256, 512, 512)


class CifarVgg(nn.Module):
    """Bias-free 3×3 convolutions with batch norm and five max-pools: ``(N, channels, 32, 32)`` → ``(N, classes)``.

    Args:
        depth: 13, 16 or 19.

    Raises:
        NetworkError: any other depth.
    """

    def __init__(self, depth: int, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        if depth not in CONVOLUTIONS:
            raise NetworkError(f"a CIFAR VGG has depth {', '.join(map(str, CONVOLUTIONS))}, got {depth}")
        features: list[nn.Module] = []
        for width, count in zip(WIDTHS, CONVOLUTIONS[depth], strict=True):
            for _ in range(count):
                features += [
                    nn.Conv2d(channels, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                channels = width
            features.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(inplace=True), nn.Linear(512, classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")  # VGG-19 does not start learning otherwise

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).flatten(1))
