"""Attention and the transformer layer, against torch's on the same weights."""

import torch
from torch import nn

from baselines.layers.attention import AttentionProducts, SelfAttention
from baselines.layers.transformer import TransformerLayer, sinusoids


def test_self_attention_is_that_of_torch() -> None:
    ours = SelfAttention(12, 3)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = (
        ours.project.weight.data,
        ours.project.bias.data,
    )
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    x = torch.randn(2, 7, 12)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])


def test_layer_is_that_of_torch_with_the_norm_first() -> None:
    ours = TransformerLayer(features=12, heads=3, hidden=20)
    theirs = nn.TransformerEncoderLayer(12, 3, 20, dropout=0, batch_first=True, norm_first=True)
    for name, parameter in theirs.named_parameters():
        if name.startswith("norm"):
            nn.init.normal_(parameter)
    pairs = {
        "self_attn.in_proj_weight": ours.attention.project.weight,
        "self_attn.in_proj_bias": ours.attention.project.bias,
        "self_attn.out_proj.weight": ours.attention.output.weight,
        "self_attn.out_proj.bias": ours.attention.output.bias,
        "norm1.weight": ours.attention_norm.weight,
        "norm1.bias": ours.attention_norm.bias,
        "norm2.weight": ours.feed_forward[0].weight,
        "norm2.bias": ours.feed_forward[0].bias,
        "linear1.weight": ours.feed_forward[1].weight,
        "linear1.bias": ours.feed_forward[1].bias,
        "linear2.weight": ours.feed_forward[4].weight,
        "linear2.bias": ours.feed_forward[4].bias,
    }
    assert set(pairs) == set(dict(theirs.named_parameters()))
    for name, parameter in pairs.items():
        parameter.data = theirs.get_parameter(name).data
    x = torch.randn(2, 7, 12)
    torch.testing.assert_close(ours(x), theirs(x))


def test_products_are_counted_for_values_of_another_size() -> None:
    queries, values = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 6)
    products = AttentionProducts()
    output = products(queries, values, queries)
    assert products.macs(queries, output) == 2 * 3 * 5 * 5 * (4 + 6)


def test_sinusoids_begin_with_zeros_and_ones() -> None:
    code = sinusoids(torch.zeros(1, 4, 6))
    assert code.shape == (4, 6)
    assert code[0].tolist() == [0, 1, 0, 1, 0, 1]
    torch.testing.assert_close(code[:, 0], torch.arange(4.0).sin())


def test_products_in_bfloat16_are_as_good_in_training_as_after() -> None:
    """Training takes another implementation than what follows it."""
    queries, keys, values = torch.randn(3, 2, 4, 9, 8).bfloat16()
    products = AttentionProducts()
    trained = products.train()(keys, values, queries)
    after = products.eval()(keys, values, queries)
    torch.testing.assert_close(trained, after, rtol=0.02, atol=0.02)
