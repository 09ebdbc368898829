#!/usr/bin/env python3
"""Quick checks of what a compiler does not see. Each check is one test: "ok NAME" or "FAIL NAME: reason"."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Which project folders a file may include from, by the longest matching prefix of its own path: downwards only
# (docs/ARCHITECTURE.md shows the picture). A file may always include from its own folder.
MAY_INCLUDE = {
    "wzp/base/": [],
    "wzp/rt/": ["wzp/base/"],
    "wzp/core/": ["wzp/base/"],
    "config/": ["wzp/base/"],
    "wzp/io/": ["wzp/core/", "wzp/rt/", "wzp/base/"],
    "wzp/web/": ["wzp/rt/", "wzp/base/"],
    "ice/": ["wzp/rt/", "wzp/base/"],
    "sip/": ["wzp/rt/", "wzp/base/"],
    "sip/edge": ["wzp/web/", "wzp/rt/", "wzp/base/"],
    "gateway/media/": ["ice/", "wzp/core/", "wzp/rt/", "wzp/base/"],
    "gateway/store/": ["wzp/rt/", "wzp/base/"],
    "gateway/admin/": ["wzp/web/", "wzp/rt/", "wzp/base/"],
    # The pure half of the gateway sees only itself and the foundation.
    "gateway/call.": ["gateway/call.", "gateway/cause.", "gateway/route.", "wzp/base/"],
    "gateway/cause.": ["gateway/cause.", "wzp/base/"],
    "gateway/route.": ["gateway/route.", "gateway/cause.", "wzp/base/"],
    "gateway/trace.": ["gateway/trace.", "wzp/base/"],
    "gateway/leg_sip": ["sip/", "ice/", "gateway/media/", "wzp/rt/", "wzp/base/"],
    "gateway/leg_wzp": ["wzp/io/", "wzp/core/", "gateway/media/", "wzp/rt/", "wzp/base/"],
    "gateway/": ["gateway/", "sip/", "ice/", "wzp/io/", "wzp/core/", "wzp/web/", "config/", "wzp/rt/", "wzp/base/"],
    "wzp/bin/": ["gateway/media/", "ice/", "wzp/io/", "wzp/core/", "wzp/web/", "wzp/rt/", "wzp/base/"],
}
# A file of the pure half may not reach the rest of its own folder.
OWN_FOLDER_IS_NOT_ENOUGH = ("gateway/call.", "gateway/cause.", "gateway/route.", "gateway/trace.")

# Where the headers of a library may be included: its types stay in one folder.
LIBRARY_HOME = [
    (r"sofia-sip/", ["sip/"]),
    (r"(nice|stun)/", ["ice/"]),
    (r"(ngtcp2|gnutls)/", ["wzp/io/"]),
    (r"sqlite3\.h", ["gateway/store/"]),
    (r"microhttpd\.h", ["wzp/web/"]),
    (r"yaml\.h", ["config/"]),
    (r"(opus/)?opus\w*\.h|spandsp", ["gateway/media/"]),
    (r"glib(-\w+)?(/|\.h)", ["sip/", "ice/", "gateway/"]),
]
# Headers that no header below this folder may pass on.
ONLY_IN_SOURCES = [(r"jansson\.h|openssl/", ""), (r"glib", "sip/"), (r"glib", "ice/")]

# A core takes bytes and the time, and gives bytes and effects back.
IMPURE_SYMBOLS = re.compile(
    r"^(socket|bind|connect|listen|accept4?|send|sendto|sendm?msg|recv|recvfrom|recvm?msg|poll|ppoll|select|pselect|epoll_\w+"
    r"|getaddrinfo|gethostby\w+|clock_\w+|gettimeofday|time|timespec_get|nanosleep|usleep|sleep|pthread_\w+|mtx_\w+|thrd_\w+"
    r"|printf|vprintf|fprintf|vfprintf|puts|putchar|fputs|fputc|putc|fwrite|perror|syslog|stdout|stderr|fopen|open|openat"
    r"|read|write|getrandom|getentropy|rand|srand|random|RAND_\w+|getenv|secure_getenv"
    r"|__(printf|vprintf|fprintf|vfprintf)_chk)(@.*)?$")

MAX_LINES = 800
FORBIDDEN_TEXT = re.compile(r"(?<![\w.$}])/(home|work|Users)/\w+|(?<![\w.])/root/\w+"
                            r"|deb\.debian\.org|pypi\.org|registry\.npmjs\.org|crates\.io|proxy\.golang\.org"
                            r"|repo1?\.maven\.org|snapshot\.debian\.org")


def tracked(*patterns):
    """Files git knows or would add; without git (a source archive) all files outside build trees."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
                                cwd=ROOT, check=True, capture_output=True, text=True).stdout
        names = [name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for pattern in patterns or ("*",)
                 for path in ROOT.rglob(pattern) if path.is_file() and "build" not in path.parts]
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def includes_of(name):
    """(line number, header, is it one of ours) of each include of a file."""
    for number, line in enumerate(text_of(name).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found[2], found[1] == '"'


def allowed_prefixes(name):
    prefix = max((p for p in MAY_INCLUDE if name.startswith(p)), key=len, default=None)
    if prefix is None:
        return None
    own = [] if prefix in OWN_FOLDER_IS_NOT_ENOUGH else [os.path.dirname(name) + "/"]
    return own + MAY_INCLUDE[prefix]


def check_layers(_args):
    """includes go downwards only"""
    for name in tracked("*.c", "*.h"):
        allowed = allowed_prefixes(name)
        if allowed is None:
            continue
        for number, header, ours in includes_of(name):
            if not ours:
                continue
            if not (ROOT / header).is_file():
                yield f"{name}:{number}: {header} is not named from the root of the tree"
            elif not any(header.startswith(prefix) for prefix in allowed):
                yield f"{name}:{number}: {header} is not below this file's layer"


def check_libraries(_args):
    """the types of a library stay in its folder"""
    for name in tracked("*.c", "*.h"):
        if allowed_prefixes(name) is None:
            continue
        for number, header, ours in includes_of(name):
            if ours:
                continue
            for pattern, homes in LIBRARY_HOME:
                if re.match(pattern, header) and not name.startswith(tuple(homes)):
                    yield f"{name}:{number}: <{header}> belongs in {' or '.join(homes)}"
            for pattern, folder in ONLY_IN_SOURCES:
                if name.endswith(".h") and name.startswith(folder) and re.match(pattern, header):
                    yield f"{name}:{number}: <{header}> belongs in a source file"


def check_headers_alone(args):
    """each header compiles alone"""
    flags = {}
    commands = (ROOT / args.build / "compile_commands.json").read_text()
    for entry in json.loads(commands):
        folder = os.path.dirname(os.path.relpath(entry["file"], ROOT))
        words = shlex.split(entry["command"])
        flags.setdefault(folder, [word for word in words if re.match(r"-(D|std|W)|-f(?!sanitize)", word)]
                         + [x for i, word in enumerate(words) for x in (words[i:i + 2] if word == "-isystem" else
                                                                        [word] if word.startswith("-I") else [])])
    fallback = ["-std=c17", f"-I{ROOT}", "-D_GNU_SOURCE"]

    def compile_alone(name):
        command = ["gcc", *flags.get(os.path.dirname(name), fallback), "-Wno-unused-const-variable", "-fsyntax-only",
                   "-x", "c", "-include", str(ROOT / name), "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        first = next((line for line in done.stderr.splitlines() if "error" in line or "warning" in line), done.stderr)
        return f"{name}: {first}" if done.returncode or done.stderr else None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        yield from filter(None, pool.map(compile_alone, tracked("*.h")))


def undefined_symbols(path):
    """(object, symbol) pairs an archive or object file wants from outside."""
    listed = subprocess.run(["nm", "-A", "-u", str(path)], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        where, _, symbol = line.rpartition(" U ")
        if where:
            yield where.strip().rstrip(":").rpartition(":")[2], symbol.strip()


def check_pure_archives(args):
    """wzp/core, config/schema and the pure half of the gateway import no socket, clock, thread or stdio symbol"""
    build = ROOT / args.build
    core = build / "libwzp_core.a"
    gateway = build / "libgw.a"
    for path in (core, gateway):
        if not path.is_file():
            yield f"{path.relative_to(ROOT)} has not been built"
            return
    pure = list(undefined_symbols(core))
    pure += [(obj, symbol) for obj, symbol in undefined_symbols(gateway)
             if re.match(r"(call|cause|route|trace)\.c\.o$", obj)]
    if not pure:
        yield "nm found no symbols to judge"
    for obj, symbol in pure:
        if IMPURE_SYMBOLS.match(symbol):
            yield f"{obj} imports {symbol}"


def check_document_links(_args):
    """links between documents lead somewhere"""
    for name in tracked("*.md"):
        text = re.sub(r"```.*?```", "", text_of(name), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            path = (ROOT / name).parent / target.split("#")[0]
            if not path.exists():
                yield f"{name}: {target} does not exist"


def test_names():
    """what a document may cite: cmocka tests, Python cases and checks, cases added under a name"""
    defined = re.compile(r"^static void (\w+)\(void \*\*|^\s*def (\w+)\(|^add\w*\(\s*\"(\w+)\"", re.M)
    return {name for path in tracked("tests/*.c", "tests/*.h", "tests/*.py")
            for found in defined.findall(text_of(path)) for name in found if name}


def check_citations(_args):
    """tests, vectors and declarations that a document cites exist"""
    tests = test_names()
    vectors = {pathlib.Path(name).stem for name in tracked("tests/vectors/*.json")}
    cited = 0
    for name in tracked("docs/*.md"):
        text = text_of(name)
        for found in re.finditer(r"\[(test|v|h): ([^\]]+)\]", text):
            line = text.count("\n", 0, found.start()) + 1
            for word in re.split(r"[,\s]+", found[2].strip()):
                if word in ("NAME", "FILE"):  # where the document explains its brackets
                    continue
                cited += 1
                if found[1] == "test" and word not in tests:
                    yield f"{name}:{line}: no test is called {word}"
                elif found[1] == "v" and word not in vectors:
                    yield f"{name}:{line}: no tests/vectors/{word}.json"
                elif found[1] == "h":
                    header = ROOT / word
                    wanted = found[2].split()[-1]
                    if not header.is_file():
                        yield f"{name}:{line}: {word} does not exist"
                    elif wanted != word and wanted not in header.read_text(encoding="utf-8"):
                        yield f"{name}:{line}: {word} does not declare {wanted}"
                    break
    if cited == 0:
        yield "no document cites anything"


def check_file_length(_args):
    """no source file is longer than a reader's patience"""
    for name in tracked("*.c", "*.h", "*.py"):
        lines = text_of(name).count("\n")
        if lines > MAX_LINES:
            yield f"{name}: {lines} lines, over {MAX_LINES}"


def check_forbidden_text(_args):
    """no line names somebody's home folder or a package registry"""
    for name in tracked():
        if name.startswith("tests/fuzz/corpus/") or name == "tests/lint/lint.py":
            continue
        for number, line in enumerate(text_of(name).splitlines(), 1):
            found = FORBIDDEN_TEXT.search(line)
            if found:
                yield f"{name}:{number}: {found[0]}"


def check_header_comments(_args):
    """each header begins by saying what it is for"""
    for name in tracked("*.h"):
        if not text_of(name).lstrip().startswith(("/*", "//")) and "/*" not in text_of(name)[:200]:
            yield f"{name}: no purpose comment at the top"


def check_fuzz_corpora(_args):
    """each fuzz target has a corpus and each corpus a target"""
    targets = {pathlib.Path(name).stem.removeprefix("fuzz_") for name in tracked("tests/fuzz/fuzz_*.c")}
    corpora = {pathlib.Path(name).parts[3] for name in tracked("tests/fuzz/corpus/*")}
    yield from (f"fuzz_{name} has no tests/fuzz/corpus/{name}" for name in sorted(targets - corpora))
    yield from (f"tests/fuzz/corpus/{name} has no target" for name in sorted(corpora - targets))


CHECKS = {
    "layers": check_layers,
    "libraries": check_libraries,
    "headers_alone": check_headers_alone,
    "pure_archives": check_pure_archives,
    "document_links": check_document_links,
    "citations": check_citations,
    "file_length": check_file_length,
    "forbidden_text": check_forbidden_text,
    "header_comments": check_header_comments,
    "fuzz_corpora": check_fuzz_corpora,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/strict", help="build tree with the archives to look into")
    parser.add_argument("check", nargs="*", choices=[[], *CHECKS], help="default: all")
    args = parser.parse_args()
    failed = 0
    for name in args.check or CHECKS:
        findings = list(CHECKS[name](args))
        if findings:
            failed += 1
            for finding in findings:
                print(f"  {finding}")
            print(f"FAIL {name}: {len(findings)} findings, the first: {findings[0]}")
        else:
            print(f"ok {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
