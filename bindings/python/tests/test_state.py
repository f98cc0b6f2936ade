"""States: copies, files, pickles; and what must not be copied."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy
import pytest

import volary

TEXT = "Once upon a time"


def test_copies_go_their_own_way(model: volary.Model, tmp_path: Path) -> None:
    state = model.prefill(TEXT)
    data = state.to_bytes()
    state.save(tmp_path / "a.state")
    copies = [
        state.clone(),
        copy.copy(state),
        copy.deepcopy(state),
        pickle.loads(pickle.dumps(state)),
        pickle.loads(pickle.dumps(state, protocol=0)),
        volary.State.from_bytes(data),
        volary.State.from_bytes(bytearray(data)),
        volary.State.load(model, tmp_path / "a.state"),
    ]
    for same in copies:
        assert same.to_bytes() == data
        model.decode(1, same)
        assert same.to_bytes() != data
        assert state.to_bytes() == data


def test_a_pickled_state_needs_no_model(model: volary.Model, golden: Path) -> None:
    pickled = pickle.dumps({"after": model.prefill(TEXT)})
    state = pickle.loads(pickled)["after"]
    assert state.to_bytes() == model.prefill(TEXT).to_bytes()
    # Whether it fits is checked when it is used.
    with pytest.raises(volary.MismatchError):
        volary.Model(golden / "v4.pth").eval(1, state)
    with pytest.raises(volary.FormatError):
        volary.State.from_bytes(b"no state")


def test_floats_are_the_reference_implementations(model: volary.Model, golden: Path) -> None:
    tokens = [(7919 * i + 13) % 256 for i in range(16)]
    floats = model.prefill(tokens).to_floats()
    expected = numpy.load(golden / "v7.state.npy").reshape(-1)
    assert floats.shape == expected.shape and numpy.allclose(floats, expected, rtol=0, atol=1e-4)
    again = volary.State.from_floats(model, floats)
    assert (again.to_floats() == floats).all()
    assert (volary.State.from_floats(model, floats.reshape(2, -1)).to_floats() == floats).all()
    with pytest.raises(volary.MismatchError, match="has 4351 floats"):
        volary.State.from_floats(model, floats[:-1].copy())


def test_models_are_shared_by_copies_and_never_pickled(model: volary.Model) -> None:
    """A copy of the native object's number would free it twice."""
    chat = model.chat()
    for shared in (model, model.tokenizer):
        assert copy.copy(shared) is shared and copy.deepcopy([shared])[0] is shared
    for own in (chat, model.generate("a")):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            copy.copy(own)
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            copy.deepcopy(own)
    for any_of_them in (model, model.tokenizer, chat, model.generate("a")):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match=f"a {type(any_of_them).__name__} cannot be copied or pickled"):
                pickle.dumps(any_of_them, protocol)


@pytest.mark.parametrize("kind", [volary.State, volary.Chat, volary.TokenStream])
def test_what_comes_from_elsewhere_says_so(kind: type) -> None:
    with pytest.raises(TypeError, match=f"a {kind.__name__} comes from Model"):
        kind()
