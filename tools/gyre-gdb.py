# SPDX-License-Identifier: BSD-2-Clause
"""Commands of gdb for heaps of gyre, of a process or a core: source tools/gyre-gdb.py.

    gyre heap HEAP              its figures, mutators and types
    gyre object ADDRESS         the type of an object, and its collector word decoded
    gyre cell ADDRESS           a weak cell: its object, its marks and its group
    gyre mutator MUTATOR        what a thread does, its handshakes and keep frames
    gyre mutator all HEAP       all of a heap

Arguments are expressions. Memory is only read, and no function of the process is called, so what is
shown is what is there, in the midst of whatever the threads do. The library must have debug
information. Constants that it does not tell are those of runtime/slab.h and collector/word.h.
"""
import gdb

ARENA_BYTES = 32 << 20  # GYRE_ARENA_BYTES
SLAB_BYTES = 64 << 10  # GYRE_SLAB_BYTES
FLAGS_BITS, COUNT_BITS = 15, 24
TRACE = ["black", "gray", "red", "newborn"]
FLAGS = {2: "PURPLE", 3: "IN_YOUNG", 4: "IN_TRACE", 5: "IN_SET", 6: "ORANGE", 7: "RELEASED",
         8: "STUCK", 9: "BORN", 10: "PROVEN", 11: "PENDING", 12: "FINALIZED", 13: "IN_ZEROS",
         14: "EXEMPT"}
STUCK_COUNT = (1 << COUNT_BITS) - 1
WEAK_MARKS = {1: "ARMED", 2: "LOGGED"}


def structure(name):
    try:
        found = gdb.lookup_type("struct " + name)
    except gdb.error:
        found = None
    if found is None or not found.fields():
        raise gdb.GdbError("there is no debug information of gyre (struct %s)" % name)
    return found


def pointer(value, name):
    """value, an expression or a number, as a pointer to a struct."""
    if isinstance(value, str):
        value = gdb.parse_and_eval(value)
    return gdb.Value(int(value) & (2**64 - 1)).cast(structure(name).pointer())


def enumerator(value, name):
    """The name of a value of an enum, without what all of them begin with."""
    for field in gdb.lookup_type("enum " + name).fields():
        if field.enumval == int(value):
            return field.name.split("_")[-1].lower()
    return str(int(value))


def text(value):
    return "none" if int(value) == 0 else value.string(errors="replace")


def bits(word, names):
    return " ".join(name for bit, name in names.items() if word & bit) or "none"


def each(first, member="next"):
    while int(first) != 0:
        yield first
        first = first[member]


def word_of(address):
    """The locator, the slab and the collector word of an object, as gyre__word_of finds it."""
    arena = pointer(address & ~(ARENA_BYTES - 1), "gyre__arena")
    index = (address & (ARENA_BYTES - 1)) // SLAB_BYTES
    try:
        locator, slab = arena["locators"][index], arena["slabs"][index]
        base, first = int(slab["base"]), int(locator["first"])
        state = enumerator(slab["state"], "gyre__slab_state")
    except gdb.MemoryError:
        raise gdb.GdbError("%#x is in no arena" % address)
    offset = address & (SLAB_BYTES - 1)
    size = int(slab["shape"]["cell_bytes"])
    large = state == "large"
    if index == 0 or base != address & ~(SLAB_BYTES - 1) or state not in (
            "owned", "full", "partial", "large") or offset < first:
        raise gdb.GdbError("%#x is no object of a heap" % address)
    cell = 0 if large else (offset - first) * int(locator["reciprocal"]) >> 32
    if offset != first + cell * size:
        raise gdb.GdbError("%#x is within an object: that begins at %#x" %
                           (address, base + first + cell * size))
    word = gdb.Value(base + 8 * cell).cast(gdb.lookup_type("unsigned long").pointer())
    return locator, slab, int(word.dereference())


def show_mutator(m):
    phase, asked = int(m["phase"]), int(m["heap"]["phase"])
    print("mutator %#x: %s (tid %d), %s, handshakes done %d of %d%s" % (
        int(m), m["name"].string(errors="replace"), int(m["tid"]),
        enumerator(m["state"], "gyre__mutator_state"), phase, asked,
        "" if phase >= asked else ": behind"))
    frames = list(each(m["head"]["keeps"], "outer"))
    print("  keep frames %d, of %d entries; poll %#x%s" % (
        len(frames), sum(int(frame["count"]) for frame in frames), int(m["head"]["poll"]),
        "; runs the finalizer of " + text(m["running"]) if int(m["running_since"]) else ""))


