/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a configuration says of disks: extents, mounts, shares. Values are taken apart in the reader's buffer.
 *
 * An extent that a program may write is nobody else's, unless all that have it say `shared`. A mount brings its extent
 * with it if no key `extent` gives the program one of that name.
 */
#include <string.h>

#include "apps/init/conf_parts.h"

#define WORDS_MAX	8

/* Names that capabilities of every program may have. */
static const char *const reserved[] = { "account", "archive", "blocks0", "blocks1", "blocks2", "blocks3", "console",
	"directory", "disk0", "disk1", "disk2", "disk3", "env", "info", "interrupts", "machine", "module", "net0", "netinfo",
	"ports", "self", "space", "video", NULL };

/* Cut a value into words at blanks; how many, at most WORDS_MAX: what is beyond is left in the last one. */
static unsigned words_of(char *value, char **word)
{
	unsigned count = 0;

	while (*value) {
		word[count++] = value;
		if (count == WORDS_MAX)
			break;
		value += strcspn(value, " \t");
		while (*value == ' ' || *value == '\t')
			*value++ = 0;
	}
	return count;
}

static int fail_name(struct reader *r, const char *at, const char *name, const char *what)
{
	conf_fail_value(r, at, what);
	conf_append(r->error, "; write extent = ", 17);
	conf_append(r->error, name, strlen(name));
	return conf_append(r->error, " as NAME", 8), -1;
}

static int check_name(struct reader *r, const char *at, const char *label, const char *name)
{
	if (!conf_is_name(name))
		return conf_fail_value(r, at, "is not a name: letters, digits, . _ + -");
	if (strlen(name) > CONF_EXTENT_NAME_MAX)
		return fail_name(r, at, label, "is too long a name for a capability, which may have 15 letters");
	for (unsigned i = 0; reserved[i]; i++)
		if (!strcmp(name, reserved[i]))
			return fail_name(r, at, label, "is the name of another capability");
	return 0;
}

/* LABEL [read-only] [shared] [as NAME] */
int conf_extent(struct reader *r, char *value)
{
	static const char *const known[] = { "read-only", "shared", "as", NULL };
	struct conf_program *p = conf_current(r);
	struct conf_extent *extent = &p->extent[p->extent_count];
	char *word[WORDS_MAX];
	unsigned count = words_of(value, word);

	if (p->extent_count == CONF_EXTENTS_MAX)
		return conf_fail(r, value, "too many extents for one program", NULL, NULL, NULL);
	if (!conf_is_name(word[0]))
		return conf_fail_value(r, word[0], "is not a label: letters, digits, . _ + -; or name the extent by its UUID");
	*extent = (struct conf_extent){ .label = word[0], .name = word[0], .line = r->line };
	for (unsigned i = 1; i < count; i++) {
		int which = conf_take_word(r, word[i], "unknown word ", known);
		if (which < 0)
			return -1;
		if (which == 2 && ++i == count)
			return conf_fail(r, word[i - 1], "a name is missing behind as", NULL, NULL, NULL);
		extent->read_only |= which == 0;
		extent->shared |= which == 1;
		extent->name = which == 2 ? word[i] : extent->name;
	}
	for (unsigned i = 0; i < p->extent_count; i++) {
		if (!strcmp(p->extent[i].name, extent->name))
			return conf_fail_twice(r, value, "extent ", extent->name, p->extent[i].line);
		if (!strcmp(p->extent[i].label, extent->label))
			return conf_fail_twice(r, value, "extent ", extent->label, p->extent[i].line);
	}
	p->extent_count++;
	return check_name(r, extent->name, extent->label, extent->name);
}

static int is_option(const char *options, const char *word)
{
	size_t bytes = strlen(word);

	for (; *options; options += options[0] == ',') {
		size_t len = strcspn(options, ",");
		if (len == bytes && !memcmp(options, word, bytes))
			return 1;
		options += len;
	}
	return 0;
}

