# SPDX-License-Identifier: BSD-2-Clause
"""Make manual pages: pages.py SRCDIR OUTDIR HEADER...

Section 2 has a page for each of the kernel's calls, from include/exo/call.h, include/exo/error.h and doc/abi/call/NAME.md
(which doc/abi/manual.py checks), and exo_calls(2), the list. Section 3 has a page for each HEADER of a libOS block, from the
comments in it, and for each function that is declared there a page that leads to it: man 3 thread_create. OUTDIR gets the
folders man2 and man3, and files that are there already and no longer made are removed.
"""
import pathlib
import re
import sys

CALL = re.compile(r'X\((\d+),\s*(\w+),\s*"([a-z]*)",\s*"([^"]*)",\s*"([^"]*)",\s*"([^"]*)"\)')
ERROR = re.compile(r'X\((\d+),\s*(\w+),\s*"([^"]*)"\)')
TYPES = {"c": "exo_cap_t", "s": "uint64_t", "n": "uint64_t", "v": "exo_vaddr_t", "o": "uint64_t", "t": "exo_time_t",
         "w": "uint64_t"}
DECLARED = re.compile(r"\b([a-z]\w+)\((?![*])")
NOT_FUNCTIONS = {"sizeof", "if", "while", "for", "return", "defined", "section", "aligned", "format", "target", "optimize"}
LICENCE = '.\\" SPDX-License-Identifier: BSD-2-Clause\n'


def escape(text):
    """Text as roff reads it."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def inline(text):
    """A line of Markdown: `code` and **strong** in bold, [text](link) as its text."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]*`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*)", text)
    shown = ""
    for part in parts:
        if part.startswith("`") and len(part) > 1:
            shown += "\\fB%s\\fR" % escape(part[1:-1])
        elif part.startswith("**"):
            shown += "\\fB%s\\fR" % escape(part[2:-2])
        elif part.startswith("*") and len(part) > 2:
            shown += "\\fI%s\\fR" % escape(part[1:-1])
        else:
            shown += escape(part)
    return "\\&" + shown if shown[:1] in (".", "'") else shown


class Page:
    """One page in the making. Paragraph marks are never put where another stands, or at a section's beginning."""

    def __init__(self, name, section, date, version, meaning):
        self.lines = [".TH %s %d %s \"Exo %s\" \"Exo\"" % (escape(name).upper(), section, date, version), ".SH NAME",
                      "%s \\- %s" % (escape(name), inline(meaning))]
        self.begun = False

    def section(self, title):
        self.lines.append(".SH " + title)
        self.begun = True

    def subsection(self, title):
        self.lines.append(".SS " + escape(title))
        self.begun = True

    def paragraph(self, text):
        if not self.begun:
            self.lines.append(".PP")
        self.begun = False
        self.lines += [inline(line.strip()) for line in text if line.strip()]

    def item(self, text):
        self.begun = False
        self.lines.append(".IP \\(bu 2")
        self.lines += [inline(line.strip()) for line in text]

    def verbatim(self, text):
        text = text.expandtabs(8).strip("\n")
        if not text.strip():
            return
        self.lines += ([] if self.begun else [".PP"]) + [".nf", "\n".join(escape(line) or "\\&" for line in text.split("\n")), ".fi"]
        self.begun = False

    def markdown(self, text):
        """Paragraphs, lists, and sections that begin with **Title**."""
        for block in re.split(r"\n\s*\n", text.strip()):
            lines = block.split("\n")
            head = re.match(r"\*\*([A-Z]\w+)\*\*:?\s*(.*)", lines[0])
            if head:
                self.section(head.group(1).upper())
                lines = ([head.group(2)] if head.group(2) else []) + lines[1:]
            self.prose(lines)

    def prose(self, lines):
        plain, item = [], None
        for line in lines:
            if line.lstrip().startswith("- "):
                if item:
                    self.item(item)
                elif plain:
                    self.paragraph(plain)
                plain, item = [], [line.lstrip()[2:]]
            elif item:
                item.append(line)
            else:
                plain.append(line)
        if item:
            self.item(item)
        elif plain:
            self.paragraph(plain)

    def text(self):
        return LICENCE + "\n".join(self.lines) + "\n"


# --- section 2 -----------------------------------------------------------------------------------------------

def call_page(top, call, date, version, names):
    number, name, kinds, arguments, rights, meaning = call
    page = Page("exo_" + name, 2, date, version, meaning)
    page.section("SYNOPSIS")
    words = [re.sub(r"\W+", "_", word.strip()) for word in arguments.split(",")] if arguments else []
    typed = ", ".join("%s %s" % (TYPES[kind], word) for kind, word in zip(kinds, words)) or "void"
    page.verbatim('#include "libos/core/stub.h"\n\nint64_t exo_%s(%s);' % (name, typed))
    page.section("DESCRIPTION")
    page.markdown((top / "doc/abi/call" / (name + ".md")).read_text())
    page.section("NOTES")
    needs = "" if rights == "-" else " Its first capability needs %s." % rights
    page.paragraph(["Call number %s.%s" % (number, needs),
                    "A result below 0 is the negative of an error; `exo_error_text`(3) says it in words. With an error nothing",
                    "has changed, unless this page says so."])
    page.section("SEE ALSO")
    page.lines.append(".BR exo_calls (2),")
    near = [other for other in names if other != name and other.split("_")[0] == name.split("_")[0]]
    page.lines += [".BR exo_%s (2)," % other for other in near] + [".BR exo (7)"]
    return page.text()


