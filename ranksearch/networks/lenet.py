"""LeNet-5 (LeCun et al. 1998) in the 20-50-500-10 form of Caffe, the one that compression papers count.

500 + 25,000 + 400,000 + 5,000 = 430,500 weights, and 580 biases.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    """Two 5×5 convolutions without padding and two linear layers: ``(N, channels, 28, 28)`` → ``(N, classes)``."""

    def __init__(self, classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * 4 * 4, 500)
        self.fc2 = nn.Linear(500, classes)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.max_pool2d(F.relu(self.conv1(images)), 2)
        hidden = F.max_pool2d(F.relu(self.conv2(hidden)), 2)
        return self.fc2(F.relu(self.fc1(hidden.flatten(1))))
