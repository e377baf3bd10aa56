"""The corpus: programs, how each is built, and how it is run with which results."""

import bz2
import gzip
import io
import sqlite3
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field

from builds import (
    ADAPTED, P1, P2, P3, c, crate, go, javascript, package, python, quickjs, rust, zig,
)

ALL = (P1, P2, ADAPTED)
# The exit code of the command after a trap.
TRAPPED = 134


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Case:
    """One run of a program. Files are a mapping from paths to what is there: bytes or text of a
    file, a `Link`, or `None` for a folder."""

    name: str
    args: list = field(default_factory=list)
    stdin: bytes = b""
    env: dict = field(default_factory=dict)
    # Options of the command, as both commands spell them.
    options: list = field(default_factory=list)
    # What is in the folder `/data` at first, and at the end: by default the same. Instead of a
    # file's content, a function that checks it may be given.
    before: dict = field(default_factory=dict)
    after: dict | None = None
    # What is in the folder `/fixed`, which is read-only.
    fixed: dict | None = None
    # A text, or a function that checks it; by default what is in
    # `expected/PROGRAM-CASE.KIND.txt` or `expected/PROGRAM-CASE.txt`.
    stdout: object = None
    # A piece of standard error.
    stderr: str = ""
    # The interface `wasi:cli/run` says success or failure only, so that components have 1 for
    # each code that is not 0. `TRAPPED` is for all kinds.
    code: int = 0
    # The kinds that the case applies to; by default all.
    kinds: tuple | None = None
    # Why the reference command cannot be asked.
    no_reference: str = ""


@dataclass(frozen=True)
class Program:
    name: str
    recipe: object
    kinds: tuple
    cases: list


# Text that compresses, and that does not fit into one buffer.
PROSE = b"".join(b"%d bottles of beer on the wall, %d bottles of beer\n" % (n, n * n)
                 for n in range(20_000))
NOISE = bytes((n * n * 2_654_435_761 >> 13) & 255 for n in range(100_000))

TREE = {
    "src/main.rs": "mod list;\nfn main() {\n    println!(\"hello\");\n}\n",
    "src/list.rs": "pub fn push() {}\n// the quick brown fox\npub fn pop() {}\n",
    "notes/deep/er/text.md": "Straße and STRASSE\nfn in a text\n",
    "target/out.rs": "fn ignored() {}\n",
    ".gitignore": "target\n",
    ".hidden/file": "fn hidden() {}\n",
    "binary": b"fn \0 binary\n",
    "many": "".join(f"line {n}\n" for n in range(50_000)),
}

RIPGREP = [
    Case("search", ["-n", "--sort=path", "--no-require-git", r"fn \w+", "/data"], before=TREE,
         stdout="/data/notes/deep/er/text.md:2:fn in a text\n"
                "/data/src/list.rs:1:pub fn push() {}\n/data/src/list.rs:3:pub fn pop() {}\n"
                "/data/src/main.rs:2:fn main() {\n"),
    Case("count", ["-c", "7$", "/data/many"], before=TREE, stdout="5000\n"),
    Case("context", ["-C1", "-N", "-i", "FOX", "/data/src/list.rs"], before=TREE,
         stdout="pub fn push() {}\n// the quick brown fox\npub fn pop() {}\n"),
    Case("files", ["--files", "--hidden", "--no-ignore", "--sort=path", "-g", "*.rs", "-g",
                   "file", "/data"], before=TREE,
         stdout="/data/.hidden/file\n/data/src/list.rs\n/data/src/main.rs\n"
                "/data/target/out.rs\n"),
    Case("stdin", ["-o", "-r", "<$1>", r"b(\w+)s", "-"], stdin=b"no\nbottles balls\nbus\n",
         stdout="<ottle>\n<all>\n<u>\n"),
    Case("lines", ["-U", "-o", r"main\(\) \{\n\s+\w+", "/data/src/main.rs"], before=TREE,
         stdout="main() {\n    println\n"),
    Case("unicode", ["-i", "-c", "straße", "/data/notes/deep/er/text.md"], before=TREE,
         stdout="1\n"),
    Case("none", ["nowhere", "/data"], before=TREE, code=1, stdout=""),
    Case("wrong-pattern", ["(", "/data"], code=2, stdout="", stderr="unclosed group"),
    Case("missing", ["x", "/data/none"], code=2, stdout="", stderr="/data/none"),
    Case("outside", ["secret", "/secret", "/data/../secret"], code=2, stdout=""),
]

