"""Models of other libraries: the same function, the same gradient, and nothing dropped in silence."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

import flowsim
from flowsim.adapt import Part

DATA = jax.random.normal(jax.random.key(0), (6, 3))
TARGET = jnp.sin(DATA[:, 0])


def risk(model):
    return 0.5 * jnp.mean((jax.vmap(model)(DATA) - TARGET) ** 2)


@pytest.mark.slow
def test_nnx():
    nnx = pytest.importorskip("flax.nnx")

    class Network(nnx.Module):
        def __init__(self, rngs):
            self.inner, self.outer = nnx.Linear(3, 5, rngs=rngs), nnx.Linear(5, 1, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.outer(self.dropout(jnp.tanh(self.inner(x))))[0]

    module = Network(nnx.Rngs(0))
    model = flowsim.adapt.nnx(module, dtype=jnp.float64)
    module.eval()
    assert jax.vmap(model)(DATA) == pytest.approx(np.asarray(jax.vmap(module)(DATA)), rel=1e-5)
    assert model.parameters["inner"]["kernel"].dtype == jnp.float64
    problem = flowsim.Problem.from_loss(lambda m: risk(m), model)
    result = flowsim.simulate(problem, t1=2.0, rtol=1e-6, atol=1e-8)
    assert float(result.dataset["loss"][-1]) < float(result.dataset["loss"][0])
    assert float(result.dataset["loss"][-1]) == pytest.approx(float(risk(result.model)), rel=1e-9)

    class Averaged(nnx.Module):
        def __init__(self, rngs):
            self.norm = nnx.BatchNorm(3, rngs=rngs)

    with pytest.raises(ValueError, match=r"keeps BatchStat, .* LayerNorm for BatchNorm"):
        flowsim.adapt.nnx(Averaged(nnx.Rngs(0)))


def test_linen():
    linen = pytest.importorskip("flax.linen")

    class Network(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(1)(jnp.tanh(linen.Dense(5)(x)))[0]

    module = Network()
    variables = module.init(jax.random.key(1), DATA[0])
    model = flowsim.adapt.linen(module, variables, dtype=jnp.float64)
    assert jax.vmap(model)(DATA) == pytest.approx(
        np.asarray(jax.vmap(lambda x: module.apply(variables, x))(DATA)), rel=1e-5
    )
    gradient = jax.grad(lambda m: risk(m))(model)
    own = jax.grad(lambda v: risk(lambda x: module.apply({"params": v}, x)))(variables["params"])
    assert gradient.parameters["Dense_0"]["kernel"] == pytest.approx(np.asarray(own["Dense_0"]["kernel"]), rel=1e-4)
    with pytest.raises(ValueError, match="must hold params and nothing else, got batch_stats, params"):
        flowsim.adapt.linen(module, {**variables, "batch_stats": {}})


@pytest.fixture(name="model")
def _model():
    options = {"vocabulary": 7, "outputs": 7, "layers": 1, "heads": 2, "width": 4, "residual": True, "causal": True}
    return flowsim.models.Transformer(**options, readout="last", train_readout=True, key=jax.random.key(2))


@pytest.fixture(name="tensors")
def _tensors():
    """As GPT-2 packs them: queries, keys and values of all heads side by side, (inputs, outputs)."""
    generator = np.random.default_rng(0)
    shapes = {"wte": (7, 4), "attn.weight": (4, 12), "attn.bias": (12,), "proj.weight": (4, 4), "head": (7, 4)}
    return {name: generator.normal(size=shape) for name, shape in shapes.items()}


def names():
    found = {"embedding": Part("wte", transposed=True), "a": "head"}
    for head in range(2):
        own = (2 * head, 2 * head + 2)
        for k, matrix in enumerate(("W_Q", "W_K", "W_V")):
            columns = (4 * k + own[0], 4 * k + own[1])
            found[f"blocks.0.heads.{head}.{matrix}"] = Part("attn.weight", columns=columns, transposed=True)
        found[f"blocks.0.heads.{head}.W_O"] = Part("proj.weight", rows=own, transposed=True)
    return found


def by_hand(tensors, tokens):
    """The same transformer in NumPy, from the packed tensors."""
    x = tensors["wte"][tokens]
    q, k, v = np.split(x @ tensors["attn.weight"], 3, axis=1)
    out = np.zeros_like(x)
    for head in (slice(0, 2), slice(2, 4)):
        scores = q[:, head] @ k[:, head].T / np.sqrt(2)
        scores = np.where(np.tril(np.ones(scores.shape, bool)), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        out += weights / weights.sum(axis=1, keepdims=True) @ v[:, head] @ tensors["proj.weight"][head]
    return (x + out)[-1] @ tensors["head"].T


def test_state_dict(model, tensors, tmp_path):
    tokens = np.array([3, 1, 6, 0])
    save_file(tensors, tmp_path / "model.safetensors")
    for source in (tensors, tmp_path / "model.safetensors"):
        loaded = flowsim.adapt.transformer(model, source, names(), ignore=["attn.bias"])
        assert np.asarray(loaded(jnp.asarray(tokens))) == pytest.approx(by_hand(tensors, tokens), rel=1e-12)


def test_pytorch(model, tensors):
    torch = pytest.importorskip("torch")
    source = {name: torch.tensor(value, requires_grad=True) for name, value in tensors.items()}
    loaded = flowsim.adapt.transformer(model, source, names(), ignore=["attn.bias"])
    assert np.array_equal(loaded.embedding, tensors["wte"].T)


class Half:
    """What of a PyTorch tensor of bfloat16 is asked: NumPy knows no such type, and `numpy()` refuses."""

    def __init__(self, values, dtype="torch.bfloat16"):
        self.values, self.dtype = values, dtype

    def detach(self):
        return self

    def cpu(self):
        return self

    def float(self):
        return Half(self.values, "torch.float32")

    def numpy(self):
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


def test_half_precision(model, tensors, tmp_path):
    """The precision in which most weights are published, as tensors and in a file."""
    rounded = {name: np.asarray(jnp.asarray(value, jnp.bfloat16)) for name, value in tensors.items()}
    save_file(rounded, tmp_path / "half.safetensors")
    held = {name: Half(value.astype(np.float32)) for name, value in rounded.items()}
    for source in (held, tmp_path / "half.safetensors"):
        loaded = flowsim.adapt.transformer(model, source, names(), ignore=["attn.bias"])
        assert loaded.embedding.dtype == model.embedding.dtype
        assert np.array_equal(loaded.embedding, rounded["wte"].T.astype(float))


def test_nothing_is_dropped_in_silence(model, tensors, tmp_path):
    wrong = names() | {"a": "haed", "b": "head", "embedding": "wte"}
    del wrong["blocks.0.heads.1.W_O"]
    with pytest.raises(ValueError) as refused:
        flowsim.adapt.transformer(model, tensors, wrong)
    for said in (
        "b is not an array of the model",
        "nothing is named for blocks.0.heads.1.W_O",
        "haed is not among the tensors",
        "attn.bias is neither used nor ignored",
        "embedding has shape (4, 7), wte gives (7, 4)",
    ):
        assert said in str(refused.value)
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        flowsim.adapt.transformer(model, tmp_path / "x.safetensors", names())


PAGES = pathlib.Path(__file__).parent.parent / "docs"


@pytest.mark.thorough
@pytest.mark.parametrize("index", [0, 1, 2], ids=["nnx", "linen", "state dict"])
def test_examples_of_the_page_run(index):
    pytest.importorskip("flax")
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / "adapt.md").read_text("utf-8"), re.S)
    names = {}
    exec(compile(blocks[index], f"adapt.md, example {index}", "exec"), names)
    if "result" in names:
        assert names["result"].status.ok
        assert float(names["result"].dataset["loss"][-1]) < float(names["result"].dataset["loss"][0])
    else:
        assert float(names["model"].blocks[0].heads[0].W_Q[0, 0]) == 1.0
