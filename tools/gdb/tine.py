"""Commands of gdb for a Tine kernel: `tine help` in gdb lists them.

Loaded by tools/gdb.sh, or by hand: source tools/gdb/tine.py. What they show is read from the kernel's own structures by the
types in build/kernel.elf, so that file and the running kernel must be of one build. The board should be stopped; nothing is
written, and no lock is taken, so what somebody was just changing may look odd.
"""

import re
import struct

import gdb

LINEAR_BASE = 0xFFFFFF8000000000
# Half of the kernel's half is memory as it is.
LINEAR_SIZE = 1 << 38
HALF_BITS = 39
ADDRESS = 0x0000FFFFFFFFF000
SCHED_THREAD = "kcore::sched::thread::Thread<kernel::task::thread::Machine>"
PARK_STATES = {0: "ready", 1: "parking", 2: "sleeping", 3: "notified"}
LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")


# ---- values of Rust

def symbol(name):
    """A static of the kernel, by its path."""
    return gdb.parse_and_eval(name)


def number(value):
    """The number in an atomic, a newtype or a plain integer."""
    while value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        fields = [field for field in value.type.fields() if field.type.sizeof]
        value = value[fields[0]]
    return int(value)


def guarded(lock):
    """What a lock of kcore guards; nobody is asked."""
    return lock["inner"]["data"]["value"]


def pointer(value):
    """The address in whatever is one pointer: Arc, Weak, NonNull, AtomicPtr, and Options of them."""
    return int.from_bytes(memory(int(value.address), 8), "little")


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address):
    return struct.unpack("<Q", memory(address, 8))[0]


def at(address, type_name):
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer()).dereference()


def arc(value, type_name):
    """What an Arc or a Weak points to, or None: the counts come first, what is counted behind them."""
    address = pointer(value)
    if address in (0, 2 ** 64 - 1):
        return None
    inner = at(address, "alloc::sync::ArcInner<%s>" % type_name)
    return inner["data"] if number(inner["strong"]) > 0 else None


def items(vector):
    """The elements of a Vec."""
    element = vector.type.template_argument(0)
    first = int(pointer(vector["buf"]["inner"]["ptr"]))
    for index in range(int(vector["len"])):
        yield gdb.Value(first + index * element.sizeof).cast(element.pointer()).dereference()


def variant(value):
    """Name and content of the variant that an enum has."""
    for field in value.type.fields():
        if field.name is not None:
            return field.name, value[field]
    return str(value).rsplit("::", 1)[-1], None


def enum(value):
    """The name of a variant without content."""
    return str(value).rsplit("::", 1)[-1]


def name(value):
    """A ThreadName."""
    return memory(int(value["text"].address), int(value["len"])).decode("utf-8", "replace")


def whole(text, what, most=2 ** 64 - 1):
    """The number that somebody typed."""
    try:
        value = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise gdb.GdbError("%r is not %s" % (text, what))
    if not 0 <= value <= most:
        raise gdb.GdbError("%s is not %s: those go from 0 to %#x" % (text, what, most))
    return value


# ---- threads and processes

def current_of(cpu):
    """The thread that a CPU runs, where it runs the kernel or a program under it; None before there are threads."""
    header = int(gdb.parse_and_eval("$TPIDR_EL1")) & (2 ** 64 - 1)
    if header < LINEAR_BASE:
        return None, None
    header = at(header, "kernel::arch::cpu::Header")
    thread = pointer(header["thread"])
    return header, (at(thread, SCHED_THREAD) if thread else None)


class EachCpu:
    """Selects one CPU after the other, and at the end the one that was."""

    def __init__(self):
        self.before = gdb.selected_thread()

    def __enter__(self):
        def cpus():
            for cpu in sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num):
                cpu.switch()
                yield cpu.num - 1
        return cpus()

    def __exit__(self, *_):
        if self.before is not None:
            self.before.switch()


def processes():
    """Each process with its node in the tree."""
    tree = guarded(symbol("kernel::task::system::PROCESSES")["tree"])
    for place in items(tree["nodes"]["places"]):
        kind, used = variant(place)
        if kind == "Used":
            node = used["__0"]
            process = arc(node["process"], "kcore::proc::process::Process<kernel::task::switch::Kernel>")
            if process is not None:
                yield node, process


