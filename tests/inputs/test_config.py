from __future__ import annotations

from pathlib import Path

import pytest

from segdiff.core.errors import InputError
from segdiff.inputs import read_deploy_yaml
from tests.inputs.pictures import write

DEPLOY = """
Deploy:
  input_shape: [-1, 3, null, 640]
  model: model.pdmodel
  params: model.pdiparams
  output_op: argmax
  output_dtype: int32
  transforms:
  - {type: Resize, target_size: [640, 480]}
  - type: Normalize
"""


def test_deploy_section(tmp_path: Path) -> None:
    path = write(tmp_path / "deploy.yaml", DEPLOY)
    config = read_deploy_yaml(str(path))
    assert config.path == path
    assert config.transforms == (("Resize", {"target_size": [640, 480]}), ("Normalize", {}))
    assert config.input_shape == (None, 3, None, 640)
    assert (config.model, config.params) == ("model.pdmodel", "model.pdiparams")
    assert (config.output_op, config.output_dtype) == ("argmax", "int32")
    assert config.img_channels is None


def test_keys_at_the_top_level(tmp_path: Path) -> None:
    lines = DEPLOY.strip().splitlines()[1:]
    flat = write(tmp_path / "flat.yaml", "\n".join(line[2:] for line in lines))
    nested = read_deploy_yaml(write(tmp_path / "deploy.yaml", DEPLOY))
    assert read_deploy_yaml(flat).transforms == nested.transforms
    assert read_deploy_yaml(flat).input_shape == nested.input_shape


def test_absent_keys_are_none_and_an_empty_list_is_not(tmp_path: Path) -> None:
    config = read_deploy_yaml(write(tmp_path / "a.yaml", "Deploy: {model: model.pdmodel}"))
    assert (config.transforms, config.input_shape, config.params) == (None, None, None)
    assert read_deploy_yaml(write(tmp_path / "b.yaml", "Deploy: {transforms: null}")).transforms is None
    assert read_deploy_yaml(write(tmp_path / "c.yaml", "Deploy: {transforms: []}")).transforms == ()


def test_training_config_with_bases(tmp_path: Path) -> None:
    write(
        tmp_path / "base.yml",
        """
        train_dataset: {type: Cityscapes, transforms: [{type: RandomBlur}]}
        val_dataset:
          type: Cityscapes
          img_channels: 1
          transforms: [{type: Resize}, {type: Normalize}]
        """,
    )
    folder = tmp_path / "sub"
    folder.mkdir()
    child = write(
        folder / "child.yml", "_base_: ../base.yml\nval_dataset: {mode: val}\nmodel: {type: BiSeNetV2}\n"
    )
    config = read_deploy_yaml(child)
    assert config.transforms == (("Resize", {}), ("Normalize", {}))
    assert (config.img_channels, config.model) == (1, None)
    own = write(folder / "own.yml", "_base_: [child.yml]\nval_dataset: {transforms: [{type: Normalize}]}\n")
    assert read_deploy_yaml(own).transforms == (("Normalize", {}),)
    alone = "_base_: child.yml\nval_dataset: {_inherited_: false, transforms: []}\n"
    assert read_deploy_yaml(write(folder / "alone.yml", alone)).img_channels is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Deploy: [", "not valid YAML"),
        ("Deploy: {a: 2024-99-99}", "not valid YAML"),
        ("Deploy: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("\x00", "not valid YAML"),
        ("# nothing", "holds nothing"),
        ("- Deploy", "holds a list"),
        ("Deploy:", "Deploy is empty"),
        ("Deploy: deploy", "Deploy is a str"),
        ("val_dataset: 3", "val_dataset is a int"),
        ("Global: {}", "has no Deploy, val_dataset, Preprocess or PreProcess"),
        ("Preprocess: {}", "not a list"),
        ("Deploy: {transforms: Resize}", "transforms is a str"),
        ("Deploy: {transforms: [Resize]}", "transform 1 has no type"),
        ("Deploy: {transforms: [{type: Resize}, {target_size: 3}]}", "transform 2 has no type"),
        ("Deploy: {input_shape: 1 3 480 640}", "input_shape is '1 3 480 640'"),
        ("Deploy: {input_shape: [1, true]}", "input_shape"),
        ("Deploy: {model: [a]}", "model is a list"),
        ("val_dataset: {img_channels: 4}", "img_channels is 4"),
        ("_base_: bad.yaml", "_base_ leads back"),
        ("_base_: nowhere.yml", "nowhere.yml does not exist"),
        ("_base_: 5", "_base_ is 5"),
        ("_base_: [{}]", "_base_ is"),
    ],
)
def test_a_broken_config_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "bad.yaml", text)
    with pytest.raises(InputError, match=message) as caught:
        read_deploy_yaml(path)
    assert "bad.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_deploy_yaml(tmp_path / "deploy.yaml")
    with pytest.raises(InputError, match="is a folder"):
        read_deploy_yaml(tmp_path)
    with pytest.raises(InputError, match="zero bytes"):
        read_deploy_yaml(write(tmp_path / "empty.yaml", ""))
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"Deploy: {model: \xe9}")
    with pytest.raises(InputError, match="not valid YAML"):
        read_deploy_yaml(latin)