DATA = '[{"name":"a","size":3,"tags":["x"]},{"name":"b","size":1,"tags":["x","y"]},{"name":"c"}]\n'

JAQ = [
    Case("select", ["map(select(.size > 1) | .name)", "/data/data.json"],
         before={"data.json": DATA}, stdout='["a"]\n'),
    Case("group", ["map({n: .name, t: (.tags // [] | length)}) | group_by(.t) | map(.[0].n)"],
         stdin=DATA.encode(), stdout='["c","a","b"]\n'),
    Case("text", ["-n", r'"hello \("world")", ([range(5) | tostring] | join("-")), '
                        r'("a1b2" | gsub("[0-9]"; "#")), env.NAME'],
         env={"NAME": "value"}, stdout='"hello world"\n"0-1-2-3-4"\n"a#b#"\n"value"\n'),
    Case("large", ["-n", "[range(200000)] | map(. * 2) | add"], stdout="39999800000\n"),
    Case("many", ["[.[0], length]"], stdin=b"\n".join(b"[%d,[]]" % n for n in range(2000)),
         stdout="".join(f"[{n},2]\n" for n in range(2000))),
    Case("time", ["-n", "(now > 1577836800), (0 | todate)"],
         stdout='true\n"1970-01-01T00:00:00Z"\n'),
    Case("error", [".a.b"], stdin=b'{"a":1}', stdout="", code=5),
    Case("wrong", ["map("], stdout="", code=3),
    Case("not-json", ["."], stdin=b'{"a":', stdout="", code=2),
    Case("missing", [".", "/data/none.json"], stdout="", code=2, stderr="No such file"),
]


def query(statement, rows):
    """A check of a file: a database that answers a query with these rows."""

    def check(content):
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            return sqlite3.connect(file.name).execute(statement).fetchall() == rows

    return check


def database():
    """The bytes of a database."""
    with tempfile.NamedTemporaryFile() as file:
        connection = sqlite3.connect(file.name)
        connection.execute("create table numbers (n integer primary key, square integer)")
        connection.executemany("insert into numbers values (?, ?)",
                               [(n, n * n) for n in range(5000)])
        connection.execute("create index squares on numbers (square)")
        connection.commit()
        connection.close()
        file.seek(0)
        return file.read()


DATABASE = database()
FILL = """create table t (a integer primary key, b text, c real);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
  insert into t select i, printf('row-%05d', i * 7919 % 5003), i / 8.0 from n;
commit;
create index by_b on t (b);
update t set c = -c where a % 3 = 0;
delete from t where a > 4000;
select count(*), min(b), max(b), sum(c) from t;
select a, b from t where b between 'row-00100' and 'row-00103' order by b;
"""

SQLITE = [
    Case("memory", [":memory:", "create table t(x); insert into t values (1), (2), (null)",
                    "select x, x is null, typeof(x) from t order by x desc",
                    "select sum(x) over (order by x) from t",
                    "select json_extract('{\"a\":[1,2,{\"b\":\"c\"}]}', '$.a[2].b'), "
                    "upper('ß'), round(2.5), hex(zeroblob(3))"],
         stdout="2|0|integer\n1|0|integer\nNULL|1|null\nNULL\n1\n3\nc|ß|3.0|000000\n"),
    Case("create", ["/data/new.db"], stdin=FILL.encode(),
         stdout=None, after={"new.db": query("select count(*) from t", [(4000,)])}),
    Case("read", ["/data/old.db", "select count(*), sum(square) from numbers",
                  "select n from numbers where square = 998001", "pragma integrity_check"],
         before={"old.db": DATABASE}, stdout="5000|41654167500\n999\nok\n"),
    Case("change", ["/data/old.db", "delete from numbers where n >= 10; vacuum",
                    "begin; delete from numbers; rollback"],
         before={"old.db": DATABASE}, stdout="",
         after={"old.db": query("select count(*), max(n) from numbers", [(10, 9)])}),
    # For WASI, SQLite locks a database by a folder beside it.
    Case("read-only", ["/fixed/old.db", "select max(n) from numbers"],
         fixed={"old.db": DATABASE}, code=1, no_reference="it has no read-only folders",
         stdout="error 3: access permission denied\n"),
    Case("syntax", [":memory:", "selec 1"], stdout='error 1: near "selec": syntax error\n', code=1),
    Case("damaged", ["/data/bad.db", "select * from numbers"], before={"bad.db": NOISE}, code=1,
         stdout="error 26: file is not a database\n"),
    Case("missing", ["/data/none/new.db", "select 1"], code=1,
         stdout="cannot open: unable to open database file\n"),
    Case("clock", [":memory:", "select julianday('now') > 2459000, length(randomblob(8))"],
         stdout="1|8\n"),
]

