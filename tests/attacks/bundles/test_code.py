"""A `.pt2` is code. Each way in which one could run something when it is loaded is refused."""

import io
import json
import pickle
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from edge_agent.bundles.believed import Rights
from edge_agent.bundles.pt2 import CONSTANTS, MODEL, SAMPLES, WEIGHTS, screen
from protocol.bundles import digest_key
from protocol.errors import UntrustedError
from tests.attacks.bundles.forging import refusals
from tests.signed import a_repository, an_updater

DEMO = Path(__file__).parents[3] / "deploy" / "demo"
PROGRAM = (DEMO / "digits-mlp-tiny" / "mlp-tiny.pt2-fp32.pt2").read_bytes()
CALL = "__import__('os').system('touch /tmp/pwned')"


class Payload:
    """Pickled, it runs a command when it is loaded."""

    def __reduce__(self):
        return (exec, ("raise SystemExit",))


def repacked(change=lambda _: None, how=zipfile.ZIP_STORED, root=None) -> bytes:
    """The demo's program with its files changed."""
    with zipfile.ZipFile(io.BytesIO(PROGRAM)) as archive:
        files = {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}
    change(files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for place, (name, data) in enumerate(files.items()):
            archive.writestr(f"{root if root and place == 3 else 'mlp-tiny'}/{name}", data)
    return out.getvalue()


def edited(name: str, change) -> bytes:
    """The same with one of its JSON files changed."""

    def edit(files):
        document = json.loads(files[name])
        change(document)
        files[name] = json.dumps(document).encode()

    return repacked(edit)


def refused(data: bytes, says: str) -> None:
    with pytest.raises(UntrustedError, match=says):
        screen(data)


def graph(document):
    return document["graph_module"]["graph"]


def expression(text):
    def change(document):
        values = graph(document)["tensor_values"]
        next(iter(values.values()))["sizes"][0] = {"as_expr": {"expr_str": text, "hint": None}}

    return edited(MODEL, change)


def test_what_the_builder_writes_passes():
    for path in DEMO.rglob("*.pt2"):
        screen(path.read_bytes())
    screen(repacked())


def test_a_pickle_in_place_of_an_archive_is_refused():
    refused(pickle.dumps(Payload()), "something around|no torch archive")


def test_an_archive_of_the_older_form_is_refused():
    refused(repacked(lambda files: files.update({"archive_format": b"old"})), "another form")
    refused(repacked(lambda files: files.pop("archive_format")), "another form")


def test_a_pickle_in_the_sample_inputs_is_refused():
    refused(
        repacked(lambda files: files.update({SAMPLES: pickle.dumps(Payload())})), "sample inputs"
    )


@pytest.mark.parametrize("value", [True, 1, "no", None, {}])
def test_a_weight_marked_as_a_pickle_is_refused(value):
    def mark(document):
        next(iter(document["config"].values()))["use_pickle"] = value

    refused(edited(WEIGHTS, mark), "a pickle among its weights")


def test_a_weight_that_does_not_say_is_refused():
    refused(
        edited(WEIGHTS, lambda d: next(iter(d["config"].values())).pop("use_pickle")), "a pickle"
    )


@pytest.mark.parametrize("name", ["custom_obj_0", "opaque_obj_0", "../weight_0", "weight_x"])
def test_a_custom_object_among_the_constants_is_refused(name):
    def add(document):
        document["config"]["it"] = {"path_name": name, "use_pickle": False}

    refused(edited(CONSTANTS, add), "a custom object")


@pytest.mark.parametrize(
    "name",
    [
        "data/constants/custom_obj_0", "data/aotinductor/model/run.so", "extra/run.py",
        "data/weights/../../x", "data/executorch/x", "code/run.py", "data/sample_inputs/other.pt",
    ],
)  # fmt: skip
def test_an_entry_that_no_program_needs_is_refused(name):
    refused(repacked(lambda files: files.update({name: b"x"})), "with an entry")


@pytest.mark.parametrize(
    "text",
    [
        CALL, "().__class__.__bases__[0]", "open('/etc/passwd')", "lambda: 0", "[x for x in y]",
        "Symbol('s0').func", "Symbol(\"__import__('os')\")", "sympify('1')", "exec", "(yield)",
        "f'{x}'", "a if b else c", "Symbol(*x)", "x" * 3000, "1 +", "_private", 7,
    ],
)  # fmt: skip
def test_code_in_an_expression_is_refused(text):
    refused(
        expression(text) if text != "exec" else expression("exec('1')"), "code in an expression"
    )


@pytest.mark.parametrize(
    "text",
    ["s40", "2*s40 + 1", "Symbol('s40', positive=True, integer=True)", "Mod(s0, 2)", "-s0 // 3"],
)
def test_arithmetic_in_an_expression_passes(text):
    screen(expression(text))


def test_guards_are_refused():
    refused(edited(MODEL, lambda d: d.update(guards_code=[CALL])), "guards")


@pytest.mark.parametrize(
    "target",
    [
        "torch.hub.load", "torch.ops.aten.from_file.default", "_operator.attrgetter",
        "math.__class__", "torch.ops.mine.run.default", "#namespace:op", "os.system", "torch.load",
    ],
)  # fmt: skip
def test_an_operator_that_does_more_than_compute_is_refused(target):
    refused(edited(MODEL, lambda d: graph(d)["nodes"][0].update(target=target)), "that calls")


@pytest.mark.parametrize("name", ["x): exec('1') #", "a b", "a\nb", "1a", "a.b", "a(b"])
def test_a_name_that_would_become_source_is_refused(name):
    refused(
        edited(MODEL, lambda d: graph(d)["inputs"].append({"as_tensor": {"name": name}})), "a name"
    )


def test_a_tree_of_another_type_is_refused():
    def change(document):
        signature = document["graph_module"]["module_call_graph"][0]["signature"]
        signature["in_spec"] = json.dumps([1, {"type": "collections.defaultdict", "context": "os"}])

    refused(edited(MODEL, change), "a tree of")


@pytest.mark.parametrize("change", [{"custom_obj_values": {"x": {}}}, {"as_operator": "x"}])
def test_objects_in_the_graph_are_refused(change):
    refused(edited(MODEL, lambda d: graph(d).update(change)), "a .pt2 with (custom_obj|as_op)")


def test_metadata_that_would_be_brought_to_life_is_refused():
    refused(
        edited(MODEL, lambda d: graph(d)["nodes"][0].update(metadata={"custom": CALL})), "metadata"
    )


@pytest.mark.parametrize(
    "data",
    [b"MZ" + PROGRAM, PROGRAM + b"behind", PROGRAM[:-1], b"PK\x03\x04", b""],
    ids=["before", "behind", "cut", "stub", "empty"],
)
def test_something_around_the_archive_is_refused(data):
    refused(data, "something around|no torch archive")


def test_a_second_root_or_a_second_file_of_one_name_is_refused():
    refused(repacked(root="other"), "twice")


def test_a_compressed_entry_is_refused():
    refused(repacked(how=zipfile.ZIP_DEFLATED), "compressed")


async def test_code_is_looked_through_before_it_is_loaded(tmp_path):
    """The right to publish code is a first lock; this is the second, on the node itself."""
    repository = a_repository(tmp_path, rights=Rights(code=True))
    repository.publish(DEMO / "digits-mlp-tiny", publisher="acme")
    node = an_updater(tmp_path / "node", repository)
    await node.update()
    held = node.store().held["mlp-tiny.pt2-fp32"]
    assert held.read() == PROGRAM
    evil = repacked(lambda files: files.update({SAMPLES: pickle.dumps(Payload())}))
    digest = digest_key(sha256(evil).hexdigest())
    signed = held.variant.model_copy(update={"size_bytes": len(evil), "digest": digest})
    with pytest.raises(UntrustedError, match="sample inputs"):
        replace(held, variant=signed, data=evil).read()
    assert not refusals(node)
