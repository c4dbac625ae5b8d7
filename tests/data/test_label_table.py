from __future__ import annotations

import unicodedata

import pytest

from adasgn_edge.data.label_table import numbered_labels, read_label_table
from adasgn_edge.errors import DatasetError


@pytest.fixture
def read(tmp_path):
    """Reads a table from its text."""

    def read_text(text: str | bytes):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_label_table(path)

    return read_text


@pytest.fixture
def numbered(read, tmp_path):
    """Class names and labels of rows with the given labels, with or without a class list."""

    def number(labels: str, classes: str | None = None):
        if classes is not None:
            (tmp_path / "classes.txt").write_text(classes, encoding="utf-8")
        rows = "".join(f"{place}.npz,{label}\n" for place, label in enumerate(labels.split("|")))
        return numbered_labels(read("file,label\n" + rows), tmp_path / "classes.txt")

    return number


EXPECTED = [("a.npz", "wave", "train", "ann"), ("b.npz", "clap", "test", "ben")]
PLAIN = "file,label,split,subject\na.npz,wave,train,ann\nb.npz,clap,test,ben\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", " , "),
        "sep=;\n" + PLAIN.replace(",", ";"),
        "\ufeff" + PLAIN,
        "# who, what\n\n" + PLAIN + "\n,,,\n",
        PLAIN.replace("\n", ",,\n"),
        "".join(",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in PLAIN.splitlines()),
        "subject,split,label,file\nann,train,wave,a.npz\nben,test,clap,b.npz\n",
        "Person; CLASS ;Set;File_Name\nann;wave;Training;a.npz\nben;clap;Testing;b.npz\n",
        ",file,label,split,subject\n0,a.npz,wave,train,ann\n1,b.npz,clap,test,ben\n",
        "Unnamed: 0,path,gesture,subset,user\n0,a.npz,wave,TRAIN,ann\n1,b.npz,clap,eval,ben\n",
    ],
)
def test_tables_as_programs_and_people_write_them(read, text):
    table = read(text)
    assert [tuple(row)[1:] for row in table.rows] == EXPECTED
    assert table.notes == ()


def test_columns_that_may_be_missing(read):
    (row,) = read("label,file\nwave,a.npz\n").rows
    assert row == (2, "a.npz", "wave", "", "")


def test_a_cell_over_two_lines_is_one(read):
    table = read('file,label\na.npz,"swipe\n up"\nb.npz,x\n')
    assert [(row.line, row.label) for row in table.rows] == [(3, "swipe up"), (4, "x")]


def test_a_column_that_nobody_filled_in_is_none(read):
    table = read("file,label,split,subject\na.npz,x,,\nb.npz,y,,\n")
    assert [row[3:] for row in table.rows] == [("", "")] * 2
    assert table.notes == ()


def test_further_columns_are_named(read):
    table = read("file,label,class,fps,\na.npz,1,wave,30,x\n")
    assert table.rows[0][1:3] == ("a.npz", "1")
    (note,) = table.notes
    assert "passed over: class, fps, column 5 (without a name); used are 'file' as the file, 'label' as" in note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: expected the columns' names, file and label .*; found ''"),
        ("a.npz,wave\nb.npz,clap\n", r"line 1: expected the columns' names, .*; found 'a.npz,wave'"),
        ("file label\na.npz wave\n", r"line 1: expected the columns' names, .*; found 'file label'"),
        ("file,label\n\n,\n", "expected at least one recording below the first line, found none"),
        ("clip,path,label\na,a.npz,x\n", "expected one column with the file, found 'clip' and 'path'"),
        ("file,label\na.npz\n", "line 2: expected file,label, found no label in 'a.npz,'"),
        ("file,label\n\n ,wave\n", "line 3: expected file,label, found no file in ',wave'"),
        ("file,label,split\na.npz,x,\nb.npz,y,test\n", "line 2: expected file,label,split, found no split"),
        ("file,label,subject\na.npz,x,\nb.npz,y,ann\n", "found no subject in 'a.npz,x,'"),
        ("file,label\na.npz,point, then stop\n", "line 2: expected 2 cells, found 3: .*; a cell with ',' in it needs"),
        ('file,label\na.npz,"x\nb.npz,y\n', "line 3: expected cells and whole quotes"),
        ("file,label,split\na.npz,x,train\nb.npz,x,Val\n", "line 3: .*train or test, found 'val'; there is no third"),
        ("file,label,split\na.npz,x,1\n", "line 2: expected the split train or test, found '1'"),
        ("file,label\na.npz,wave\nb.npz,Wave \n", "lines 2 and 3: the label names 'wave' and 'Wave' differ only"),
        ("file,label\na.npz,up_1\nb.npz,up  1\n", "the label names 'up_1' and 'up  1' differ only"),
        ("file,label\na.npz,x\nb.npz,1\nc.npz,01\n", "the label names '1' and '01' differ only"),
        ("file,label,subject\na.npz,x,Ann\nb.npz,x,ann\n", "lines 2 and 3: the subject names 'Ann' and 'ann' differ"),
        ("file,label\na.npz,NaN\n", "line 2: expected file,label, found no label"),
        ("file,label,split\na.npz,x,train\nb.npz,x,#N/A\n", "line 3: expected file,label,split, found no split"),
        ("file,label\na.npz,1\nb.npz,0.5\n", "line 3: expected a name or a whole number as label, found '0.5'"),
    ],
)
def test_tables_that_can_be_read_in_no_or_in_two_ways(read, text, message):
    with pytest.raises(DatasetError, match=message):
        read(text)