def threads_of(process):
    """The threads of a process that are scheduled: number and name as programs see them, and the object."""
    body = guarded(process["body"])
    kept = "kcore::proc::thread::Thread<kernel::task::switch::Kernel>"
    for each in [body["threads"]["first"]] + list(items(body["threads"]["others"])):
        thread = arc(each, kept)
        if thread is not None:
            machine = pointer(thread["machine"])
            if machine:
                yield number(thread["visible"]), name(guarded(thread["own"])["name"]), at(machine, SCHED_THREAD)


def space_of(process):
    """Root and tag of a process's translation tables; None where it has none."""
    kind, belongings = variant(guarded(process["body"])["belongings"])
    if kind != "Some":
        return None
    space = arc(belongings["__0"]["space"], "kcore::proc::space::AddressSpace<kernel::task::switch::Kernel>")
    # A frame is known by its number.
    return None if space is None else (number(space["root"]) << 12, number(space["tag"]))


def all_threads():
    """Every thread: id, name, process, object. Those of the kernel come first; their ids have a k in front, for programs know
    nothing of these numbers and have the same ones."""
    seen = set()
    for weak in items(guarded(symbol("kernel::task::thread::THREADS"))):
        thread = arc(weak, SCHED_THREAD)
        if thread is not None:
            seen.add(int(thread.address))
            yield "k%d" % number(thread["id"]), name(thread["name"]), None, thread
    for _, process in processes():
        for visible, called, thread in threads_of(process):
            seen.add(int(thread.address))
            yield str(visible), called, process, thread
    with EachCpu() as cpus:
        for cpu in cpus:
            thread = current_of(cpu)[1]
            if thread is not None and int(thread.address) not in seen:
                seen.add(int(thread.address))
                yield "k%d" % number(thread["id"]), name(thread["name"]), None, thread


def running():
    """The CPU of each thread that runs, by the address of its object."""
    found = {}
    with EachCpu() as cpus:
        for cpu in cpus:
            thread = current_of(cpu)[1]
            if thread is not None:
                found[int(thread.address)] = cpu
    return found


def where(address):
    """A function and its line."""
    block = gdb.find_pc_line(address)
    text = gdb.execute("info symbol %#x" % address, to_string=True).split(" in section")[0].strip()
    text = re.sub(r"::h[0-9a-f]{16}\b", "", text) if not text.startswith("No symbol") else "?"
    return text if block.symtab is None else "%s (%s:%d)" % (text, block.symtab.filename, block.line)


def frames(thread):
    """The addresses at which a thread that does not run goes on, the innermost first, by its frame pointers."""
    context = thread["payload"]["context"]["__0"]["value"]
    frame, pc = int(context["fp"]), int(context["lr"])
    for depth in range(64):
        # Behind a call, but for the first, is the next instruction.
        yield pc - 4 if depth else pc
        if frame < LINEAR_BASE or frame & 7:
            return
        frame, pc = word(frame), word(frame + 8)
        if not pc:
            return


def waits_at(thread):
    """Where a thread sleeps: the first function that is not of the machinery of sleeping."""
    first = None
    for pc in frames(thread):
        text = where(pc)
        first = first or text
        if not any(part in text.split(" (")[0] for part in ("task::switch::", "kcore::sched::", "context_switch")):
            return text
    return first


# ---- locks

def ranks(word_of_ranks):
    """The names of the ranks in a set."""
    rank = gdb.lookup_type("kcore::sync::rank::Rank")
    names = {field.enumval: field.name.rsplit("::", 1)[-1] for field in rank.fields() if hasattr(field, "enumval")}
    return [names.get(bit, str(bit)) for bit in range(64) if word_of_ranks >> bit & 1]


def held_ranks(cpu):
    """The locks that a CPU holds; None where the build does not note them."""
    try:
        table = symbol("kernel::arch::cpu::HELD_RANKS")
        return ranks(number(table[cpu]))
    except gdb.error:
        return None


# ---- translation tables

def table_limits(descriptor):
    bits = ((62, "APTable[1] read-only"), (61, "APTable[0] not at EL0"), (60, "UXNTable"), (59, "PXNTable"), (63, "NSTable"))
    return [text for bit, text in bits if descriptor >> bit & 1]


