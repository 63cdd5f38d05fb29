# SPDX-License-Identifier: BSD-2-Clause
"""Completion of command lines for bash and zsh, made from the verbs' own tables of options and their help pages.

A verb's options come from its table; words that a value can be, from the table too (a reader of values with the attribute
`known`); the words that can stand behind a verb, from its usage lines (`exo disk create ...`). So a new verb, option or word is
completed without a change here. Names of programs are asked of exo when they are wanted.
"""

import re

from . import helptext, labs, tree
from .util import ExoError, nearest_mend

SHELLS = ("bash", "zsh")
PROGRAMS = ("run", "image", "compare")  # verbs that take a program
NAMES = {"lab": labs.EXPERIMENTS}       # names of things that a verb takes


def subverbs(verb):
    """Words that can stand right behind a verb."""
    usage = helptext.PAGES[verb][0].split("\n\n")[0]
    words = re.findall(r"exo %s ((?:[a-z][a-z-]*)(?: \| [a-z][a-z-]*)*)(?=\s|$)" % verb, usage)
    return list(dict.fromkeys([word for group in words for word in group.split(" | ")] + list(NAMES.get(verb, ()))))


def known(option):
    """The words that an option's value can be."""
    return [str(word) for word in getattr(option.parse, "known", None) or ()]


def bash(tables, verbs):
    lines = ["# bash completion for exo and exo-cc. Made by: exo completion bash", "",
             "_exo() {", "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} words=",
             "\tCOMPREPLY=()",
             "\tif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi",
             "\tif [ \"$cur\" = = ]; then cur=; fi",
             "\tif [ \"$COMP_CWORD\" = 1 ]; then",
             "\t\tCOMPREPLY=($(compgen -W '%s --help --version' -- \"$cur\"))" % " ".join(verbs), "\t\treturn", "\tfi",
             "\tcase \"$verb $prev\" in"]
    for verb in verbs:
        for option in tables[verb]:
            if option.meta is None:
                continue
            pattern = "|".join("'%s %s'" % (verb, name) for name in option.names)
            words = known(option)
            lines.append("\t%s) %sreturn ;;" % (pattern, "COMPREPLY=($(compgen -W '%s' -- \"$cur\")); " % " ".join(words)
                                               if words else ""))
    lines += ["\tesac", "\tcase $verb in"]
    for verb in verbs:
        words = list(verbs) if verb == "help" else subverbs(verb)
        options = [name for option in tables[verb] for name in option.names]
        lines.append("\t%s)" % verb)
        lines.append("\t\tcase $cur in")
        lines.append("\t\t-*) words='%s' ;;" % " ".join(options))
        if words:
            lines.append("\t\t*) [ \"$COMP_CWORD\" != 2 ] || words='%s' ;;" % " ".join(words))
        elif verb in PROGRAMS:
            lines.append("\t\t*/*) ;;")
            lines.append("\t\t*) words=$(\"${COMP_WORDS[0]}\" completion programs 2>/dev/null) ;;")
        lines += ["\t\tesac", "\t\t;;"]
    lines += ["\tesac", "\tif [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")); fi", "}",
              "complete -o bashdefault -o default -F _exo exo", "",
              "_exo_cc() {", "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}", "\tCOMPREPLY=()",
              "\tif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi",
              "\tif [ \"$cur\" = = ]; then cur=; fi",
              "\tcase $prev in",
              "\t--libos) COMPREPLY=($(compgen -W '%s bare core none' -- \"$cur\")); return ;;" % " ".join(tree.KNOWN_LIBOS),
              "\t--fs) COMPREPLY=($(compgen -W 'memory ext2 cofs common none' -- \"$cur\")); return ;;", "\tesac",
              "\tcase $cur in", "\t-*) COMPREPLY=($(compgen -W '--libos= --fs= --dry-run --help' -- \"$cur\")); compopt -o nospace ;;",
              "\tesac", "}", "complete -o bashdefault -o default -F _exo_cc exo-cc"]
    return "\n".join(lines)


def _zsh_text(text):
    return re.sub(r"([\[\]:'\\])", lambda m: "'\\''" if m.group(1) == "'" else "\\" + m.group(1), " ".join(text.split()))


def _zsh_option(option):
    action = ""
    if option.meta is not None:
        words = known(option)
        action = ":%s:%s" % (_zsh_text(option.meta), "(%s)" % " ".join(words) if words else "_files")
    many = "*" if option.many else "(%s)" % " ".join(option.names)
    optional = option.optional or option.meta is None
    return ["'%s%s[%s]%s'" % (many, name + ("" if optional else "+" if len(name) == 2 else "="), _zsh_text(option.text), action)
            for name in option.names]


def zsh(tables, verbs):
    lines = ["#compdef exo", "# zsh completion for exo. Made by: exo completion zsh", "", "_exo() {", "\tlocal -a verbs", "\tverbs=("]
    about = dict(re.findall(r"(?m)^  ([a-z]+)\s+(\S.*)$", helptext.TOP))
    lines += ["\t\t'%s:%s'" % (verb, _zsh_text(about.get(verb, verb))) for verb in verbs]
    lines += ["\t)", "\tif (( CURRENT == 2 )); then", "\t\t_describe verb verbs", "\t\treturn", "\tfi", "\tlocal verb=$words[2]",
              "\tshift words", "\t(( CURRENT-- ))", "\tcase $verb in"]
    for verb in verbs:
        words = list(verbs) if verb == "help" else subverbs(verb)
        lines += ["\t%s)" % verb, "\t\t_arguments -s -S \\"]
        lines += ["\t\t\t%s \\" % spec for option in tables[verb] for spec in _zsh_option(option)]
        if words:
            lines += ["\t\t\t'1:word:(%s)' \\" % " ".join(words)]
        elif verb in PROGRAMS:
            lines += ["\t\t\t'1:program:_exo_programs' \\"]
        lines += ["\t\t\t'*:file:_files'", "\t\t;;"]
    lines += ["\tesac", "}", "", "_exo_programs() {", "\t_alternative 'programs:program:($(exo completion programs 2>/dev/null))' "
              "'files:file:_files'", "}", "", "_exo \"$@\""]
    return "\n".join(lines)


def programs():
    """Names of the programs that come with Exo, one a line."""
    return "\n".join(sorted({name for name, libos in tree.find().programs()}))


def make(words, tables, verbs):
    """What the verb prints."""
    if len(words) != 1 or words[0] not in SHELLS + ("programs",):
        raise ExoError("exo completion%s" % "".join(" " + word for word in words), "needs the name of a shell",
                       nearest_mend(words[0], SHELLS) if words else "write exo completion bash, or exo completion zsh")
    return programs() if words[0] == "programs" else {"bash": bash, "zsh": zsh}[words[0]](tables, list(verbs))