LUA_FILE = "".join(f"{n} {n % 7}\n" for n in range(1, 1001))
LUA = [
    Case("script", ["/data/script.lua", "9", "second"], env={"NAME": "value"},
         stdin=b"first line\n42 rest\nof input", before={"script.lua": "@script.lua"},
         after={"script.lua": "@script.lua", "kept.txt": LUA_FILE}, code=9,
         stderr="to standard error"),
    Case("stdin", ["-"], stdin=b"for i = 1, 3 do print(i, 10 // i, 10 / i) end",
         stdout="1\t10\t10.0\n2\t5\t5.0\n3\t3\t3.3333333333333\n"),
    Case("error", ["/data/bad.lua"], before={"bad.lua": "local function f() error({}) end\nf()"},
         stdout="", code=1, stderr="lua:"),
    Case("wrong", ["/data/bad.lua"], before={"bad.lua": "print(1"}, stdout="", code=1,
         stderr="bad.lua:1:"),
]

QUICKJS = [
    Case("script", ["-m", "/data/script.js", "7"], env={"NAME": "value"},
         stdin=b"one\ntwo\n", before={"script.js": "@script.js"}, code=7,
         after={"script.js": "@script.js", "folder": None,
                "kept.txt": "".join(f"{n}\n" for n in range(1000))},
         stderr="to standard error"),
    Case("expression", ["-e", "print([1,2,3].map(n => n ** 2).join()); console.log(typeof os)"],
         stdout="1,4,9\nundefined\n"),
    Case("throw", ["-e", "throw new TypeError('as asked')"], stdout="", code=1,
         stderr="as asked"),
    Case("missing", ["/data/none.js"], stdout="", code=1),
]

BZIP2 = [
    Case("compress", ["compress"], stdin=PROSE, stdout=bz2.compress(PROSE)),
    Case("decompress", ["decompress"], stdin=bz2.compress(PROSE), stdout=PROSE),
    Case("noise", ["compress"], stdin=NOISE, stdout=bz2.compress(NOISE)),
    Case("empty", ["compress"], stdout=bz2.compress(b"")),
    Case("files", ["compress", "/data/text", "/data/text.bz2"], before={"text": PROSE}, stdout="",
         after={"text": PROSE, "text.bz2": bz2.compress(PROSE)}),
    Case("damaged", ["decompress"], stdin=bz2.compress(PROSE).replace(b"\x1f", b"\x1e"),
         stdout=lambda content: content != PROSE, code=1, stderr="error -4"),
    Case("missing", ["compress", "/data/none", "/data/to"], stdout="", code=2, stderr="/data/none"),
]

ZLIB = [
    Case("compress", ["compress", "6"], stdin=PROSE,
         stdout=lambda content: zlib.decompress(content) == PROSE,
         stderr=f"adler32 {zlib.adler32(PROSE):08x}, {len(PROSE)} bytes"),
    Case("stored", ["compress", "0"], stdin=NOISE,
         stdout=lambda content: zlib.decompress(content) == NOISE),
    Case("decompress", ["decompress"], stdin=zlib.compress(PROSE, 9), stdout=PROSE),
    Case("damaged", ["decompress"], stdin=zlib.compress(PROSE, 9)[:-1] + b"x",
         stdout=PROSE, code=1, stderr="incorrect data check"),
    Case("gzip", ["gzip", "/data/text", "/data/text.gz"], before={"text": PROSE}, stdout="",
         after={"text": PROSE, "text.gz": lambda content: gzip.decompress(content) == PROSE}),
    Case("gunzip", ["gunzip", "/data/text.gz", "/data/text"],
         before={"text.gz": gzip.compress(PROSE, mtime=0)}, stdout=f"{len(PROSE)} bytes\n",
         after={"text.gz": gzip.compress(PROSE, mtime=0), "text": PROSE}),
]