def describe_table(descriptor):
    live, eighths = descriptor >> 2 & 0x3FF, descriptor >> 51 & 0xFF
    words = ["table at %#x" % (descriptor & ADDRESS)] + table_limits(descriptor)
    return ", ".join(words + ["%d entries in use" % live, "in eighths %s" % format(eighths, "08b")])


def describe_leaf(descriptor, level):
    size = 1 << 39 - 9 * level
    memory_types = {0: "normal", 1: "device nGnRE", 2: "normal non-cacheable"}
    words = ["%s at %#x" % ("page" if level == 3 else "block", descriptor & ADDRESS & -size)]
    words.append(memory_types.get(descriptor >> 2 & 7, "memory type %d" % (descriptor >> 2 & 7)))
    words.append("EL0 too" if descriptor >> 6 & 1 else "EL1 only")
    words.append("read-only (AP[2])" if descriptor >> 7 & 1 else "writable")
    words += [text for bit, text in ((54, "UXN"), (53, "PXN"), (11, "nG"), (10, "AF")) if descriptor >> bit & 1]
    words.append("%s-shareable" % {0: "non", 2: "outer", 3: "inner"}.get(descriptor >> 8 & 3, "reserved"))
    if descriptor >> 55 & 1:
        words.append("SHARED (ours: MAP_SHARED)")
    if descriptor >> 56 & 7:
        words.append("bits 58:56 are %#x" % (descriptor >> 56 & 7))
    return ", ".join(words)


def walk(root, address):
    """The lines of a walk from the table at `root`."""
    table, forbidden = root, 0
    for level in (1, 2, 3):
        index = address >> 39 - 9 * level & 0x1FF
        try:
            descriptor = word(LINEAR_BASE + table + 8 * index)
        except gdb.MemoryError:
            yield "level %d: the table at %#x cannot be read" % (level, table)
            return
        line = "level %d: table %#x [%3d] = %#018x: " % (level, table, index, descriptor)
        if not descriptor & 1:
            yield line + "invalid: a translation fault, DFSC %#04x" % (4 + level)
            return
        if level < 3 and descriptor & 2:
            yield line + describe_table(descriptor)
            forbidden |= descriptor & 0xF << 59
            table = descriptor & ADDRESS
            continue
        if level == 3 and not descriptor & 2:
            yield line + "reserved"
            return
        yield line + describe_leaf(descriptor, level)
        yield summary(descriptor, level, forbidden, address)
        return


def tables(root, level=1, start=0):
    """Each valid descriptor of the levels 1 and 2 below `root`: address, level, descriptor."""
    entries = struct.unpack("<512Q", memory(LINEAR_BASE + root, 4096))
    for index, descriptor in enumerate(entries):
        if descriptor & 1:
            address = start + (index << 39 - 9 * level)
            yield address, level, descriptor
            if level == 1 and descriptor & 2:
                yield from tables(descriptor & ADDRESS, 2, address)


def summary(descriptor, level, forbidden, address):
    """What comes of a leaf and of all the tables above it."""
    size = 1 << 39 - 9 * level
    physical = (descriptor & ADDRESS & -size) | address & size - 1
    el0 = descriptor >> 6 & 1 and not forbidden >> 61 & 1
    read_only = descriptor >> 7 & 1 or forbidden >> 62 & 1
    store = "-" if read_only else "w"
    # Writable at EL0 is not executable at EL1, whatever PXN says.
    kernel_execute = not (descriptor >> 53 & 1 or forbidden >> 59 & 1 or el0 and not read_only)
    user_execute = el0 and not (descriptor >> 54 & 1 or forbidden >> 60 & 1)
    user = "r%s%s" % (store, "x" if user_execute else "-") if el0 else "---"
    kernel = "r%s%s" % (store, "x" if kernel_execute else "-")
    text = "%#x -> %#x, EL0 %s, EL1 %s" % (address, physical, user, kernel)
    if forbidden >> 62 & 1 and not descriptor >> 7 & 1:
        text += "; writable but for a table above: a store copies the path (fork)"
    return text