def test_names_in_two_unicode_forms(read):
    forms = [unicodedata.normalize(form, "Öffnen") for form in ("NFC", "NFD")]
    with pytest.raises(DatasetError, match=r"'\\xd6ffnen' and 'O\\u0308ffnen' differ only"):
        read(f"file,label\na.npz,{forms[0]}\nb.npz,{forms[1]}\n")


def test_names_that_differ_in_more_are_different(read):
    labels = ["Swipe +", "Swipe -", "Maße", "Masse", "v1", "v2", "挥手"]
    table = read("file,label\n" + "".join(f"{place}.npz,{label}\n" for place, label in enumerate(labels)))
    assert [row.label for row in table.rows] == labels


@pytest.mark.parametrize("length", [200, 20_000, 200_000])
def test_messages_about_long_cells_are_short(read, length):
    for text in ("x" * length, f"file,label\na.npz,{'x' * length},y\n", f"file,label,split\na,b,{'x' * length}\n"):
        with pytest.raises(DatasetError) as caught:
            read(text)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ("wave|clap|wave", ("clap", "wave"), [1, 0, 1]),
        ("10|9|10", ("9", "10"), [1, 0, 1]),
        ("1.0|10.0|2.0", ("1", "2", "10"), [0, 2, 1]),
        ("01|1|1.|002", ("1", "2"), [0, 0, 0, 1]),
        ("-1|0", ("-1", "0"), [0, 1]),
        (f"{10**30}|7", ("7", "1" + "0" * 30), [1, 0]),
    ],
)
def test_classes_are_the_labels(numbered, labels, names, expected):
    assert numbered(labels) == (names, expected, [])


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ("nod|clap|wave", "clap\nwave\nnod\n\n", [2, 0, 1]),
        ("0|2|1", "clap\nwave\nnod", [0, 2, 1]),
        ("1|3|2", "clap\nwave\nnod", [0, 2, 1]),
        ("0|wave|2", "clap\nwave\nnod", [0, 1, 2]),
        ("Nod|CLAP|wave", "clap\nwave\nnod", [2, 0, 1]),
        ("1|2|3.0", "03\n2\n1", [2, 1, 0]),
    ],
)
def test_a_class_list(numbered, labels, classes, expected):
    names, found, notes = numbered(labels, classes)
    assert (list(names), found, notes) == (classes.split(), expected, [])


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ("0|3", "clap\nwave\nnod", "line 3: expected as label a number from 0 to 2, or one of clap, wave, nod .*'3'"),
        ("1|4", "clap\nwave\nnod", "line 3: expected as label a number from 0 to 2, .*; found '4'"),
        ("-1|0", "clap\nwave\nnod", "line 2: expected as label .*; found '-1'"),
        ("wav|nod", "clap\nwave\nnod", "found 'wav', is 'wave' meant?"),
        ("1|2", "clap\nwave\nnod", "line 2: .*none is 0 and none is 3, so that 1 may be 'wave' or 'clap'; write"),
        ("3|4", "1\n2\n3", "line 3: expected as label one of 1, 2, 3 .*; found '4'"),
        ("x", "", "classes.txt: expected different class names, a line each, found none"),
        ("x", "x\ny\nx\n", r"classes.txt, line 3: .*found 'x' again \(it is also line 1\)"),
        ("0|1", "Class\nclap\nwave\n", "classes.txt, line 1: expected the name of a class, found the heading 'Class'"),
        ("0|1", "id,class_name\n0,clap\n1,wave\n", "line 1: .*found the heading 'id,class_name'"),
        ("x", "x\n\ny\n", "classes.txt, line 2: expected different class names, a line each, found none"),
        ("x", "x\nwave\nWave\n", "classes.txt, lines 2 and 3: the class names 'wave' and 'Wave' differ only"),
    ],
)
def test_labels_that_do_not_fit_the_class_list(numbered, labels, classes, message):
    with pytest.raises(DatasetError, match=message):
        numbered(labels, classes)


def test_of_many_classes_a_message_shows_few(numbered):
    with pytest.raises(DatasetError) as caught:
        numbered("bow", "".join(f"gesture number {number}\n" for number in range(500)))
    assert "… (500 in all)" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_classes_without_a_clip_and_a_single_class_are_noted(numbered):
    (unused,) = numbered("a|b", "a\nb\nc\nd\n")[2]
    assert unused.endswith("classes.txt: classes without a clip: c, d")
    (single,) = numbered("1|1", "a\n")[2]
    assert "all clips are of one class, 'a': there is nothing to learn" in single
