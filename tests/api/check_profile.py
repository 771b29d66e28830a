# SPDX-License-Identifier: BSD-2-Clause
# check_profile.py PROGRAM: runs profile_writes and reads what it wrote: the protobuf by what its
# documentation says, with nothing of gyre's, and the folded stacks. Every number that refers to a
# table must be in it, every address in its mapping, and the values must be those that the program
# prints.
import os
import subprocess
import sys
import tempfile


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        assert shift < 70, "a varint of more than ten bytes"


def fields(data, kinds):
    """The fields of a message by number; each number must have the kind that kinds says."""
    found = {number: [] for number in kinds}
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        assert kinds.get(key >> 3) == key & 7, f"field {key >> 3} of kind {key & 7}"
        value, at = varint(data, at)
        if key & 7 == 2:
            assert at + value <= len(data), "bytes beyond the end"
            value, at = data[at:at + value], at + value
        found[key >> 3].append(value)
    return found


def one(values):
    assert len(values) == 1, f"{len(values)} values of a single field"
    return values[0]


def decode(data):
    profile = fields(data, {1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2, 11: 2, 12: 0, 14: 0})
    strings = [text.decode() for text in profile[6]]
    assert strings[0] == "" and "" not in strings[1:2]

    def value_type(data):
        found = fields(data, {1: 0, 2: 0})
        return strings[one(found[1])], strings[one(found[2])]

    types = [value_type(data) for data in profile[1]]
    assert types == [("inuse_objects", "count"), ("inuse_space", "bytes"),
                     ("alloc_objects", "count"), ("alloc_space", "bytes")], types
    assert value_type(one(profile[11])) == ("space", "bytes")
    assert one(profile[12]) == 1
    assert strings[one(profile[14])] == "inuse_space"

    mappings = {}
    for data in profile[3]:
        found = fields(data, {1: 0, 2: 0, 3: 0, 4: 0, 5: 0})
        number = one(found[1])
        assert number not in mappings and number != 0
        mappings[number] = (one(found[2]), one(found[3]), strings[one(found[5])])
        assert one(found[2]) < one(found[3])
    assert any(os.path.basename(name) == "profile_writes" for _, _, name in mappings.values())

    functions = {}
    for data in profile[5]:
        found = fields(data, {1: 0, 2: 0, 3: 0})
        number = one(found[1])
        assert number not in functions and number != 0
        functions[number] = strings[one(found[2])]
        assert functions[number] and one(found[3]) == one(found[2])

    locations = {}
    for data in profile[4]:
        found = fields(data, {1: 0, 2: 0, 3: 0, 4: 2})
        number, address = one(found[1]), one(found[3])
        assert number not in locations and number != 0
        start, limit, _ = mappings[one(found[2])]
        assert start <= address < limit, "an address outside its mapping"
        locations[number] = [functions[one(fields(line, {1: 0})[1])] for line in found[4]]

    samples = []
    for data in profile[2]:
        found = fields(data, {1: 0, 2: 0, 3: 2})
        assert found[1] and len(found[2]) == 4
        label = fields(one(found[3]), {1: 0, 2: 0})
        assert strings[one(label[1])] == "type"
        names = [name for number in found[1] for name in locations[number]]
        samples.append((names, strings[one(label[2])], found[2]))
    return samples


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("pprof", "folded")]
        printed = subprocess.run([program] + paths, check=True, stdout=subprocess.PIPE, text=True)
        with open(paths[0], "rb") as file:
            samples = decode(file.read())
        with open(paths[1], encoding="utf-8") as file:
            folded = [line.rstrip("\n").rsplit(" ", 1) for line in file]
    lines = printed.stdout.splitlines()
    assert len(lines) == 3
    counted = 0
    for line in lines:
        place, kind, *values = line.split("\t")
        values = [int(value) for value in values]
        sums = [0, 0, 0, 0]
        for names, of, numbers in samples:
            if place in names:
                assert of == kind, f"{place}: {of}"
                assert "main" in names and names.index(place) < names.index("main")
                sums = [a + b for a, b in zip(sums, numbers)]
                counted += 1
        assert sums == values, f"{place}: {sums} in pprof, {values} in the program"
        live = 0
        for stack, number in folded:
            names = stack.split(";")
            if place in names:
                assert names.index("main") < names.index(place)
                live += int(number)
        assert live == values[1], f"{place}: {live} bytes folded, {values[1]} in the program"
    assert counted == len(samples), "samples of no place"


main(sys.argv[1])