# Frames that are not compressed: of Zstandard with two blocks, of LZ4 with one.
ZSTD_FRAME = (b"\x28\xb5\x2f\xfd\x20\x09" b"\x28\0\0hello" b"\x23\0\0!")
LZ4_FRAME = b"\x04\x22\x4d\x18\x60\x40\x82" b"\x05\0\0\x80hello" b"\0\0\0\0"
ZSTD = [
    Case("compress", ["compress", "3"], stdin=PROSE,
         stdout=lambda content: content[:4] == ZSTD_FRAME[:4] and len(content) < len(PROSE) // 5),
    Case("decompress", ["decompress"], stdin=ZSTD_FRAME, stdout="hello!!!!"),
    Case("check", ["check", "1"], stdin=PROSE,
         stdout=f"{len(PROSE)} bytes, smaller 1, same 1\n"),
    Case("check-best", ["check", "19"], stdin=NOISE,
         stdout=f"{len(NOISE)} bytes, smaller 1, same 1\n"),
    Case("damaged", ["decompress"], stdin=ZSTD_FRAME[:6] + b"\x07" + ZSTD_FRAME[7:], stdout="",
         code=1, stderr="error: "),
    Case("truncated", ["decompress"], stdin=ZSTD_FRAME[:-1], stdout="hello", code=1,
         stderr="error: truncated"),
]

LZ4 = [
    Case("compress", ["compress", "0"], stdin=PROSE,
         stdout=lambda content: content[:4] == LZ4_FRAME[:4] and len(content) < len(PROSE) // 2),
    Case("best", ["compress", "12"], stdin=PROSE,
         stdout=lambda content: content[:4] == LZ4_FRAME[:4] and len(content) < len(PROSE) // 3),
    Case("decompress", ["decompress"], stdin=LZ4_FRAME, stdout="hello"),
    Case("damaged", ["decompress"], stdin=LZ4_FRAME[:6] + b"\x83", stdout="", code=1,
         stderr="ERROR_headerChecksum_invalid"),
]

DEFLATE = [
    Case("compress", ["compress", "/data/text", "/data/text.gz", "9"], before={"text": PROSE},
         stdout=f"crc32 {zlib.crc32(PROSE):08x}, {len(PROSE)} bytes\n",
         after={"text": PROSE, "text.gz": lambda content: gzip.decompress(content) == PROSE}),
    Case("best", ["compress", "/data/noise", "/data/noise.gz", "12"], before={"noise": NOISE},
         stdout=f"crc32 {zlib.crc32(NOISE):08x}, {len(NOISE)} bytes\n",
         after={"noise": NOISE, "noise.gz": lambda content: gzip.decompress(content) == NOISE}),
    Case("decompress", ["decompress", "/data/text.gz", "/data/text"], stdout="",
         before={"text.gz": gzip.compress(PROSE, mtime=0)},
         after={"text.gz": gzip.compress(PROSE, mtime=0), "text": PROSE}),
    Case("damaged", ["decompress", "/data/bad.gz", "/data/none"], before={"bad.gz": NOISE},
         stdout="", code=1, stderr="error 1"),
    Case("missing", ["decompress", "/data/none.gz", "/data/none"], stdout="", code=2,
         stderr="/data/none.gz: "),
]

DUKTAPE = [
    Case("script", stdin=b"""
function Point(x, y) { this.x = x; this.y = y; }
Point.prototype.toString = function () { return '(' + this.x + ', ' + this.y + ')'; };
print([3, 1, 2].sort().map(function (n) { return n * n; }), new Point(1, 2));
print(JSON.stringify({a: [1, null, {b: '\\u00e4'}]}), JSON.parse('[1e3]')[0]);
print('a1b22'.replace(/[0-9]+/g, '#'), (0.1 + 0.2).toFixed(3), parseInt('ff', 16));
try { null.x } catch (error) { print(error instanceof TypeError); }
var total = 0;
for (var i = 0; i < 300000; i++) total = (total + i * i) % 65521;
print(total, new Date(0).toISOString(), typeof Proxy);
""", stdout="1,4,9 (1, 2)\n" '{"a":[1,null,{"b":"\u00e4"}]} 1000\n' "a#b# 0.300 255\ntrue\n"
            f"{sum(n * n for n in range(300000)) % 65521} 1970-01-01T00:00:00.000Z function\n"),
    Case("file", ["/data/script.js"], before={"script.js": "print(1 + 1)"}, stdout="2\n"),
    Case("throw", stdin=b"throw new RangeError('as asked')", stdout="", code=1,
         stderr="RangeError: as asked"),
    Case("deep", stdin=b"function f() { return f() + 1 } f()", stdout="", code=1,
         stderr="RangeError"),
]

MARKDOWN = [
    Case("page", ["-T", "-S"], stdin=b"""# Title *here*

- one
- [two](/there "title")

| a | b |
|--:|---|
| 1 | `x<y` |

~~gone~~ &copy; \\*
""", stdout="<h1>Title <em>here</em></h1>\n<ul>\n<li>one</li>\n"
            '<li><a href="/there" title="title">two</a></li>\n</ul>\n'
            '<table><thead><tr><th style="text-align: right">a</th><th>b</th></tr></thead><tbody>\n'
            '<tr><td style="text-align: right">1</td><td><code>x&lt;y</code></td></tr>\n'
            "</tbody></table>\n<p><del>gone</del> \u00a9 *</p>\n"),
    Case("large", stdin=b"* a\n\n  > b\n" * 20_000,
         stdout=lambda content: content.count(b"<blockquote>") == 20_000),
]

WASM_TOOLS = [
    Case("text", ["print", "-"], stdin=b'(module (func (export "f") (result i32) i32.const 7))',
         stdout='(module\n  (type (;0;) (func (result i32)))\n  (export "f" (func 0))\n'
                "  (func (;0;) (type 0) (result i32)\n    i32.const 7\n  )\n)\n"),
    Case("parse", ["parse", "/data/m.wat", "-o", "/data/m.wasm"], before={"m.wat": "(module)"},
         stdout="", after={"m.wat": "(module)", "m.wasm": b"\0asm\1\0\0\0"}),
    Case("wit", ["component", "wit", "/data/wit"],
         before={"wit/a.wit": "package a:b; interface i { f: func() -> list<u8>; }"},
         stdout="package a:b;\n\ninterface i {\n"
                "  f: func() -> list<u8>;\n}\n\n"),
    Case("invalid", ["validate", "-"], stdin=b"(module (func i32.const 7))", code=1, stdout="",
         stderr="type mismatch"),
    Case("missing", ["validate", "/data/none"], code=1, stdout="", stderr="/data/none"),
]

SYSTEM = [
    Case("all", ["3", "end"], env={"NAME": "value", "EMPTY": ""}, code=3,
         after={"a": None, "a/file": "01xy45", "a/escape": Link("../../outside")}),
    # The backtrace has lines of source.
    Case("trap", ["trap"], stdout="", code=TRAPPED, stderr="/guests/system.c:"),
]

# The start of what the case `large` writes, after the length and the sum of all.
LARGE = b"8388608 true\n1069547932 true\n" + bytes(
    (n * 2_654_435_761 & 0xFFFF_FFFF) >> 24 for n in range(100_000))

STD = [
    Case("arguments", ["arguments", "", "two words", "\N{CRAB}", "--flag"],
         env={"NAME": "a value", "EMPTY": "", "CRAB": "\N{CRAB}"},
         stdout='["arguments", "", "two words", "\N{CRAB}", "--flag"]\n'
                '[("CRAB", "\N{CRAB}"), ("EMPTY", ""), ("NAME", "a value")]\nNone\n'
                "terminals false false\n332833500\n"),
    Case("copy", ["copy"], stdin=PROSE, stderr="done",
         stdout=b"".join(b"%d: %s\n" % (n + 1, line) for n, line in enumerate(PROSE.splitlines()))
         + b"%d bytes\n" % len(PROSE)),
    Case("files", ["files"], after={"file.txt": b"fiXYZ\nse\0\0\0\0", "\N{CRAB} name": "crab"}),
    Case("folders", ["folders"], after={"a": None}),
    Case("links", ["links"], after={
        "folder/file": "changed", "hard": "changed", "way": Link("folder"),
        "dangling": Link("none"), "loop": Link("loop")}),
    Case("sandbox", ["sandbox"], before={"given": "inside"},
         after={"given": "inside", "in/up": Link(".."), "in/far": Link("../../..")}),
    Case("read-only", ["read-only"], fixed={"given": "text"},
         no_reference="it has no read-only folders"),
    Case("times", ["times"], after={"file": "x"}),
    Case("threads", ["threads"]),
    Case("tcp", ["tcp"], options=["-Sinherit-network"]),
    Case("udp", ["udp"], options=["-Sinherit-network"]),
    Case("names", ["names"], options=["-Sinherit-network", "-Sallow-ip-name-lookup"]),
    Case("refused", ["refused"]),
    Case("large", ["large"], stdout=LARGE,
         after={"large": lambda content: len(content) == 8 << 20}),
    Case("panic", ["panic"], stdout="", stderr="as asked", code=TRAPPED),
    Case("overflow", ["overflow"], stdout="", code=TRAPPED),
    Case("abort", ["abort"], stdout="", code=TRAPPED),
    Case("exit", ["exit", "77"], stdout="", code=77),
    Case("failure", ["none"], stdout="", code=1, stderr="unknown part `none`"),
]

ARCHIVED = {"in/text": PROSE, "in/inner/noise": NOISE, "in/inner/empty": b""}
UNPACKED = {name.removeprefix("in/"): content for name, content in ARCHIVED.items()}


def unpacked(content):
    """The files in a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        return {name: archive.read(name) for name in names}


GO = [
    Program("go-hello", go("hello.go"), (P1,), [
        Case("run", ["5", "two words"], env={"B": "2", "A": "\N{CRAB}"}, stdin=b"one\ntwo",
             stdout="hello from 2 arguments: [5 two words]\n[A=\N{CRAB} B=2]\n<one>\n<two>\n",
             stderr="leaving", code=5),
        Case("panic", ["x"], stdout="hello from 1 arguments: [x]\n[]\n", code=2,
             stderr="invalid syntax"),
    ]),
    Program("go-goroutines", go("goroutines.go"), (P1,), [
        Case("run", stdout="100th prime: 541\n1000 1000 998001\n10 20 30 true\n"
                           "context deadline exceeded\nrecovered: runtime error: invalid memory "
                           "address or nil pointer dereference\n",
             stderr="index out of range [1000]", code=2),
    ]),
    Program("go-files", go("files.go"), (P1,), [
        Case("run", before={}, after={"a": None, "log": "line 0"},
             stdout="201 000.txt c true\ntotal 19900\n" r'"0\nline 1\nline 2\n"' "\n"
                    r'"line"' "\na/b xxx\n6 true\ntrue\ntrue true\ntrue\n[a log]\n"),
    ]),
    Program("go-memory", go("memory.go"), (P1,), [
        Case("run", stdout="nodes 262143\n" + "8191 " * 20 + "\nsum 6528000\ndepth 5000\n"
                           "true true 262143\n"),
    ]),
    Program("go-library", go("library.go"), (P1,), [
        Case("run", stdin="The cat, the \u00c4pfel;\nTHE end".encode(), stdout=None),
    ]),
    Program("go-archive", go("archive.go"), (P1,), [
        Case("run", before=ARCHIVED, after=ARCHIVED | {
            "out.zip": lambda content: unpacked(content) == UNPACKED,
            "out.tar": lambda content: b"ustar" in content}, stdout=None),
        Case("missing", ["-root", "/data/none"], stdout="", code=3, stderr="error: ",
             after={"out.zip": lambda content: True}),
    ]),
]

ZIG = [
    Case("run", ["one", "two words"], env={"NAME": "value"}, code=7,
         after={"moved": "some text", "link": Link("moved")},
         stdout="argument one\nargument two words\nNAME=value\nslept true\nsum 499999500000\n"
                "some text\n9 file\nmoved\nFileNotFound\nPermissionDenied\nDirNotEmpty\n"
                "a link moved \nrandom true\n"),
]

ZIG_TEXT = [
    Case("run", before={"text": "b a b c\na b\n"},
         stdout="a=2 b=3 c=1 \n"
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
                "a 1.5 2\nb -2000 0\nUnexpectedEndOfInput\n"),
    Case("missing", stdout="", code=1, stderr="FileNotFound"),
]

JAVASCRIPT = [
    Case("run", ["one", "two words"], env={"NAME": "value"}, stderr="to standard error",
         stdout='["one","two words"] [["NAME","value"]]\nafter 2020 true\nrandom differs true\n'
                "0 506 1008 1,22,333\nmonotonic true\nfolder /data\nwritten 18\n"
                "read JavaScript false\nregular-file 18\nerror not-permitted\nmade\n",
         after={"made/file": "text of JavaScript"}),
    Case("fail", ["fail"], stdout='["fail"] []\n', code=1),
    Case("exit", ["exit"], stdout='["exit"] []\n', code=1),
]

PYTHON = [
    Case("run", ["one"], env={"NAME": "value"}, stdin=b"a line\n", stderr="to standard error",
         after={"a": None, "moved": None, "result.json":
                '{"names": ["00.txt", "01.txt"], "pi": 3.14159}'}
         | {f"moved/{n:02}.txt": "line\n" * n for n in range(1, 20)}),
    Case("exit", ["exit"], stdout="['exit'] []\n", code=1),
    Case("raise", ["raise"], stdout="['raise'] []\n", code=TRAPPED, stderr="RuntimeError: as asked"),
]

NAPS = [
    Case("naps", options=["--invoke", 'naps(["a", "b", "c"])'], stdout='["c", "b", "a"]\n',
         no_reference="asynchronous functions need an option of it"),
]

SETJMP_FLAGS = ("-mllvm", "-wasm-enable-sjlj", "-mllvm", "-wasm-use-legacy-eh=false")
SQLITE_FLAGS = ("-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DSQLITE_ENABLE_FTS5",
                "-DSQLITE_ENABLE_RTREE", "-DSQLITE_TEMP_STORE=2")
ZSTD_FILES = ("common/*.c", "compress/*.c", "decompress/*.c")
BZIP2_FILES = ("blocksort.c", "huffman.c", "crctable.c", "randtable.c", "compress.c",
               "decompress.c", "bzlib.c")
QUICKJS_FILES = ("quickjs.c", "dtoa.c", "libregexp.c", "libunicode.c", "quickjs-libc.c", "qjs.c",
                 "gen/repl.c", "gen/standalone.c")

PROGRAMS = [
    Program("ripgrep", crate("ripgrep", "15.2.0", "rg"), ALL, RIPGREP),
    Program("jaq", package("jaq"), ALL, JAQ),
    Program("sqlite", c("sqlite.c", "libsqlite3-sys", ("sqlite3.c",), SQLITE_FLAGS), ALL, SQLITE),
    Program("lua", c("lua.c", "lua-src", ("l*.c",), SETJMP_FLAGS, ("-lsetjmp",)), ALL, LUA),
    Program("quickjs", c(None, "rquickjs-sys", QUICKJS_FILES, ("-D_GNU_SOURCE",)), ALL, QUICKJS),
    Program("bzip2", c("bzip2.c", "bzip2-sys", BZIP2_FILES), ALL, BZIP2),
    Program("zlib", c("zlib.c", "libz-sys", ("*.c",), ("-DHAVE_UNISTD_H",)), ALL, ZLIB),
    Program("zstd", c("zstd.c", "zstd-sys", ZSTD_FILES, ("-DZSTD_DISABLE_ASM",)), ALL, ZSTD),
    Program("lz4", c("lz4_frames.c", "lz4-sys", ("*.c",)), ALL, LZ4),
    Program("deflate", c("deflate.c", "libdeflate-sys", ("lib/*.c",)), ALL, DEFLATE),
    Program("duktape", c("duktape_run.c", "ducc-sys", ("duktape.c",), SETJMP_FLAGS, ("-lsetjmp",)),
            ALL, DUKTAPE),
    Program("markdown", crate("pulldown-cmark", "0.13.6", "pulldown-cmark"), ALL, MARKDOWN),
    Program("wasm-tools", crate("wasm-tools", "1.263.0", "wasm-tools", "--no-default-features",
                                "--features=parse,print,validate,component"), ALL, WASM_TOOLS),
    Program("system", c("system.c"), ALL, SYSTEM),
    Program("std", rust("std.rs"), ALL, STD),
    *GO,
    Program("zig", zig("system.zig"), (P1, ADAPTED), ZIG),
    Program("zig-text", zig("text.zig"), (P1, ADAPTED), ZIG_TEXT),
    Program("javascript", javascript("javascript.js", "javascript"), (P2,), JAVASCRIPT),
    Program("python", python("python_app.py"), (P2,), PYTHON),
    Program("quickjs-async", quickjs("naps.js"), (P3,), NAPS),
    Program("python-async", python("naps.py"), (P3,), NAPS),
]

# Cases that fail for a known reason: `PROGRAM.KIND/CASE`. One that passes is an error.
EXPECTED_FAILURES = {}
