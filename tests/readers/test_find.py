import pytest

from segdiff import readers
from segdiff.core.errors import ModelError
from tests.readers.models import write_onnx, write_pdmodel, write_pir


@pytest.mark.parametrize("stem", ["model", "inference", "v2.0_cls"])
@pytest.mark.parametrize("form", ["folder", "program", "stem"])
def test_a_model_is_found_by_folder_program_and_stem(tmp_path, stem, form):
    program = write_pdmodel(tmp_path, stem)
    path = {"folder": tmp_path, "program": program, "stem": tmp_path / stem}[form]
    files = readers.find(path)
    assert files == readers.ModelFiles("pdmodel", program, tmp_path / f"{stem}.pdiparams", None)


def test_a_string_will_do(tmp_path):
    program = write_onnx(tmp_path)
    assert readers.find(str(program)) == readers.ModelFiles("onnx", program, None, None)


def test_paddle_wins_over_the_onnx_beside_it(tmp_path):
    program = write_pir(tmp_path)
    write_onnx(tmp_path)
    assert readers.find(tmp_path).program == program
    assert readers.find(tmp_path / "model").program == program


def test_a_json_that_is_no_program_is_ignored(tmp_path):
    (tmp_path / "config.json").write_text('{"a": 1}')
    program = write_pir(tmp_path)
    assert readers.find(tmp_path).program == program


def test_deploy_yaml_decides(tmp_path):
    write_pdmodel(tmp_path, "a")
    program = write_pdmodel(tmp_path, "b")
    (tmp_path / "b.pdiparams").rename(tmp_path / "weights")
    (tmp_path / "deploy.yaml").write_text("Deploy:\n  model: b.pdmodel\n  params: weights\n")
    files = readers.find(tmp_path)
    assert (files.program, files.params) == (program, tmp_path / "weights")
    assert files.deploy_yaml == tmp_path / "deploy.yaml"


def test_deploy_yaml_of_the_old_format_finds_the_pir_program(tmp_path):
    program = write_pir(tmp_path)
    (tmp_path / "deploy.yaml").write_text("Deploy: {model: model.pdmodel, params: model.pdiparams}")
    assert readers.find(tmp_path).program == program


def test_of_several_the_one_with_parameters(tmp_path):
    write_pdmodel(tmp_path, "a")
    program = write_pdmodel(tmp_path, "b")
    (tmp_path / "a.pdiparams").unlink()
    assert readers.find(tmp_path).program == program


def test_several_complete_models_are_listed(tmp_path):
    write_pdmodel(tmp_path, "a")
    write_pdmodel(tmp_path, "b")
    with pytest.raises(ModelError, match=r"a\.pdmodel, b\.pdmodel"):
        readers.find(tmp_path)


def test_the_only_parameters_belong_to_the_only_program(tmp_path):
    write_pdmodel(tmp_path)
    (tmp_path / "model.pdiparams").rename(tmp_path / "weights.pdiparams")
    assert readers.find(tmp_path).params == tmp_path / "weights.pdiparams"


@pytest.mark.parametrize("params", ["params", "__params__"])
def test_old_names(tmp_path, params):
    write_pdmodel(tmp_path)
    (tmp_path / "model.pdmodel").rename(tmp_path / "__model__")
    (tmp_path / "model.pdiparams").rename(tmp_path / params)
    files = readers.find(tmp_path)
    assert (files.format, files.params) == ("pdmodel", tmp_path / params)
    assert len(readers.read(files).parameters) == 5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("weights.pdparams", "training checkpoint"),
        ("model.pdiparams", "only the parameters"),
        ("notes.txt", "not a model file"),
    ],
)
def test_other_files_are_explained(tmp_path, name, words):
    (tmp_path / name).write_text("x")
    with pytest.raises(ModelError, match=words):
        readers.find(tmp_path / name)


def test_nothing_there(tmp_path):
    with pytest.raises(ModelError, match="no model in this folder"):
        readers.find(tmp_path)
    with pytest.raises(ModelError, match="no such file"):
        readers.find(tmp_path / "model")


@pytest.mark.parametrize(
    "text",
    [
        "Deploy: {model: ../model.pdmodel}",
        "Deploy: {model: /etc/passwd}",
        "Deploy: [",
        "[" * 5000,
        "\x00",
    ],
)
def test_a_bad_deploy_yaml_is_an_error(tmp_path, text):
    write_pdmodel(tmp_path)
    (tmp_path / "deploy.yaml").write_text(text)
    with pytest.raises(ModelError, match=r"deploy\.yaml"):
        readers.find(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "just words", "Deploy: 3", "Deploy: {model: 3}", "Deploy: {model: gone.pdmodel}"]
)
def test_a_deploy_yaml_that_says_nothing_is_ignored(tmp_path, text):
    program = write_pdmodel(tmp_path)
    (tmp_path / "deploy.yaml").write_text(text)
    assert readers.find(tmp_path).program == program