class Gyre(gdb.Command):
    __doc__ = __doc__

    def __init__(self):
        super().__init__("gyre", gdb.COMMAND_DATA, prefix=True)


class Heap(gdb.Command):
    """gyre heap HEAP: its figures, mutators and types."""

    def __init__(self):
        super().__init__("gyre heap", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        heap = pointer(argument or "0", "gyre_heap")
        try:
            counted = heap["counted"]
            live = int(counted["objects_allocated"]) - int(counted["objects_reclaimed"])
            size = int(counted["bytes_allocated"]) - int(counted["bytes_reclaimed"])
        except gdb.MemoryError:
            raise gdb.GdbError("%#x is no heap" % int(heap))
        print("heap %s, engine %s%s%s" % (
            heap["name"].string(errors="replace"), text(heap["engine"]["name"]),
            ", frozen" if int(heap["frozen"]) else "",
            ", cycles are not collected" if int(heap["disabled"]) else ""))
        print("epochs %d, live %d objects, %d bytes; mapped %d bytes" % (
            int(counted["epochs"]), live, size, int(heap["shared"]["bytes_mapped"])))
        for m in each(heap["registry"]["first"]):
            show_mutator(m)
        for t in each(heap["types"]):
            figures = t["counted"]
            print("type %d %s: live %d objects, %d bytes%s" % (
                int(t["head"]["id"]), text(t["name"]),
                int(figures["allocated"]) - int(figures["reclaimed"]),
                int(figures["bytes_allocated"]) - int(figures["bytes_reclaimed"]),
                ", acyclic" if t["acyclic"] else ""))


class Object(gdb.Command):
    """gyre object ADDRESS: the type of an object, and its collector word decoded."""

    def __init__(self):
        super().__init__("gyre object", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        address = int(gdb.parse_and_eval(argument or "0")) & (2**64 - 1)
        locator, slab, word = word_of(address)
        large = int(slab["class"]) == 0
        print("object %#x of type %s, %d bytes, in a slab that is %s" % (
            address, text(locator["type"]["name"]),
            int(slab["bytes"] if large else slab["shape"]["cell_bytes"]),
            enumerator(slab["state"], "gyre__slab_state")))
        flags = bits(word, {1 << bit: name for bit, name in FLAGS.items()})
        if word == 0:
            print("word 0: not counted: vacant, or born since the last boundary")
        elif word & 1 << 7:
            print("word %#x: released, flags %s" % (word, flags))
        else:
            count = word >> FLAGS_BITS & STUCK_COUNT
            print("word %#x: count %s, trial count %d, %s, flags %s" % (
                word, "stuck" if word & 1 << 8 else count, word >> FLAGS_BITS + COUNT_BITS,
                TRACE[word & 3], flags))


class Cell(gdb.Command):
    """gyre cell ADDRESS: a weak cell: its object, its marks and its group."""

    def __init__(self):
        super().__init__("gyre cell", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        address = int(gdb.parse_and_eval(argument or "0")) & (2**64 - 1)
        word_of(address)  # or it says that it is no object
        cell = pointer(address, "gyre__weak_cell")
        word = int(cell["head"]["word"])
        target = word & ~3
        print("weak cell %#x of %s, marks %s" % (
            address, "%#x" % target if target else "nothing any more", bits(word, WEAK_MARKS)))
        if word & 1:
            leader = cell["group"]
            print("group of the leader %#x: %s" % (
                int(leader), enumerator(leader["state"], "gyre__group_state")))
        if target:
            gdb.execute("gyre object %#x" % target)


class Mutator(gdb.Command):
    """gyre mutator MUTATOR, or all HEAP: what a thread does, its handshakes and keep frames."""

    def __init__(self):
        super().__init__("gyre mutator", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        words = argument.split(None, 1)
        try:
            if words and words[0] == "all":
                if len(words) < 2:
                    raise gdb.GdbError("usage: gyre mutator all HEAP")
                for m in each(pointer(words[1], "gyre_heap")["registry"]["first"]):
                    show_mutator(m)
            else:
                show_mutator(pointer(argument or "0", "gyre_mutator"))
        except gdb.MemoryError:
            raise gdb.GdbError("%s is neither a mutator nor all of a heap" % argument)


for command in Gyre, Heap, Object, Cell, Mutator:
    command()
