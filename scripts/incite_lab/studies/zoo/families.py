"""Families of torchvision's models, the forms in which they are exported, and the compression that each family must reach."""

import fnmatch
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """Compression that --check asks for, the head not counted. At keep 0.6: 2.8-fold at most, 1 / 0.36."""

    name: str
    least: float
    median: float = 0.0


CONVOLUTIONAL = Bar("convolutional", least=1.5, median=2.4)
PLAIN = Bar("AlexNet and SqueezeNet", least=1.5)
SHUFFLED = Bar("ShuffleNet", least=2.0)
ATTENTION = Bar("layer norm or attention", least=1.5)  # layer norm pins the residual stream
BARS = (CONVOLUTIONAL, PLAIN, SHUFFLED, ATTENTION)


@dataclass(frozen=True)
class Family:
    name: str
    pattern: str
    bar: Bar


FAMILIES = (
    Family("AlexNet", "alexnet", PLAIN),
    Family("ConvNeXt", "convnext_*", ATTENTION),
    Family("DeepLabV3", "deeplabv3_*", CONVOLUTIONAL),
    Family("DenseNet", "densenet*", CONVOLUTIONAL),
    Family("EfficientNet", "efficientnet_*", CONVOLUTIONAL),
    Family("FCN", "fcn_*", CONVOLUTIONAL),
    Family("GoogLeNet", "googlenet", CONVOLUTIONAL),
    Family("Inception", "inception_*", CONVOLUTIONAL),
    Family("LR-ASPP", "lraspp_*", CONVOLUTIONAL),
    Family("MaxViT", "maxvit_*", ATTENTION),
    Family("MNASNet", "mnasnet*", CONVOLUTIONAL),
    Family("MobileNet", "mobilenet_*", CONVOLUTIONAL),
    Family("RegNet", "regnet_*", CONVOLUTIONAL),
    Family("ResNet", "resnet*", CONVOLUTIONAL),
    Family("ResNeXt", "resnext*", CONVOLUTIONAL),
    Family("ShuffleNet", "shufflenet_*", SHUFFLED),
    Family("SqueezeNet", "squeezenet*", PLAIN),
    Family("Swin", "swin_*", ATTENTION),
    Family("VGG", "vgg*", CONVOLUTIONAL),
    Family("ViT", "vit_*", ATTENTION),
    Family("Wide ResNet", "wide_resnet*", CONVOLUTIONAL),
)

# A trace made without gradients holds fused attention, which a trace made with them does not.
FORMS = {
    "script": "scripted",
    "trace": "traced",
    "trace-no-grad": "traced, no gradients",
    "export": "exported",
    "frozen": "scripted, frozen",
}
USUAL_FORMS = ("script", "trace", "trace-no-grad", "export")  # those of docs/zoo.md
FUSED_ATTENTION = ("ViT",)


def family_of(model: str) -> Family:
    for family in FAMILIES:
        if fnmatch.fnmatch(model, family.pattern):
            return family
    raise SystemExit(f"zoo: {model} is of no family in FAMILIES: add one")
