/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "test/fs/workloads.h"

#define RANDOM_OPS	40

const struct workload workloads[] = {
	{ "create-fsync", "create /a 420; write /a 0 5000 1; fsync /a; create /b 420; write /b 0 100 2; fsync /b; unlink /a; fsync /b" },
	{ "replace", "create /f 420; write /f 0 6000 1; fsync /f | create /f.new 420; write /f.new 0 6000 2; fsync /f.new; "
	    "rename /f.new /f; sync; create /f.new 420; write /f.new 0 9000 3; fsync /f.new; rename /f.new /f" },
	{ "replace-unsynced", "create /f 420; write /f 0 6000 1; sync | create /f.new 420; write /f.new 0 6000 2; rename /f.new /f; "
	    "create /f.new 420; write /f.new 0 60 3; rename /f.new /f; fsync /f" },
	{ "append", "create /log 384 | write /log 0 1000 1; fsync /log; write /log 1000 1000 2; fsync /log; write /log 2000 5000 3; "
	    "fdatasync /log; write /log 7000 100 4; fdatasync /log; write /log 7100 20000 5; fsync /log" },
	{ "overwrite", "create /db 384; write /db 0 60000 1 | write /db 4096 4096 2; fsync /db; write /db 100 30 3; write /db 9000 9000 4; "
	    "fdatasync /db; write /db 0 60000 5; fsync /db; write /db 4000 200 6; fsync /db" },
	{ "truncate", "create /t 420; write /t 0 50000 1 | truncate /t 10000; fsync /t; truncate /t 30000; write /t 29000 3000 2; fsync /t; "
	    "truncate /t 0; fsync /t; write /t 0 4096 3; truncate /t 100; truncate /t 5000; sync" },
	{ "rename-directories", "mkdir /d 493; mkdir /e 493; create /d/a 420; write /d/a 0 3000 1 | rename /d /e/d; fsync /e; "
	    "rename /e/d/a /b; rename /e/d /d; mkdir /d/x 493; rename /d/x /e/x; sync; rename /b /e/x/b; rename /e /d/e; fsync /d" },
	{ "rename-over", "create /a 420; create /b 420; write /a 0 5000 1; write /b 0 5000 2; mkdir /d 493; mkdir /e 493 | rename /a /b; "
	    "fsync /b; rename /d /e; link /b /c; rename /c /e/c; create /x 420; rename /x /e/c; sync" },
	{ "links", "create /a 420; write /a 0 100 1 | link /a /b; fsync /a; link /a /c; unlink /a; fsync /b; unlink /b; link /c /a; "
	    "unlink /c; sync; unlink /a" },
	{ "symlinks", "symlink /s 5 40; fsync /; symlink /t 9 3000; sync; unlink /s; symlink /s 6 60; rename /s /t; fsync /" },
	{ "directories", "mkdir /d 493; mkdir /d/e 493; mkdir /d/e/f 493; sync; rmdir /d/e/f; rmdir /d/e; fsync /d; mkdir /d/e 493; "
	    "create /d/e/a 420; fsync /d/e/a; unlink /d/e/a; rmdir /d/e; rmdir /d; sync" },
	{ "many-names", "mkdir /d 493; sync | create /d/La 1; create /d/Lb 2; create /d/Lc 3; create /d/Ld 4; create /d/Le 5; "
	    "create /d/Lf 6; create /d/Lg 7; create /d/Lh 8; create /d/Li 9; create /d/Lj 10; create /d/Lk 11; create /d/Ll 12; "
	    "create /d/Lm 13; create /d/Ln 14; create /d/Lo 15; create /d/Lp 16; create /d/Lq 17; fsync /d; unlink /d/Ld; "
	    "unlink /d/Le; unlink /d/Lf; rename /d/Lq /d/Lr; sync; unlink /d/Lr; create /d/Ls 18; fsync /d/Ls" },
	{ "holes", "create /h 420; write /h 200000 10 1; fsync /h; write /h 100000 5000 2; fsync /h; write /h 4096 4096 3; sync; "
	    "truncate /h 100500; fsync /h; write /h 300000 9000 4; truncate /h 301000; sync" },
	{ "large", "create /l 420; write /l 0 300000 1; fsync /l; write /l 100000 200000 2; sync; truncate /l 1000; write /l 1000 150000 3; "
	    "fsync /l; unlink /l; create /m 420; write /m 0 250000 4; fsync /m" },
	{ "small-files", "create /a 420; write /a 0 50 1; create /b 420; write /b 0 60 2; create /c 420; write /c 0 70 3; sync; "
	    "write /a 0 50 4; write /b 60 60 5; truncate /c 10; fsync /a; create /d 420; write /d 0 1900 6; fsync /d; "
	    "write /d 1900 200 7; fsync /d; write /d 100 20 8; truncate /d 500; sync" },
	{ "attributes", "create /a 420; sync; chmod /a 384; fsync /a; chown /a 1000 1000; touch /a 1234567890; fsync /a; chmod /a 511; sync; "
	    "mkdir /d 448; chmod /d 493; chown /d 5 6; fsync /d" },
	{ "reuse", "create /a 420; write /a 0 100000 1; sync; unlink /a; create /b 420; write /b 0 100000 2; fsync /b; unlink /b; "
	    "create /c 420; write /c 0 50000 3; create /d 420; write /d 0 50000 4; fsync /c; unlink /c; write /d 50000 50000 5; sync" },
	{ "open-unlinked", "create /a 420; write /a 0 20000 1; create /b 420 | hold /a 1; unlink /a; fsync #1; write #1 0 30000 2; fsync #1; "
	    "write /b 0 3000 3; fsync /b; put 1; create /c 420; write /c 0 20000 4; sync" },
	{ "pages", "create /p 420; write /p 0 40000 1; sync; pagewrite /p 4096 4096 2; fsync /p; pagewrite /p 10000 500 3; "
	    "pagewrite /p 39000 1000 4; fsync /p; truncate /p 9000; pagewrite /p 8500 400 5; sync" },
	{ "clone", "create /a 420; write /a 0 50000 1; sync | clone /a /b; fsync /b; write /b 0 5000 2; fsync /b; write /a 20000 9000 3; "
	    "clone /b /c; unlink /a; sync; truncate /b 100; unlink /c; fsync /b" },
	{ "mixed-fsync", "create /a 420; create /b 420; mkdir /d 493; sync | write /a 0 9000 1; write /b 0 9000 2; fsync /a; write /a 9000 500 3; "
	    "create /d/x 420; write /d/x 0 500 4; fsync /b; rename /d/x /d/y; write /b 100 100 5; fsync /d/y; unlink /d/y; fsync /a" },
	{ "fsync-often", "create /a 420; fsync /a; write /a 0 10 1; fsync /a; write /a 10 10 2; fsync /a; write /a 20 10 3; fsync /a; "
	    "write /a 30 10 4; fsync /a; write /a 40 10 5; fsync /a; write /a 50 10 6; fsync /a; write /a 60 10 7; fsync /a; "
	    "write /a 70 10 8; fsync /a; write /a 80 10 9; fsync /a; write /a 90 10 10; fsync /a; write /a 100 10 11; fsync /a" },
	{ "remounts", "create /a 420; write /a 0 5000 1; remount; write /a 5000 5000 2; mkdir /d 493; remount; rename /a /d/a; remount; "
	    "unlink /d/a; rmdir /d; create /z 420; write /z 0 40000 3; remount" },
	{ "mail", "mkdir /new 493; mkdir /tmp 493; sync | create /tmp/1 384; write /tmp/1 0 3000 1; fsync /tmp/1; link /tmp/1 /new/1; "
	    "unlink /tmp/1; create /tmp/2 384; write /tmp/2 0 12000 2; fsync /tmp/2; rename /tmp/2 /new/2; fsync /new; unlink /new/1; "
	    "create /tmp/3 384; write /tmp/3 0 700 3; fsync /tmp/3; rename /tmp/3 /new/3; fsync /new" },
};
const unsigned workload_count = sizeof(workloads) / sizeof(workloads[0]);