/* /PATH KIND [extent:NAME | share:NAME/DOMAIN] [OPTIONS] */
int conf_mount(struct reader *r, char *value)
{
	static const char says[] = "is not /PATH KIND [extent:NAME | share:NAME/DOMAIN] [OPTIONS]; write for example /data ext2 extent:data";
	static const char *const kinds[] = { "cofs", "common", "ext2", "memory", NULL };
	struct conf_program *p = conf_current(r);
	struct conf_mount *mount = &p->mount[p->mount_count];
	char *word[WORDS_MAX];
	unsigned count = words_of(value, word), next = 2;

	if (p->mount_count == CONF_MOUNTS_MAX)
		return conf_fail(r, value, "too many mounts for one program", NULL, NULL, NULL);
	if (count < 2 || count > 4)
		return conf_fail_value(r, value, says);
	if (conf_check_path(r, word[0]))
		return -1;
	int kind = conf_take_word(r, word[1], "unknown file system ", kinds);
	if (kind < 0)
		return -1;
	*mount = (struct conf_mount){ .path = word[0], .kind = word[1], .options = "" };
	if (next < count && !strncmp(word[next], "extent:", 7))
		mount->extent = word[next++] + 7;
	if (kind == 1 && !mount->extent && next < count && !strncmp(word[next], "share:", 6) && strchr(word[next], '/')) {
		mount->extent = word[next++] + 6;
		mount->share = strchr(mount->extent, '/') + 1;
		*strchr(mount->extent, '/') = '\0';
	}
	if (next < count)
		mount->options = word[next++];
	if (next < count)
		return conf_fail_value(r, word[2], says);
	if (kind < 3 && !mount->extent)
		return conf_fail(r, word[1], word[1], " needs an extent; write for example ", word[0], " ext2 extent:data");
	if (kind >= 3 && mount->extent)
		return conf_fail(r, word[2], word[1], " has no extent", NULL, NULL);
	for (unsigned i = 0; i < p->mount_count; i++)
		if (!strcmp(p->mount[i].path, mount->path))
			return conf_fail_twice(r, value, "mount ", mount->path, 0);
	r->mount_line[r->c->count - 1] = r->line;
	p->mount_count++;
	return 0;
}

int conf_disk(struct reader *r, char *value)
{
	static const char *const known[] = { "none", "read-only", "whole", NULL };
	int disk = conf_take_word(r, value, "unknown word ", known);

	conf_current(r)->disk = disk < 0 ? CONF_DISK_NONE : (enum conf_disk)disk;
	return disk < 0 ? -1 : 0;
}

int conf_disk_shares(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_DISK_SHARES, &conf_current(r)->disk_shares);
}

/* The extents of mounts that have none yet. Told at the last mount. */
static int imply(struct reader *r, unsigned number)
{
	struct conf_program *p = &r->c->program[number];

	r->line = r->mount_line[number];
	for (unsigned i = 0; i < p->mount_count; i++) {
		const char *name = p->mount[i].extent;
		unsigned j = 0;
		while (name && j < p->extent_count && strcmp(p->extent[j].name, name))
			j++;
		if (!name || j < p->extent_count)
			continue;
		if (j == CONF_EXTENTS_MAX)
			return conf_fail(r, r->line_start, "too many extents for one program", NULL, NULL, NULL);
		if (check_name(r, r->line_start, name, name))
			return -1;
		p->extent[p->extent_count++] = (struct conf_extent){ .label = name, .name = name, .line = r->line,
			.read_only = (uint8_t)is_option(p->mount[i].options, "ro"), .by_share = p->mount[i].share != NULL };
	}
	return 0;
}

int conf_check_disks(struct reader *r, unsigned number)
{
	struct conf_program *p = &r->c->program[number];
	const char *here = r->line_start;

	if (imply(r, number))
		return -1;
	r->line = p->line;
	if (p->disk_shares && !p->extent_count && p->disk == CONF_DISK_NONE)
		return conf_fail(r, here, "program ", p->name, " has disk_shares, but no extent", NULL);
	for (unsigned i = 0; i < p->extent_count; i++)
		for (const struct conf_program *q = r->c->program; q < p; q++)
			for (unsigned j = 0; j < q->extent_count; j++) {
				const struct conf_extent *one = &q->extent[j], *other = &p->extent[i];
				if (strcmp(one->label, other->label) || (one->read_only && other->read_only) ||
				    (one->shared && other->shared) || one->by_share || other->by_share)
					continue;
				r->line = other->line;
				conf_fail(r, here, "extent ", one->label, " is program ", q->name);
				conf_append(r->error, "'s already; both must say read-only, or both shared", 51);
				return -1;
			}
	return 0;
}
