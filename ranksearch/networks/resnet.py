"""Residual networks for 32×32 images with 6n + 2 layers and option-A shortcuts (He et al. 2016, section 4.2).

Keys are those of the public checkpoints: ``conv1``, ``bn1``, ``layer{1,2,3}.{i}.{conv1,bn1,conv2,bn2}``,
``linear``; a shortcut has no parameters and hence no keys.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import NetworkError


class PaddedShortcut(nn.Module):
    """Option A: every second position, the new channels zero: ``(N, C_in, H, W)`` → ``(N, C_out, H/2, W/2)``."""

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0, new_channels // 2, new_channels - new_channels // 2)

    def forward(self, images: Tensor) -> Tensor:
        return F.pad(images[:, :, ::2, ::2], self.padding)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut; at stride 2 the channels grow."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Identity() if stride == 1 else PaddedShortcut(channels_out - channels_in)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(self.bn1(self.conv1(images)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(images))


class CifarResNet(nn.Module):
    """``(N, channels, 32, 32)`` → ``(N, classes)``; ResNet-20 has 269,722 parameters.

    Args:
        depth: number of layers with weights, 6n + 2: 20, 32, 44, 56, 110.

    Raises:
        NetworkError: ``depth`` is not of that form.
    """

    def __init__(self, depth: int, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise NetworkError(f"a CIFAR ResNet has 6n + 2 layers (20, 32, 44, 56, 110), got depth = {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(self.bn1(self.conv1(images)))
        hidden = self.layer3(self.layer2(self.layer1(hidden)))
        return self.linear(hidden.mean((2, 3)))


def _stage(channels_in: int, channels_out: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels_out, stride)
    return nn.Sequential(first, *(BasicBlock(channels_out, channels_out, 1) for _ in range(blocks - 1)))