def root_of(text, address=None):
    """The root of the tables that `text` names: a PID, ttbr0, ttbr1, or a table's physical address in hexadecimal; for an
    address, if there is one."""
    lower = text.lower()
    if lower in ("ttbr0", "ttbr1"):
        if address is not None and address >> 63 != int(lower[-1]):
            raise gdb.GdbError("%#x is in the other half: it is not looked up by %s" % (address, lower))
        return int(gdb.parse_and_eval("$%s_EL1" % lower.upper())) & ADDRESS
    if lower.startswith("0x"):
        return whole(lower, "a table's address", LINEAR_SIZE - 1) & ADDRESS
    pid = whole(text, "ttbr0, ttbr1, a table's address or the number of a process")
    if address is not None and address >> 63:
        return int(gdb.parse_and_eval("$TTBR1_EL1")) & ADDRESS
    for node, process in processes():
        if number(node["pid"]) == pid:
            space = space_of(process)
            if space is None:
                raise gdb.GdbError("process %d has no address space" % pid)
            return space[0]
    raise gdb.GdbError("there is no process %d" % pid)


# ---- the commands

class Tine(gdb.Command):
    """Commands for a Tine kernel; `tine help` lists them."""

    def __init__(self):
        super().__init__("tine", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class Part(gdb.Command):
    """One of them."""

    def __init__(self):
        super().__init__("tine " + self.word, gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        language = gdb.parameter("language")
        gdb.execute("set language rust", to_string=True)
        try:
            self.run(gdb.string_to_argv(argument))
        except gdb.MemoryError as error:
            raise gdb.GdbError("%s: is the kernel up, and is this its ELF file?" % error)
        finally:
            gdb.execute("set language %s" % language, to_string=True)


class Help(Part):
    """tine help: this list"""
    word = "help"

    def run(self, words):
        for part in PARTS:
            print(part.__doc__)
        print("thread N selects CPU N - 1, and thread apply all bt shows what each does")


class Cpus(Part):
    """tine cpus: what each CPU runs, at which exception level, and what it holds"""
    word = "cpus"

    def run(self, words):
        print("%3s %2s %-7s %-15s %7s %s" % ("cpu", "el", "thread", "name", "preempt", "at"))
        with EachCpu() as cpus:
            for cpu in cpus:
                level = int(gdb.parse_and_eval("$cpsr")) >> 2 & 3
                header, thread = current_of(cpu)
                pc = int(gdb.parse_and_eval("$pc")) & (2 ** 64 - 1)
                what = where(pc) if pc >> 63 else "program at %#x" % pc
                if header is None or thread is None:
                    print("%3d %2d %-7s %-15s %7s %s" % (cpu, level, "-", "no thread yet", "-", what))
                    continue
                print("%3d %2d %-7d %-15s %7d %s" % (
                    cpu, level, number(thread["id"]), name(thread["name"]), number(header["preempt"]), what))


class Locks(Part):
    """tine locks: the locks held, by CPU and by thread, where the build notes them"""
    word = "locks"

    def run(self, words):
        noted = int(gdb.lookup_type("kcore::sync::rank::RankNote").sizeof) > 0
        with EachCpu() as cpus:
            for cpu in cpus:
                header = current_of(cpu)[0]
                count = number(header["preempt"]) if header is not None else 0
                held = held_ranks(cpu) if noted else None
                text = ", ".join(held) if held else "none" if held is not None else "not noted in this build"
                print("cpu %d: %d reasons not to preempt; locks: %s" % (cpu, count, text))
        for tid, called, _, thread in all_threads():
            held = ranks(number(thread["sleep_ranks"]))
            if held:
                print("thread %s %s: %s" % (tid, called, ", ".join(held)))
        if not noted:
            print("ranks are noted in builds with debug assertions: build/ktest.elf")


class Threads(Part):
    """tine threads: every thread, of the kernel and of programs, and where it stands"""
    word = "threads"

    def run(self, words):
        on = running()
        print("%7s %7s %-15s %4s %3s %-9s %12s %s" % ("id", "pid", "name", "prio", "cpu", "state", "time (us)", "at"))
        for tid, called, process, thread in all_threads():
            cpu = on.get(int(thread.address))
            state = "running" if cpu is not None else PARK_STATES.get(number(thread["park"]), "?")
            print("%7s %7s %-15s %4d %3d %-9s %12d %s" % (
                tid, number(process["pid"]) if process is not None else "-", called, number(thread["base"]),
                cpu if cpu is not None else number(thread["last_cpu"]), state, number(thread["cpu_time_ns"]) // 1000,
                waits_at(thread) if cpu is None else ""))


class Ps(Part):
    """tine ps: every process, with the root and the tag of its translation tables"""
    word = "ps"

    def run(self, words):
        print("%7s %7s %7s %-8s %7s %5s %12s %s" % ("pid", "ppid", "pgid", "state", "threads", "asid", "root", "name"))
        for node, process in processes():
            space = space_of(process)
            root, tag = ("%#x" % space[0], str(space[1])) if space else ("-", "-")
            print("%7d %7d %7d %-8s %7d %5s %12s %s" % (
                number(node["pid"]), number(process["parent_pid"]), number(node["group"]),
                enum(node["life"]).lower(), len(list(threads_of(process))), tag, root,
                name(guarded(process["body"])["name"])))


class Backtrace(Part):
    """tine bt TID: where a thread that does not run goes on, by its frame pointers"""
    word = "bt"

    def run(self, words):
        if len(words) != 1:
            raise gdb.GdbError("usage: tine bt TID")
        on = running()
        for tid, _, _, thread in all_threads():
            if tid != words[0]:
                continue
            cpu = on.get(int(thread.address))
            if cpu is not None:
                raise gdb.GdbError("it runs on CPU %d: thread %d, then bt" % (cpu, cpu + 1))
            for depth, pc in enumerate(frames(thread)):
                print("#%-2d %#x %s" % (depth, pc, where(pc)))
            return
        raise gdb.GdbError("there is no thread %s" % words[0])


class Log(Part):
    """tine log [COUNT]: the kernel's log, the last COUNT records of it"""
    word = "log"

    def run(self, words):
        journal = guarded(symbol("kernel::log::history::HISTORY"))["journal"]
        size = journal["bytes"].type.sizeof
        ring = memory(int(journal["bytes"].address), size)
        place, end = int(journal["first"]["at"]), int(journal["end"]["at"])

        def load(at, count):
            return bytes(ring[(at + index) % size] for index in range(count))

        lines = []
        while place < end:
            time, priority, length = struct.unpack("<QHH", load(place, 12))
            text = load(place + 12, length).decode("utf-8", "replace")
            lines.append("[%5d.%06d] %-7s %s" % (time // 1000000, time % 1000000, LEVELS[priority & 7], text))
            place += 12 + length
        count = whole(words[0], "how many records to show") if words else len(lines)
        for line in lines[max(len(lines) - count, 0):]:
            print(line)


class Walk(Part):
    """tine walk PID|ttbr0|ttbr1|0xTABLE ADDRESS: the descriptors of an address, level by level"""
    word = "walk"

    def run(self, words):
        if len(words) != 2:
            raise gdb.GdbError("usage: tine walk PID|ttbr0|ttbr1|0xTABLE ADDRESS")
        try:
            address = int(gdb.parse_and_eval(words[1])) & (2 ** 64 - 1)
        except (gdb.error, ValueError) as error:
            raise gdb.GdbError("%s is no address: %s" % (words[1], error))
        if address >> HALF_BITS not in (0, (1 << 64 - HALF_BITS) - 1):
            raise gdb.GdbError("%#x is in neither half: they have %d bits each" % (address, HALF_BITS))
        for line in walk(root_of(words[0], address), address):
            print(line)


class Tables(Part):
    """tine tables PID|ttbr0|ttbr1|0xTABLE: all descriptors of the levels 1 and 2: what is shared, and how full it is"""
    word = "tables"

    def run(self, words):
        if len(words) != 1:
            raise gdb.GdbError("usage: tine tables PID|ttbr0|ttbr1|0xTABLE")
        for address, level, descriptor in tables(root_of(words[0])):
            what = describe_table(descriptor) if descriptor & 2 else describe_leaf(descriptor, level)
            print("%s%#014x level %d: %s" % ("  " * (level - 1), address, level, what))


Tine()
PARTS = [Help, Cpus, Threads, Ps, Backtrace, Locks, Log, Walk, Tables]
for part in PARTS:
    part()
