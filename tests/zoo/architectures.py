"""Which segmentation networks does the zoo hold, and how is each one put together?

The table is data: a PaddleSeg model class, its backbone and their options, as one would write them
in a PaddleSeg configuration. It can be read without Paddle; only :func:`build` needs PaddleSeg.
Backbones are the smallest ones which the architecture takes (ResNet18_vd mostly), except where the
deep one is what people deploy.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STRIDE = 32
"""The total stride of most backbones."""

SMALL = (2 * STRIDE, 3 * STRIDE)
"""The least at which most networks work; not square, so that confused axes show."""

PYRAMID = (6 * STRIDE, 6 * STRIDE)
"""A pooling pyramid with bins of 1, 2, 3 and 6 divides it. The converters get adaptive
pooling wrong where the bins don't divide the map, and fail where there are more bins than pixels."""

NUM_CLASSES = 19


@dataclass(frozen=True)
class Architecture:
    """A network of PaddleSeg by the names under which its model and backbone are registered there.

    ``small`` is the height and width at which it is built unless asked otherwise; ``any_size`` is
    False where the network itself (not its conversion) refuses sizes that its strides don't divide.
    """

    model: str
    backbone: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int = NUM_CLASSES
    small: tuple[int, int] = SMALL
    any_size: bool = True

    def takes(self, size: tuple[int, int]) -> bool:
        """Whether the network works on images of `size`."""
        return self.any_size or all(side % STRIDE == 0 for side in size)


RESNET_OS8: dict[str, Any] = {"output_stride": 8, "multi_grid": [1, 2, 4]}
ASPP: dict[str, Any] = {"aspp_ratios": [1, 12, 24, 36], "aspp_out_channels": 256}
LAST_TWO: dict[str, Any] = {"backbone_indices": [2, 3]}
ALL_FOUR: dict[str, Any] = {"backbone_indices": [0, 1, 2, 3]}
VIT_SIZE = (64, 64)
"""A vision transformer is made for one square size, by its position embedding."""

SMALL_VIT: dict[str, Any] = {
    "img_size": VIT_SIZE[0],
    "embed_dim": 192,
    "depth": 4,
    "num_heads": 3,
    "qkv_bias": True,
}
KNET_HEADS: dict[str, Any] = {
    "kernel_update_head_params": {
        "num_classes": NUM_CLASSES,
        "num_ffn_fcs": 2,
        "num_heads": 8,
        "num_mask_fcs": 1,
        "feedforward_channels": 512,
        "in_channels": 128,
        "out_channels": 128,
        "dropout": 0.0,
        "conv_kernel_size": 1,
        "with_ffn": True,
        "kernel_updator_cfg": {"in_channels": 128, "feat_channels": 128, "out_channels": 128},
    },
    "kernel_generate_head_params": {
        "head_layer": "FCNKernelHead",
        "in_channels": 512,
        "channels": 128,
        "num_classes": NUM_CLASSES,
    },
    "backbone_indices": [3],
    "num_stages": 2,
    "channels": 128,
}

