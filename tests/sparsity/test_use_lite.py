# SPDX-License-Identifier: Apache-2.0
"""The forward pass against plain loops, on a made-up package with small random weights."""

import io
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_up_package import WORDS, K, made_up_files, write_folder

from sparsity.errors import PackageError, SparsityError
from sparsity.tfjs_package import TfjsPackage, read_package
from sparsity.use_lite import HEADS, MAX_TOKENS, NORM_EPSILON, UseLite, encode, load_model


@pytest.fixture
def package(tmp_path: Path) -> TfjsPackage:
    return read_package(write_folder(made_up_files(), tmp_path))


@pytest.fixture
def model(package: TfjsPackage) -> UseLite:
    return load_model(package)


def slow_dense(x: list[float], kernel: np.ndarray, bias: np.ndarray) -> list[float]:
    return [
        sum(x[row] * float(kernel[row, column]) for row in range(len(x))) + float(bias[column])
        for column in range(len(bias))
    ]


def slow_norm(x: list[float], scale: np.ndarray, bias: np.ndarray) -> list[float]:
    mean = sum(x) / len(x)
    variance = sum((value - mean) ** 2 for value in x) / len(x)
    return [
        float(scale[i]) * (x[i] - mean) / math.sqrt(variance + NORM_EPSILON) + float(bias[i])
        for i in range(len(x))
    ]


def slow_attention(qkv: list[list[float]]) -> list[list[float]]:
    inner = len(qkv[0]) // 3
    size = inner // HEADS
    out = [[0.0] * inner for _ in qkv]
    for head in range(HEADS):
        for i, row in enumerate(qkv):
            query = row[head * size : (head + 1) * size]
            weights = []
            for other in qkv:
                key = other[inner + head * size : inner + (head + 1) * size]
                weights.append(
                    math.exp(sum(q * k for q, k in zip(query, key, strict=True)) / math.sqrt(size))
                )
            for weight, other in zip(weights, qkv, strict=True):
                for part in range(size):
                    value = other[2 * inner + head * size + part]
                    out[i][head * size + part] += weight / sum(weights) * value
    return out


