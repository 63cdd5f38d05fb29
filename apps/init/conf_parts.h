/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the configuration's reader share: conf.c reads lines, sections and keys, and checks what
 * no line alone can show; conf_keys.c has the tables of keys and reads their values, but for those of
 * disks, which are conf_disk.c's.
 */
#ifndef APPS_INIT_CONF_PARTS_H
#define APPS_INIT_CONF_PARTS_H

#include "apps/init/conf.h"

#define CONF_UNSAID	(-1)	/* of randomize, until the machine's is known */

struct reader {
	struct conf *c;
	struct conf_error *error;
	char *line_start;
	unsigned line;
	enum { IN_NONE, IN_MACHINE, IN_PROGRAM } section;
	uint64_t seen;			/* keys of this section that have stood, by number in their table */
	unsigned marked_line, own_line;	/* where "main = yes" and "net = own" stand; 0: nowhere */
	unsigned demand_line[CONF_PROGRAMS_MAX];	/* of the last "demand" of each program */
	unsigned observe_line[CONF_PROGRAMS_MAX];	/* of the last "observe" */
	unsigned mount_line[CONF_PROGRAMS_MAX];		/* of the last "mount" */
	unsigned use_line[CONF_PROGRAMS_MAX];		/* of the last "use" */
};

#define KEY_MANY	1	/* may be repeated */
#define KEY_EMPTY	2	/* may have no value */

/* A key: its name and how to take its value, which returns 0, or -1 with the error told. */
struct key {
	const char *name;
	int flags;
	int (*take)(struct reader *r, char *value);
};

/* The tables of keys; an entry without a name ends them. */
extern const struct key conf_machine_keys[], conf_program_keys[];
#define CONF_KEYS_MAX	40	/* of either */

/* Add to an error's text, which is always cut to the record. */
void conf_append(struct conf_error *e, const char *text, size_t len);
void conf_append_number(struct conf_error *e, unsigned n);
/* Tell an error at a place in the current line, in up to four pieces (NULL ends them). All return -1. */
int conf_fail(struct reader *r, const char *at, const char *a, const char *b, const char *c, const char *d);
/* The value, in quotes, and what is wrong with it. */
int conf_fail_value(struct reader *r, const char *value, const char *text);
/* A word that is not known, and the nearest of those that are. */
int conf_fail_unknown(struct reader *r, const char *at, const char *what, const char *word,
		      const char *const *known);
int conf_fail_twice(struct reader *r, const char *at, const char *what, const char *name, unsigned first);

/* A whole number from 1 to max. */
int conf_take_count(struct reader *r, char *value, unsigned max, unsigned *count);
/* One of a NULL-terminated list of words, as its number; -1 with the error told. */
int conf_take_word(struct reader *r, char *value, const char *what, const char *const *known);
/* Whether it is an absolute directory without ".." components; 0, or -1 with the error told. */
int conf_check_path(struct reader *r, char *value);

/* conf_disk.c: keys, and what no line alone shows of program `number`: names, and who has the same extents. */
int conf_extent(struct reader *r, char *value);
int conf_mount(struct reader *r, char *value);
int conf_disk(struct reader *r, char *value);
int conf_disk_shares(struct reader *r, char *value);
int conf_check_disks(struct reader *r, unsigned number);

/* The program whose section is read. */
struct conf_program *conf_current(struct reader *r);
/* Whether it is a program's name: letters, digits, . _ + -, not beginning with one of . + - */
int conf_is_name(const char *s);

#endif