void script_random(struct script *script, uint64_t seed, const struct kind *kind)
{
	struct op_random random = { .state = seed, .tree = 55, .names = 5, .syncs = true, .slots = seed % 2,
		.bytes_max = seed % 3 ? 30000 : 120000, .clone = kind->clone, .fifo = kind->fifo };

	script->count = script->first = 0;
	while (script->count < RANDOM_OPS) {
		struct op *op = &script->ops[script->count];

		op_any(&random, op);
		if (op->kind == OP_LIST_CHANGE || op->kind == OP_READ || op->kind == OP_STAT || op->kind == OP_LIST)
			continue;
		/* Promises at every tenth, or so. */
		if (op_pick(&random, 12) == 0)
			*op = (struct op){ .kind = op_pick(&random, 3) ? OP_FSYNC : OP_SYNC, .a = "/" };
		script->count++;
	}
}

bool script_written(struct script *script, const char *text, const struct kind *kind)
{
	const char *bar = strchr(text, '|');
	char copy[4000];
	const char *at = copy;
	int more;

	strcpy(copy, text);
	if (bar)
		copy[bar - text] = ';';
	script->count = script->first = 0;
	while ((more = op_parse(&at, &script->ops[script->count])) > 0) {
		if (bar && !script->first && at - copy > bar - text) {
			script->ops[script->count + 1] = script->ops[script->count];
			script->ops[script->count++] = (struct op){ .kind = OP_SYNC };
			script->first = script->count;
		}
		if (script->ops[script->count].kind != OP_CLONE || kind->clone)
			script->count++;
	}
	return !more;
}
