"""Which optimisers do the frameworks have? Their names, as the frameworks take them."""

from __future__ import annotations

LEVELS = ("basic", "extended", "layout", "all")
"""Of onnxruntime, each with the optimisers of those before it."""

OPTIMISERS = (
    *("ConstantFolding", "Pad_Fusion", "ConvBNFusion", "ConvMulFusion", "ConvAddFusion", "DivMulFusion"),
    *("FuseReluClip", "NoopElimination", "EliminateIdentity", "EliminateSlice", "EliminateDropout"),
    *("UnsqueezeElimination", "ExpandElimination", "CastElimination", "CastChainElimination"),
    *("CommonSubexpressionElimination", "ConstantSharing", "ReshapeFusion", "PreShapeNodeElimination"),
    *("GemmTransposeFusion", "GemmSumFusion", "MatMulAddFusion", "MatMul_BatchNormalization_Fusion"),
    *("NotWhereFusion", "LabelEncoderFusion", "ClipQuantRewrite", "ReluQuantRewrite", "WhereDummyDq"),
    *("GeluFusionL1", "LayerNormFusionL1", "GeluFusionL2", "LayerNormFusionL2", "SimplifiedLayerNormFusion"),
    *("GatherSliceToSplitFusion", "GatherToSliceFusion", "SliceConcatToSpaceToDepthFusion"),
    *("TransposeOptimizer", "DoubleQDQPairsRemover", "QDQPropagationTransformer", "QDQS8ToU8Transformer"),
    *("QDQSelectorActionTransformer", "QDQFinalCleanupTransformer", "EnsureUniqueDQForNodeUnit"),
    *("ConstantFoldingDQ", "IdenticalChildrenConsolidation", "FuseInitializersTransformer"),
    *("FuseFp16InitializerToFp32NodeTransformer", "ConvActivationFusion", "ConvAddActivationFusion"),
    *("GemmActivationFusion", "MatMulActivationFusion", "MatMulScaleFusion", "MatmulTransposeFusion"),
    *("MatMulIntegerToFloatFusion", "DynamicQuantizeMatMulFusion", "AttentionFusion"),
    *("EmbedLayerNormFusion", "SkipLayerNormFusion", "BiasSkipLayerNormFusion", "BiasGeluFusion"),
    *("FastGeluFusion", "QuickGeluFusion", "BiasSoftmaxFusion", "BiasDropoutFusion"),
    *("GroupQueryAttentionFusion", "GroupQueryAttentionPreNormFusion", "DQMatMulNBitsFusion"),
    *("MatMulNBitsMlpFusion", "MatMulNBitsQkvFusion", "Avx2WeightS8ToU8Transformer"),
    *("NchwcTransformer", "NhwcTransformer"),
)
"""As onnxruntime 1.31 calls them; a name that a version does not know is ignored by it."""

PASSES = (
    *("simplify_with_basic_ops_pass", "layer_norm_fuse_pass", "attention_lstm_fuse_pass", "is_test_pass"),
    *("seqconv_eltadd_relu_fuse_pass", "seqpool_cvm_concat_fuse_pass", "mul_lstm_fuse_pass"),
    *("fc_gru_fuse_pass", "mul_gru_fuse_pass", "seq_concat_fc_fuse_pass", "fc_fuse_pass"),
    *("gpu_cpu_squeeze2_matmul_fuse_pass", "gpu_cpu_reshape2_matmul_fuse_pass"),
    *("gpu_cpu_flatten2_matmul_fuse_pass", "gpu_cpu_map_matmul_v2_to_mul_pass"),
    *("gpu_cpu_map_matmul_v2_to_matmul_pass", "gpu_cpu_map_matmul_to_mul_pass", "matmul_scale_fuse_pass"),
    *("matmul_v2_scale_fuse_pass", "repeated_fc_relu_fuse_pass", "squared_mat_sub_fuse_pass"),
    *("conv_bn_fuse_pass", "conv_eltwiseadd_bn_fuse_pass", "conv_transpose_bn_fuse_pass"),
    *("conv_transpose_eltwiseadd_bn_fuse_pass", "constant_folding_pass", "self_attention_fuse_pass"),
    *("common_subexpression_elimination_pass", "identity_op_clean_pass", "map_op_to_another_pass"),
    *("reduce_as_sum_pass", "dead_code_elimination_pass", "conv2d_bn_fuse_pass", "matmul_weight_trans_pass"),
)
"""Paddle's passes for a CPU, of the old program (as a Config's pass builder lists them) and of PIR."""
