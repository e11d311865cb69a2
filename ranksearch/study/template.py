"""A study file to start from: every key with its default, explained."""

import json

TEMPLATE = """\
# A study of ranksearch. Every key but network.model, data.source and data.search may be left out: what stands
# here is its default (of weights: "none"), and keys behind a '#' are off. ${{VAR}} is replaced by an environment
# variable; relative paths start from this file's folder. An unknown key is an error.
# In [schedule] and [training], but for images and epochs, a value fixes, a list or a range is searched:
#   lr = 0.02    lr = [0.01, 0.05]    lr = {{ low = 0.005, high = 0.1, log = true }}    (or step = …)

name = {name}

[network]
model = {model}   # digits-convnet, lenet5, resnet20 …, vgg16 …, "torchvision:NAME", "package.module:factory"
weights = {weights}   # a checkpoint, "train" (by [network.training], once), or "none" (as the factory makes it)
arguments = {{}}   # keyword arguments of the factory
# expect_accuracy = 0.9   # below it on the search split, the search refuses to start

[network.training]   # only for weights = "train"
epochs = 30
batch = 128
optimizer = "sgd"   # Nesterov; or "adamw"
lr = 0.1   # peak; linear warm-up, then a cosine to 0
momentum = 0.9
weight_decay = 0.0005
warmup = 0.1   # fraction of the steps
clip = 5.0   # largest norm of the gradient

[data]
# digits, "mnist:ROOT", "cifar10:ROOT", "cifar100:ROOT", "svhn:ROOT", "npz:PREFIX" (PREFIX_train.npz and
# PREFIX_test.npz with x, y), "folder:DIR", "package.module:factory"
source = {data}
search = {search}   # images taken out of the training data; every decision is made on them
augment = []   # of training images: "crop:PADDING", "flip"
reestimate = 2000   # training images from which batch-norm statistics are re-estimated before measuring
workers = 0   # processes that read ahead what is not held in memory: folders above 2 GiB, data sets of your own
# normalize = {{ mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }}   # as the network was trained with
# size = 224   # side to which images of a folder are resized

[ranks]
space = "allocated"   # a ratio, a weight and a tilt per layer, ranks follow; or "direct": an integer per mode
ratio = [1.5, 8.0]   # compression ratios between which is searched, dense / compressed parameters
accuracy_floor = 0.0   # fraction below the dense accuracy; with ratio the box in which fronts are compared
# By what an error is measured: the kernel alone (weights), the layer's output on 500 training images (activations), or
# that weighted by the gradients of the loss; calibrated once, seconds, and kept in the cache
basis = "activations+gradients"
form = "pivoted"   # whose parameters are counted and exported; "plain", the usual, stores up to a fifth more
include = ["*"]   # globs over layer names, as `ranksearch layers` lists them
exclude = []
flattened = "linear"   # a linear layer after a flatten: a matrix; or "kernel": C_out×C×H×W, ranks for its channels
multiple_of = 1   # of ranks, for hardware: 8, say
# What an allocation sums: "log", −log(1 − relative distortion); "weighted-log", that times √(the layer's total) where
# totals are in units of the loss; relative; absolute
distortion = "weighted-log"

[schedule]   # how the share of the pre-trained weight falls from 1 to 0 during a trial
shape = "none"   # truncate at once; or linear, cosine, exponential, polynomial, staircase
fade = "residual"   # what the truncation leaves out fades; "full": the whole weight does
end = 0.5   # fraction of the trial after which nothing is left of it
order = "together"   # over the layers; front-to-back, back-to-front

[training]   # of one trial
images = 64000   # training images seen; or epochs = 1.5
batch = 128
optimizer = "sgd"
lr = 0.02
momentum = 0.9
weight_decay = 0.0001
warmup = 0.1
clip = 5.0
distillation = 0.9   # weight of the dense network's softened outputs in the loss
temperature = 4.0   # of the softening
learn = "adapters+norm"   # adapters, adapters+norm (with biases), all
augment = "flip"   # "all" of [data] augment, its "flip" or "none": crops do not pay in so short a training
init = "elastic"   # where adapters start: the training that all trials share; "decomposition" or "hooi": truncated

[elastic]   # the adapters trained once for all ranks, before the trials, if [training] init asks for it
# steps = 2000   # a quarter of the trials' images allows these at most, 300 at least; 0: off
batch = 128   # per step, shown to each slice
slices = 1   # rank configurations trained in each step
lr = 0.02
warmup = 0.1
clip = 5.0
temperature = 4.0
augment = "flip"

[search]
trials = 100   # finished ones; may be changed on resuming, as minutes, sampler, stop, storage, workers, device
# minutes = 60   # stop after these, whatever is finished
sampler = "tpe"   # nsga2, nsga3, gp (few trials and variables), random, qmc
population = 12   # individuals of a generation, of nsga2 and nsga3
closed_form = 6   # of the first trials: allocations in closed form over the ratios, for the sampler to start from
stop = "none"   # early stopping of trials far below others at equal milestones: "neighbours", "domination"
seed = 0
objectives = ["accuracy", "compression_ratio"]   # "mac_ratio", "latency_ratio" may follow
# floors = {{ latency_ratio = 1.5 }}   # a network that is not so many times faster is not on the front; mac_ratio, too
baselines = ["uniform", "energy", "evbmf"]   # also trained, at several ratios; evbmf-weakened, rate-distortion:log, …
storage = "sqlite"   # NAME.db beside this file; "sqlite:///FILE", or a URL: postgresql://…, mysql://…
# artifacts = "/shared/folder"   # or "s3://BUCKET/PREFIX": where several machines share bases, adapter and networks
workers = 1   # local processes that share out the cores
# device = "cuda"   # cpu, cuda, mps; the best there is

[screen]   # before the trials: candidates measured without training of their own; the best are trained
share = 0.15   # of the study's seconds; 0: no screen
# candidates = 1000   # of each stage, instead of a share of seconds
images = 1000   # search images looked at, and as many training images for batch norm
bypass = 0.1   # share of the trials, at least, that the screen does not choose
enqueue = 0.5   # share of the trials, at most, that it chooses
stages = ["untrained", "elastic"]   # as truncated; as a slice of the elastic adapter, where there is one

[latency]   # of each trial's network, in turn with the dense one, where objectives or floors name latency_ratio
batch = 1   # images per pass
threads = 1
rounds = 30   # timed passes

[finetune]   # of chosen configurations, on train + search
epochs = 30
seeds = 3
augment = "all"
# lr = 0.02   # this and the rest of [training]: as the chosen trial's unless given
# shape = "linear"   # this and the rest of [schedule], likewise

[report]
# Results of others on the test split, drawn beside the study's own, such as
# {{ name = "TRP", accuracy = 0.9062, ratio = 3.4, count = "plain" }}; count of parameters (plain, pivoted) or of "macs"
published = []
"""


def template(model: str, data: str, *, name: str = "my-study", weights: str = "none", search: int = 1000) -> str:
    """The text of a study file with every default written out and explained.

    Args:
        model, data, weights, search: as ``network.model``, ``data.source``, ``network.weights``, ``data.search``.
    """
    words = {"model": model, "data": data, "name": name, "weights": weights}
    quoted = {key: json.dumps(word, ensure_ascii=False) for key, word in words.items()}  # a TOML basic string
    return TEMPLATE.format(search=search, **quoted)