def add(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    return [[x + y for x, y in zip(p, q, strict=True)] for p, q in zip(a, b, strict=True)]


def slow_encode(weights: dict[str, np.ndarray], tokens: list[int]) -> tuple[list, list[float]]:
    """The encoder read off the graph, one number at a time."""

    def get(ending: str) -> np.ndarray:
        return next(weights[name] for name in weights if name.endswith(ending))

    def var(ending: str) -> np.ndarray:
        return get(f"{ending}/ConcatPartitions/concat")

    frequencies = get("TimingSignal/ExpandDims_1").reshape(-1)
    x = []
    for position, token in enumerate(tokens):
        angles = [position * float(f) for f in frequencies]
        signal = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        word = [float(v) for v in get("Embeddings_en")[token]]
        with_signal = [w + s for w, s in zip(word, signal, strict=True)]
        x.append([w + s for w, s in zip(word, with_signal, strict=True)])
    hidden_of = []
    for number in range(2):
        scope = f"Layer_{number}/TransformerLayer"
        stem = f"{scope}/layer_prepostprocess/layer_norm/layer_norm"
        normed = [slow_norm(row, var(f"{stem}_scale"), var(f"{stem}_bias")) for row in x]
        stem = f"{scope}/MultiheadAttention/qkv_transform_single"
        kernel = get(f"{stem}/kernel/part_0")[0, 0]
        mixed = slow_attention([slow_dense(row, kernel, var(f"{stem}/bias")) for row in normed])
        stem = f"{scope}/MultiheadAttention/output_transform_single"
        kernel = get(f"{stem}/kernel/part_0")[0, 0]
        attended = [slow_dense(row, kernel, var(f"{stem}/bias")) for row in mixed]
        if number == 0:
            stem = f"{scope}/dense"
            x = [slow_dense(row, var(f"{stem}/kernel"), var(f"{stem}/bias")) for row in x]
        x = add(attended, x)
        stem = f"{scope}/FFN/layer_prepostprocess/layer_norm/layer_norm"
        normed = [slow_norm(row, var(f"{stem}_scale"), var(f"{stem}_bias")) for row in x]
        stem = f"{scope}/FFN/conv"
        up, down = get(f"{stem}1/Tensordot/Reshape_1"), get(f"{stem}2/Tensordot/Reshape_1")
        hidden = [
            [max(v, 0.0) for v in slow_dense(row, up, var(f"{stem}1/bias"))] for row in normed
        ]
        hidden_of.append(hidden)
        x = add([slow_dense(row, down, var(f"{stem}2/bias")) for row in hidden], x)
    mean = [sum(column) / len(x) for column in zip(*x, strict=True)]
    out = slow_dense(mean, get("tanh_layer_0/weights"), get("tanh_layer_0/bias"))
    out = [math.tanh(value) for value in out]
    length = math.sqrt(sum(value * value for value in out))
    return hidden_of, [value / length for value in out]


@pytest.mark.parametrize("tokens", [[3], [1, 10, 0, 4, 4]])
def test_forward_equals_plain_loops(
    package: TfjsPackage, model: UseLite, tokens: list[int]
) -> None:
    encoding = encode(model, tokens)
    hidden, embedding = slow_encode(package.weights, tokens)
    for layer in range(2):
        assert np.shape(hidden[layer]) == (len(tokens), K)
        assert 0.1 < np.mean(np.array(hidden[layer]) == 0) < 0.9
        np.testing.assert_allclose(encoding.activations[layer], hidden[layer], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(encoding.embedding, embedding, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [0, MAX_TOKENS + 1])
def test_too_few_or_many_tokens_refused(model: UseLite, count: int) -> None:
    with pytest.raises(SparsityError, match=f"^{count} tokens: a text has 1 to 128, cut it$"):
        encode(model, [0] * count)


def test_longest_text_is_taken(model: UseLite) -> None:
    assert encode(model, [0] * MAX_TOKENS).activations[0].shape == (MAX_TOKENS, K)


@pytest.mark.parametrize("token", [-1, WORDS])
def test_token_outside_the_vocabulary_refused(model: UseLite, token: int) -> None:
    with pytest.raises(SparsityError, match=r"^a token is outside the vocabulary, 0 to 10$"):
        encode(model, [token])


def test_folder_and_archive_read_alike(package: TfjsPackage, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "made-up.tgz", "w:gz") as archive:
        for name, content in made_up_files().items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    from_archive = read_package(tmp_path / "made-up.tgz")
    assert from_archive.weights.keys() == package.weights.keys()
    assert all(np.array_equal(a, package.weights[n]) for n, a in from_archive.weights.items())
    assert from_archive.vocabulary == package.vocabulary == [("\u2581", -1.5), (":", None)]
    assert (from_archive.version, from_archive.licence) == ("1.2.3", "Apache-2.0")
    assert package.weights["a/count"] == 7


def broken_package(files: dict[str, bytes], tmp_path: Path) -> str:
    with pytest.raises(PackageError) as refusal:
        read_package(write_folder(files, tmp_path / "broken"))
    return str(refusal.value)


@pytest.mark.parametrize("name", made_up_files())
def test_missing_file_refused(tmp_path: Path, name: str) -> None:
    files = made_up_files()
    del files[name]
    sentence = broken_package(files, tmp_path)
    assert f"lacks {name}: is it the unpacked package?" in sentence


def test_short_and_long_shards_refused(tmp_path: Path) -> None:
    files = made_up_files()
    whole = files["dist/two"]
    files["dist/two"] = whole[:-4]
    assert "a/count ends at byte" in broken_package(files, tmp_path)
    files["dist/two"] = whole + b"\0"
    assert ", the manifest lists " in broken_package(files, tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("package.json", b"{}"),
        ("package.json", b"\xff"),
        ("dist/model.json", b"[]"),
        ("dist/vocab.json", b"[1]"),
        ("dist/model.json", b'{"weightsManifest": [{"paths": [], "weights": [{}]}]}'),
    ],
)
def test_file_of_another_kind_refused(tmp_path: Path, name: str, content: bytes) -> None:
    sentence = broken_package(made_up_files() | {name: content}, tmp_path)
    assert "is not a TensorFlow.js model package" in sentence


def test_path_that_is_no_package_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"^no package at .*: give the \.tgz of `npm pack`, or"):
        read_package(tmp_path / "nothing.tgz")
    (tmp_path / "noise.tgz").write_bytes(b"noise")
    with pytest.raises(PackageError, match=r"noise\.tgz is not a readable \.tgz: "):
        read_package(tmp_path / "noise.tgz")


def test_truncated_archive_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.tgz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("package/package.json")
        member.size = 5000
        archive.addfile(member, io.BytesIO(np.random.default_rng(1).bytes(5000)))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(PackageError):
        read_package(path)


def test_damaged_archive_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tgz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("package/package.json")
        member.size = 50_000
        digits = np.random.default_rng(1).integers(48, 58, member.size, np.uint8)
        archive.addfile(member, io.BytesIO(digits.tobytes()))
    data = bytearray(path.read_bytes())
    data[9000:] = np.random.default_rng(2).bytes(len(data) - 9000)
    path.write_bytes(data)
    with pytest.raises(PackageError, match="damaged.tgz is not a readable .tgz: "):
        read_package(path)


def test_another_model_refused(package: TfjsPackage) -> None:
    del package.weights["module/Embeddings_en"]
    with pytest.raises(
        PackageError, match=r"^made-up 1\.2\.3 has 0 weights called \*Embeddings_en"
    ):
        load_model(package)