ARCHITECTURES: dict[str, Architecture] = {
    # The ones that must work: deployed most, or with a history of conversion trouble.
    "BiSeNetV2": Architecture("BiSeNetV2"),
    "PP-LiteSeg": Architecture("PPLiteSeg", "STDC1", small=(128, 128)),
    "DeepLabV3P": Architecture("DeepLabV3P", "ResNet50_vd", {"backbone_indices": [0, 3], **ASPP}, RESNET_OS8),
    "FCN-HRNet_W18": Architecture("FCN", "HRNet_W18", {"backbone_indices": [-1]}),
    "PSPNet": Architecture("PSPNet", "ResNet50_vd", LAST_TWO, RESNET_OS8, small=(96, 96)),
    "DANet": Architecture("DANet", "ResNet50_vd", LAST_TWO, RESNET_OS8),
    "DeepLabV3": Architecture("DeepLabV3", "ResNet50_vd", {"backbone_indices": [3], **ASPP}, RESNET_OS8),
    # Encoder-decoders.
    "UNet": Architecture("UNet"),
    "UNet-deconv": Architecture("UNet", options={"use_deconv": True}, any_size=False),
    "AttentionUNet": Architecture("AttentionUNet", any_size=False),
    "UNetPlusPlus": Architecture("UNetPlusPlus", any_size=False),
    "UNet3Plus": Architecture("UNet3Plus", any_size=False),
    "U2Netp": Architecture("U2Netp"),
    "SegNet": Architecture("SegNet", any_size=False),
    "HarDNet": Architecture("HarDNet"),
    # Small and fast ones.
    "MobileSeg": Architecture("MobileSeg", "MobileNetV2_x1_0"),
    "DDRNet-23": Architecture("DDRNet_23", any_size=False),
    "STDCSeg": Architecture("STDCSeg", "STDC1"),
    "BiSeNetV1": Architecture("BiseNetV1", "ResNet18_vd", backbone_options={"output_stride": 8}),
    "Fast-SCNN": Architecture("FastSCNN", small=PYRAMID),
    "ENet": Architecture("ENet", any_size=False),
    "ESPNetV1": Architecture("ESPNetV1", any_size=False),
    "ESPNetV2": Architecture("ESPNetV2", any_size=False),
    "LRASPP": Architecture("LRASPP", "MobileNetV3_large_x1_0_os8"),
    "SINet": Architecture("SINet", num_classes=2, any_size=False),
    "PortraitNet": Architecture("PortraitNet", "MobileNetV2_x1_0", num_classes=2, any_size=False),
    "PPHumanSegLite": Architecture("PPHumanSegLite", num_classes=2, any_size=False),
    "LPSNet": Architecture(
        "LPSNet",
        options={
            "depths": [1, 3, 3, 10, 10],
            "channels": [8, 24, 48, 96, 96],
            "scale_ratios": [1.0, 0.25],
        },
    ),
    "DeepLabV3P-ResNet18": Architecture(
        "DeepLabV3P", "ResNet18_vd", {"backbone_indices": [0, 3], **ASPP}, {"output_stride": 8}
    ),
    "FCN-LiteHRNet": Architecture("FCN", "Lite_HRNet_18", {"backbone_indices": [-1]}),
    "FCN-GhostNet": Architecture("FCN", "GhostNet_x0_5", {"backbone_indices": [-1]}),
    "FCN-ShuffleNetV2": Architecture("FCN", "ShuffleNetV2_x0_5", {"backbone_indices": [-1]}),
    # Context and attention heads.
    "OCRNet": Architecture("OCRNet", "HRNet_W18", {"backbone_indices": [0]}),
    "GCNet": Architecture("GCNet", "ResNet18_vd", LAST_TWO, {"output_stride": 8}),
    "CCNet": Architecture("CCNet", "ResNet18_vd", {**LAST_TWO, "recurrence": 2}, {"output_stride": 8}),
    "DNLNet": Architecture("DNLNet", "ResNet50_vd", LAST_TWO, RESNET_OS8),
    "EMANet": Architecture("EMANet", "ResNet50_vd", LAST_TWO, RESNET_OS8),
    "ANN": Architecture("ANN", "ResNet18_vd", LAST_TWO, {"output_stride": 8}),
    "GloRe": Architecture("GloRe", "ResNet18_vd", LAST_TWO, {"output_stride": 8}),
    "GINet": Architecture("GINet", "ResNet50_vd", ALL_FOUR),
    "ENCNet": Architecture("ENCNet", "ResNet18_vd", {"backbone_indices": [1, 2, 3]}, {"output_stride": 8}),
    "FastFCN": Architecture("FastFCN", "ResNet18_vd"),
    "DMNet": Architecture("DMNet", "ResNet18_vd", {"mid_channels": 128}, {"output_stride": 8}),
    "PFPNNet": Architecture(
        "PFPNNet",
        "ResNet18_vd",
        {**ALL_FOUR, "channels": 128, "fpn_inplanes": [64, 128, 256, 512]},
    ),
    "SFNet": Architecture("SFNet", "ResNet18_vd", ALL_FOUR),
    "DecoupledSegNet": Architecture(
        "DecoupledSegNet", "ResNet18_vd", {"backbone_indices": [0, 3]}, {"output_stride": 8}
    ),
    "UPerNet": Architecture("UPerNet", "ResNet18_vd", {**ALL_FOUR, "channels": 128}, small=PYRAMID),
    "KNet": Architecture("KNet", "ResNet18_vd", KNET_HEADS, {"output_stride": 8}),
    "HRNet-Contrast": Architecture(
        "HRNetW48Contrast", "HRNet_W18", {"bb_channels": 270, "drop_prob": 0.1, "proj_dim": 256}
    ),
    # Transformers.
    "SegFormer_B0": Architecture("SegFormer", "MixVisionTransformer_B0", {"embedding_dim": 256}),
    "SegFormer_B1": Architecture("SegFormer", "MixVisionTransformer_B1", {"embedding_dim": 256}),
    "SegFormer_B2": Architecture("SegFormer", "MixVisionTransformer_B2", {"embedding_dim": 768}),
    "SegNeXt": Architecture(
        "SegNeXt",
        "MSCAN_T",
        {"decoder_cfg": {"channels": 256, "ham_channels": 256, "ham_kwargs": {"MD_R": 16}}},
    ),
    "TopFormer": Architecture("TopFormer", "TopTransformer_Tiny", any_size=False),
    "RTFormer": Architecture(
        "RTFormer", options={"base_channels": 32, "head_channels": 64}, small=(384, 384)
    ),
    "PP-MobileSeg": Architecture(
        "PPMobileSeg", "MobileSeg_Tiny", {}, {"inj_type": "AAMSx8", "out_feat_chs": [32, 64, 128]}
    ),
    "PP-MobileSeg-VIM": Architecture(
        "PPMobileSeg",
        "MobileSeg_Base",
        {"upsample": "vim"},
        {"inj_type": "AAMSx8", "out_feat_chs": [64, 128, 192]},
        num_classes=32,  # below 30 it interpolates all the same
    ),
    "Segmenter-Linear": Architecture(
        "LinearSegmenter", "VisionTransformer", {}, SMALL_VIT, small=VIT_SIZE, any_size=False
    ),
    "Segmenter-Mask": Architecture(
        "MaskSegmenter",
        "VisionTransformer",
        {"h_embed_dim": 192, "h_depth": 2, "h_num_heads": 3},
        {**SMALL_VIT, "final_norm": True},
        small=VIT_SIZE,
        any_size=False,
    ),
    "SETR": Architecture(
        "SegmentationTransformer",
        "VisionTransformer",
        {"backbone_indices": [1, 3], "head": "naive"},
        SMALL_VIT,
        small=VIT_SIZE,
        any_size=False,
    ),
    "UPerNet-Swin": Architecture(
        "UPerNet",
        "SwinTransformer",
        {**ALL_FOUR, "channels": 128},
        {"embed_dim": 48, "depths": [2, 2, 2, 2], "num_heads": [3, 6, 12, 24]},
        small=PYRAMID,
    ),
    "MaskFormer": Architecture("MaskFormer", "SwinTransformer_tiny_patch4_window7_224_maskformer"),
}


def build(name: str) -> Any:
    """Return the network called `name`, in its initial weights; nothing is downloaded.

    Raises KeyError if the table has no such name.
    """
    from paddleseg.cvlibs import manager

    architecture = ARCHITECTURES[name]
    options = copy.deepcopy(dict(architecture.options))  # KNet takes its own apart
    if architecture.backbone is not None:
        _allow_untrained_vit()
        make_backbone = manager.BACKBONES[architecture.backbone]
        options["backbone"] = make_backbone(**architecture.backbone_options)
    make_model = manager.MODELS[architecture.model]
    if "num_classes" in _accepted(make_model):
        options["num_classes"] = architecture.num_classes
    return make_model(**options)


def _allow_untrained_vit() -> None:
    """Keep PaddleSeg's vision transformer from downloading weights, for which it has no option."""
    from paddleseg.models.backbones.vision_transformer import VisionTransformer

    VisionTransformer.init_weight = lambda self: None


def _accepted(make_model: Any) -> frozenset[str]:
    """The options of a model, where a factory with ``**kwargs`` stands for the class behind it."""
    parameters = inspect.signature(make_model).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return frozenset({*parameters, "num_classes"})
    return frozenset(parameters)
