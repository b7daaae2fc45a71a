import pytest
import torch
from transformers import AutoModelForMaskedLM

from autobert_hf.cli import main
from tests.modeling.supernet_cases import saved, supernet


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("supernet"))


@pytest.mark.parametrize(
    ("options", "same_as"), [(["--architecture", "2x"], "2x"), (["--max-params", "8K"], "3x"), ([], "largest")]
)
def test_extract(folder, tmp_path, capsys, options, same_as):
    assert main(["extract", str(folder), str(tmp_path / "out"), *options]) == 0
    assert "parameters without a head" in capsys.readouterr().out
    model, expected = AutoModelForMaskedLM.from_pretrained(tmp_path / "out"), supernet().extract(same_as)
    assert all(torch.equal(w, expected.state_dict()[name]) for name, w in model.state_dict().items())
    assert main(["extract", str(tmp_path / "out"), str(tmp_path / "more")]) == 1
    assert "no supernet" in capsys.readouterr().err


def test_what_is_refused(folder, tmp_path, capsys):
    for options, said in [(["--architecture", "8x"], "no point '8x'"), (["--max-params", "10"], "the least are")]:
        assert main(["extract", str(folder), str(tmp_path / "out"), *options]) == 1
        assert said in capsys.readouterr().err
    assert main(["extract", str(folder), str(tmp_path)]) == 1
    assert "there already" in capsys.readouterr().err
    for source, said in [
        ("/nope", "/nope is no folder, and no id of a Hub"),
        (tmp_path, "supernet/model of its --out"),
    ]:
        assert main(["extract", str(source), str(tmp_path / "out")]) == 1
        assert said in capsys.readouterr().err