def calls_page(calls, errors, date, version):
    page = Page("exo_calls", 2, date, version, "the kernel's calls")
    page.section("DESCRIPTION")
    page.paragraph(["On x86-64: number in rax; arguments in rdi, rsi, rdx, r10, r8, r9; SYSCALL; result in rax.",
                    "rcx, r11 and the argument registers are lost, all others kept."])
    for number, name, _, arguments, rights, meaning in calls:
        page.lines += [".TP", ".BR exo_%s (2)" % name, "%s: %s" % (number, inline(meaning))]
    page.section("ERRORS")
    for number, name, meaning in errors:
        page.lines += [".TP", ".B EXO_E%s" % name, "%s: %s" % (number, inline(meaning))]
    page.section("SEE ALSO")
    page.lines.append(".BR exo (7)")
    return page.text()


# --- section 3 -----------------------------------------------------------------------------------------------

def chunks(text):
    """A header's parts between empty lines, as (comment or None, code); inline functions without their bodies."""
    text = re.sub(r"(?ms)^((?:static )?(?:inline|__attribute__)[^;{]*?\))\n\{.*?^\}", r"\1;", text)
    text = re.sub(r"(?ms)^(static inline [^;{]*?\))\n\{.*?^\}", r"\1;", text)
    found = []
    for part in re.split(r"\n\s*\n", text):
        match = re.match(r"\s*/\*(.*?)\*/[ \t]*(?:\n|$)(.*)", part, re.DOTALL)
        if match and not part[:match.start(1)].strip(" \t\n/*"):
            body = re.sub(r"(?m)^[ \t]*\*[ ]?", "", match.group(1)).strip("\n ")
            found.append((body, match.group(2)))
        else:
            found.append((None, part))
    return found


def plain(comment):
    """A header's comment as Markdown: what is indented, or stands in columns, is kept as it is."""
    return comment.replace("`", "'") if comment.count("`") % 2 else comment


def described(page, comment):
    for block in re.split(r"\n\s*\n", comment):
        lines = block.split("\n")
        if any(re.match(r"\t| {2,}\S", line) or "\t" in line for line in lines):
            page.verbatim(block)
        else:
            page.prose([plain(line) for line in lines])


def code_of(text):
    """Declarations that a reader wants: no guards, no includes, no preprocessor's branches."""
    lines = [line for line in text.split("\n")
             if not re.match(r"\s*#\s*(include|if|ifdef|ifndef|endif|else|elif|undef|define [A-Z_0-9]+_H$)\b", line)]
    return "\n".join(lines).strip("\n")


def functions(code):
    code = re.sub(r"(?m)^\s*#.*(?:\\\n.*)*$|/\*.*?\*/", "", code, flags=re.DOTALL | re.MULTILINE) if "#" in code else code
    code = re.sub(r"(?s)/\*.*?\*/", "", code)
    code = re.sub(r"(?s)\{.*?\n\}", "", code)
    return [name for name in DECLARED.findall(code) if name not in NOT_FUNCTIONS and not name.startswith("__")]


def page_name(header):
    parts = pathlib.PurePath(header).with_suffix("").parts
    return "exo-" + (parts[-1] if parts[-1].startswith(parts[-2]) or parts[-2] in ("core", "vm", "net", "fs", "disk", "sched")
                     else "-".join(parts[-2:]))


def header_page(top, header, date, version):
    """(text, functions declared)"""
    text = (top / header).read_text()
    parts = chunks(re.sub(r"\A/\* SPDX.*?\*/\n", "", text))
    theory = next((comment for comment, _ in parts if comment), "")
    first = re.split(r"(?<=[.:;])\s", " ".join(theory.split()))[0].rstrip(".:;")
    page = Page(page_name(header), 3, date, version, plain(first))
    page.section("SYNOPSIS")
    page.verbatim('#include "%s"' % header)
    page.section("DESCRIPTION")
    described(page, theory)
    found = []
    page.section("DECLARATIONS")
    for comment, code in parts:
        heading = comment and re.fullmatch(r"-+ (.*?) -+", comment)
        if heading:
            page.subsection(heading.group(1))
            comment = None
        elif comment is theory:
            comment = None
        code = code_of(code)
        found += functions(code)
        page.verbatim(code)
        if comment:
            described(page, comment)
    page.section("SEE ALSO")
    page.lines.append(".BR exo-cc (1), .BR exo (7)".replace(", .BR ", " ,\n.BR ").replace("(1) ,", "(1),"))
    return page.text(), list(dict.fromkeys(found))


# --- all -----------------------------------------------------------------------------------------------------

def main():
    top, out, headers = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    version = re.search(r"AC_INIT\(\[[^]]*\], \[([^]]+)\]", (top / "configure.ac").read_text()).group(1)
    date = "2026-11-22"
    calls = CALL.findall((top / "include/exo/call.h").read_text())
    errors = ERROR.findall((top / "include/exo/error.h").read_text())
    made = {"man2/exo_calls.2": calls_page(calls, errors, date, version)}
    for call in calls:
        made["man2/exo_%s.2" % call[1]] = call_page(top, call, date, version, [other[1] for other in calls])
    for header in headers:
        name = page_name(header)
        made["man3/%s.3" % name], names = header_page(top, header, date, version)
        for function in names:
            made.setdefault("man3/%s.3" % function, ".so man3/%s.3\n" % name)
    for folder in ("man2", "man3"):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for old in (out / folder).iterdir():
            if "%s/%s" % (folder, old.name) not in made:
                old.unlink()
    for path, text in made.items():
        (out / path).write_text(text)


main()
