/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fs/model.h"
#include "test/lib/hostdisk.h"

static void *must(void *memory)
{
	if (!memory) {
		perror("model");
		exit(2);
	}
	return memory;
}

void answer_add(struct answer *answer, const void *bytes, size_t count)
{
	if (answer->count + count > answer->max) {
		hostdisk_own++;
		answer->max = (answer->count + count) * 2 + 256;
		answer->bytes = must(realloc(answer->bytes, answer->max));
		hostdisk_own--;
	}
	if (count)
		memcpy(answer->bytes + answer->count, bytes, count);
	answer->count += count;
}

void answer_say(struct answer *answer, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	answer_add(answer, text, (size_t)vsnprintf(text, sizeof(text), format, args));
	va_end(args);
}

static void page_put(struct model_page *page)
{
	if (page && --page->users == 0)
		free(page);
}

static void node_put(struct model_node *node)
{
	if (!node || --node->users)
		return;
	for (uint32_t i = 0; i < node->page_count; i++)
		page_put(node->pages[i].page);
	for (uint32_t i = 0; i < node->entry_count; i++)
		free(node->entries[i].name);
	free(node->pages);
	free(node->entries);
	free(node->target);
	free(node);
}

/* The node, to change it. */
static struct model_node *own(struct model *model, uint32_t number)
{
	struct model_node *node = model->nodes[number], *copy;

	if (node->users == 1)
		return node;
	copy = must(malloc(sizeof(*copy)));
	*copy = *node;
	copy->users = 1;
	copy->pages = must(malloc(sizeof(*copy->pages) * (node->page_max + 1)));
	copy->entries = must(malloc(sizeof(*copy->entries) * (node->entry_max + 1)));
	for (uint32_t i = 0; i < node->page_count; i++) {
		copy->pages[i] = node->pages[i];
		copy->pages[i].page->users++;
	}
	for (uint32_t i = 0; i < node->entry_count; i++)
		copy->entries[i] = (struct model_entry){ must(strdup(node->entries[i].name)), node->entries[i].node };
	copy->target = node->target ? must(strdup(node->target)) : NULL;
	node->users--;
	return model->nodes[number] = copy;
}

static uint32_t node_new(struct model *model, unsigned kind)
{
	struct model_node *node = must(calloc(1, sizeof(*node)));

	*node = (struct model_node){ .users = 1, .kind = (uint8_t)kind, .links = 1, .modified = model->now };
	if (model->node_count == model->node_max) {
		model->node_max = model->node_max ? model->node_max * 2 : 64;
		model->nodes = must(realloc(model->nodes, sizeof(*model->nodes) * model->node_max));
	}
	model->nodes[model->node_count] = node;
	return model->node_count++;
}

struct model *model_make(void)
{
	struct model *model = must(calloc(1, sizeof(*model)));

	for (unsigned i = 0; i < OP_SLOTS; i++)
		model->slot[i] = -1;
	model->nodes = NULL;
	node_new(model, FS_DIRECTORY);
	model->nodes[0]->mode = 0755;
	model->nodes[0]->modified = -1;
	return model;
}

struct model *model_copy(const struct model *model)
{
	struct model *copy = must(malloc(sizeof(*copy)));

	*copy = *model;
	copy->nodes = must(malloc(sizeof(*copy->nodes) * model->node_max));
	for (uint32_t i = 0; i < model->node_count; i++) {
		copy->nodes[i] = model->nodes[i];
		if (copy->nodes[i])
			copy->nodes[i]->users++;
	}
	return copy;
}

void model_end(struct model *model)
{
	for (uint32_t i = 0; i < model->node_count; i++)
		node_put(model->nodes[i]);
	free(model->nodes);
	free(model);
}

const struct model_entry *model_entry(const struct model_node *directory, const char *name)
{
	for (uint32_t i = 0; i < directory->entry_count; i++)
		if (!strcmp(directory->entries[i].name, name))
			return &directory->entries[i];
	return NULL;
}

/* Walk to the directory of the last component if `last` is given, else to the end. */
static int64_t walk(const struct model *model, const char *path, char *last, size_t *last_bytes)
{
	int64_t at = 0;
	char name[260];

	if (*path == '#') {
		at = model->slot[path[1] - '0'];
		if (at < 0)
			return MODEL_SKIP;
		path += 2;
	}
	path += *path == '/';
	if (last && !*path)
		return MODEL_SKIP;
	while (*path) {
		size_t bytes = strcspn(path, "/"), full = op_name(path, bytes, name);
		const struct model_node *node = model->nodes[at];
		const struct model_entry *entry;

		path += bytes + (path[bytes] == '/');
		if (last && !*path) {
			memcpy(last, name, full + 1);
			*last_bytes = full;
			break;
		}
		if (node->kind != FS_DIRECTORY)
			return -ENOTDIR;
		if (full > FS_NAME_MAX)
			return -ENAMETOOLONG;
		entry = model_entry(node, name);
		if (!entry)
			return -ENOENT;
		at = entry->node;
	}
	return at;
}

int64_t model_find(const struct model *model, const char *path)
{
	return walk(model, path, NULL, NULL);
}

int64_t model_find_parent(const struct model *model, const char *path, char name[260], size_t *bytes)
{
	return walk(model, path, name, bytes);
}

static void entry_add(struct model *model, uint32_t directory, const char *name, uint32_t node)
{
	struct model_node *d = own(model, directory);

	if (d->entry_count == d->entry_max) {
		d->entry_max = d->entry_max ? d->entry_max * 2 : 8;
		d->entries = must(realloc(d->entries, sizeof(*d->entries) * d->entry_max));
	}
	d->entries[d->entry_count++] = (struct model_entry){ must(strdup(name)), node };
	d->modified = model->now;
}

static void entry_remove(struct model *model, uint32_t directory, const char *name)
{
	struct model_node *d = own(model, directory);
	struct model_entry *entry = (struct model_entry *)model_entry(d, name);

	free(entry->name);
	*entry = d->entries[--d->entry_count];
	d->modified = model->now;
}

static void maybe_gone(struct model *model, uint32_t number)
{
	struct model_node *node = model->nodes[number];

	if (!node->links && !node->holds) {
		node_put(node);
		model->nodes[number] = NULL;
	}
}

static void unlinked(struct model *model, uint32_t number, uint32_t directory)
{
	struct model_node *node = own(model, number);

	node->links--;
	if (node->kind == FS_DIRECTORY)
		own(model, directory)->dirs--;
	maybe_gone(model, number);
}

const struct model_page *model_page(const struct model_node *node, uint64_t index)
{
	for (uint32_t i = 0; i < node->page_count; i++)
		if (node->pages[i].index == index)
			return node->pages[i].page;
	return NULL;
}

/* A page, to change it. */
static uint8_t *own_page(struct model_node *node, uint64_t index)
{
	uint32_t i = 0;

	while (i < node->page_count && node->pages[i].index < index)
		i++;
	if (i == node->page_count || node->pages[i].index != index) {
		if (node->page_count == node->page_max) {
			node->page_max = node->page_max ? node->page_max * 2 : 8;
			node->pages = must(realloc(node->pages, sizeof(*node->pages) * node->page_max));
		}
		memmove(node->pages + i + 1, node->pages + i, sizeof(*node->pages) * (node->page_count - i));
		node->page_count++;
		node->pages[i].index = index;
		node->pages[i].page = must(calloc(1, sizeof(struct model_page)));
		node->pages[i].page->users = 1;
	} else if (node->pages[i].page->users > 1) {
		struct model_page *copy = must(malloc(sizeof(*copy)));

		*copy = *node->pages[i].page;
		copy->users = 1;
		node->pages[i].page->users--;
		node->pages[i].page = copy;
	}
	return node->pages[i].page->bytes;
}

void model_bytes(const struct model_node *node, uint64_t at, void *bytes, size_t count)
{
	uint8_t *to = bytes;

	while (count) {
		size_t in = at % BLOCK_BYTES, here = BLOCK_BYTES - in < count ? BLOCK_BYTES - in : count;
		const struct model_page *page = model_page(node, at / BLOCK_BYTES);

		if (page)
			memcpy(to, page->bytes + in, here);
		else
			memset(to, 0, here);
		to += here;
		at += here;
		count -= here;
	}
}

static void put_bytes(struct model_node *node, uint64_t at, uint64_t value, uint64_t count)
{
	while (count) {
		size_t in = at % BLOCK_BYTES, here = BLOCK_BYTES - in < count ? BLOCK_BYTES - in : count;

		op_fill(own_page(node, at / BLOCK_BYTES) + in, value, at, here);
		at += here;
		count -= here;
	}
}

static void set_size(struct model_node *node, uint64_t size)
{
	uint32_t keep = 0;

	while (keep < node->page_count && node->pages[keep].index * BLOCK_BYTES < size)
		keep++;
	for (uint32_t i = keep; i < node->page_count; i++)
		page_put(node->pages[i].page);
	node->page_count = keep;
	if (size < node->size && keep && node->pages[keep - 1].index == size / BLOCK_BYTES) {
		size_t in = size % BLOCK_BYTES;

		memset(own_page(node, size / BLOCK_BYTES) + in, 0, BLOCK_BYTES - in);
	}
	node->size = size;
}

/* What can go wrong with a new name. */
static int64_t may_add(const struct model *model, int64_t directory, const char *name, size_t bytes)
{
	const struct model_node *d;

	if (directory < 0)
		return directory;
	d = model->nodes[directory];
	if (d->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (bytes > FS_NAME_MAX)
		return -ENAMETOOLONG;
	if (model_entry(d, name))
		return -EEXIST;
	return d->links ? 0 : -ENOENT;
}

static int64_t create(struct model *model, const struct op *op, struct answer *answer, bool dry)
{
	static const uint8_t kinds[] = { [OP_CREATE] = FS_FILE, [OP_MKDIR] = FS_DIRECTORY, [OP_SYMLINK] = FS_SYMLINK,
		[OP_FIFO] = FS_FIFO };
	char name[260], target[FS_LINK_MAX + 1];
	size_t bytes;
	int64_t directory = model_find_parent(model, op->a, name, &bytes);
	int64_t error = may_add(model, directory, name, bytes);
	struct model_node *node;
	uint32_t number;

	if (error || dry)
		return error;
	number = node_new(model, kinds[op->kind]);
	node = model->nodes[number];
	node->mode = op->kind == OP_SYMLINK ? 0777 : (uint16_t)(op->n[0] & 07777);
	node->uid = (uint32_t)(op->n[0] % 7);
	node->gid = (uint32_t)(op->n[0] % 5);
	if (op->kind == OP_SYMLINK) {
		op_target(target, op->n[0], op->n[1]);
		node->target = must(strdup(target));
		node->size = op->n[1];
	}
	node->parent = (uint32_t)directory;
	entry_add(model, (uint32_t)directory, name, number);
	if (op->kind == OP_MKDIR)
		own(model, (uint32_t)directory)->dirs++;
	answer->node = number;
	return 0;
}

static int64_t link_node(struct model *model, const struct op *op, bool dry)
{
	char name[260];
	size_t bytes;
	int64_t node = model_find(model, op->a), directory, error;

	if (node < 0)
		return node;
	directory = model_find_parent(model, op->b, name, &bytes);
	if (model->nodes[node]->kind == FS_DIRECTORY)
		return MODEL_SKIP;
	error = may_add(model, directory, name, bytes);
	if (!error && !model->nodes[node]->links)
		error = -ENOENT;
	if (error || dry)
		return error;
	own(model, (uint32_t)node)->links++;
	entry_add(model, (uint32_t)directory, name, (uint32_t)node);
	return 0;
}

static int64_t unlink_node(struct model *model, const struct op *op, bool dry)
{
	char name[260];
	size_t bytes;
	int64_t directory = model_find_parent(model, op->a, name, &bytes);
	const struct model_entry *entry;
	const struct model_node *node;
	uint32_t number;

	if (directory < 0)
		return directory;
	if (model->nodes[directory]->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (bytes > FS_NAME_MAX)
		return -ENAMETOOLONG;
	entry = model_entry(model->nodes[directory], name);
	if (!entry)
		return -ENOENT;
	number = entry->node;
	node = model->nodes[number];
	if (op->kind == OP_UNLINK && node->kind == FS_DIRECTORY)
		return -EISDIR;
	if (op->kind == OP_RMDIR && node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (op->kind == OP_RMDIR && node->entry_count)
		return -ENOTEMPTY;
	if (dry)
		return 0;
	entry_remove(model, (uint32_t)directory, name);
	unlinked(model, number, (uint32_t)directory);
	return 0;
}

static bool below(const struct model *model, uint32_t directory, uint32_t ancestor)
{
	while (directory != ancestor && directory)
		directory = model->nodes[directory]->parent;
	return directory == ancestor;
}

static int64_t may_replace(const struct model *model, uint32_t number, uint32_t old)
{
	const struct model_node *node = model->nodes[number], *target = model->nodes[old];

	if (node->kind == FS_DIRECTORY && target->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (node->kind != FS_DIRECTORY && target->kind == FS_DIRECTORY)
		return -EISDIR;
	return target->entry_count ? -ENOTEMPTY : 0;
}

static int64_t rename_node(struct model *model, const struct op *op, bool dry)
{
	char old[260], name[260];
	size_t old_bytes, bytes;
	int64_t from = model_find_parent(model, op->a, old, &old_bytes), to = model_find_parent(model, op->b, name, &bytes);
	const struct model_entry *entry, *target;
	uint32_t number;
	int64_t error;

	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	if (model->nodes[from]->kind != FS_DIRECTORY || model->nodes[to]->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (old_bytes > FS_NAME_MAX || bytes > FS_NAME_MAX)
		return -ENAMETOOLONG;
	entry = model_entry(model->nodes[from], old);
	if (!entry)
		return -ENOENT;
	number = entry->node;
	if (!model->nodes[to]->links)
		return -ENOENT;
	if (model->nodes[number]->kind == FS_DIRECTORY && below(model, (uint32_t)to, number))
		return MODEL_SKIP;
	target = model_entry(model->nodes[to], name);
	if (target && target->node == number)
		return 0;
	error = target ? may_replace(model, number, target->node) : 0;
	if (error || dry)
		return error;
	if (target) {
		uint32_t gone = target->node;

		entry_remove(model, (uint32_t)to, name);
		unlinked(model, gone, (uint32_t)to);
	}
	entry_remove(model, (uint32_t)from, old);
	entry_add(model, (uint32_t)to, name, number);
	if (model->nodes[number]->kind == FS_DIRECTORY) {
		own(model, (uint32_t)from)->dirs--;
		own(model, (uint32_t)to)->dirs++;
		own(model, number)->parent = (uint32_t)to;
	}
	return 0;
}

static int order(const void *a, const void *b)
{
	return strcmp(((const struct model_entry *)a)->name, ((const struct model_entry *)b)->name);
}

static int64_t list(const struct model *model, const struct model_node *node, struct answer *answer)
{
	struct model_entry *sorted;

	if (node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	sorted = must(malloc(sizeof(*sorted) * (node->entry_count + 1)));
	if (node->entry_count)
		memcpy(sorted, node->entries, sizeof(*sorted) * node->entry_count);
	qsort(sorted, node->entry_count, sizeof(*sorted), order);
	for (uint32_t i = 0; i < node->entry_count; i++)
		answer_say(answer, "%.8s-%zu %u\n", sorted[i].name, strlen(sorted[i].name), model->nodes[sorted[i].node]->kind);
	free(sorted);
	return 0;
}

/* Operations on a node that change nothing. */
static int64_t look(const struct model *model, uint32_t number, const struct op *op, struct answer *answer)
{
	const struct model_node *node = model->nodes[number];
	bool file = node->kind == FS_FILE;
	uint64_t count;
	uint8_t *bytes;

	switch (op->kind) {
	case OP_STAT:
		answer->node = number;
		answer_say(answer, "kind %u links %u uid %u gid %u", node->kind, node->kind == FS_DIRECTORY ? 0 : node->links,
		    node->uid, node->gid);
		answer_say(answer, " mode %o bytes %llu", node->kind == FS_SYMLINK ? 0 : node->mode,
		    node->kind == FS_DIRECTORY ? 0ull : (unsigned long long)node->size);
		return 0;
	case OP_LIST: case OP_LIST_CHANGE:
		return list(model, node, answer);
	case OP_READLINK:
		if (node->kind != FS_SYMLINK)
			return -EINVAL;
		answer_add(answer, node->target, node->size);
		return (int64_t)node->size;
	case OP_READ:
		if (!file)
			return node->kind == FS_DIRECTORY ? -EISDIR : MODEL_SKIP;
		count = op->n[0] >= node->size ? 0 : op->n[1] < node->size - op->n[0] ? op->n[1] : node->size - op->n[0];
		bytes = must(malloc(count + 1));
		model_bytes(node, op->n[0], bytes, count);
		answer_add(answer, bytes, count);
		free(bytes);
		return (int64_t)count;
	case OP_PAGE_READ:
		if (!file || op->n[0] / BLOCK_BYTES * BLOCK_BYTES >= node->size)
			return MODEL_SKIP;
		bytes = must(malloc(BLOCK_BYTES));
		model_bytes(node, op->n[0] / BLOCK_BYTES * BLOCK_BYTES, bytes, BLOCK_BYTES);
		answer_add(answer, bytes, BLOCK_BYTES);
		free(bytes);
		return 0;
	default:
		return 0;
	}
}

/* Operations on a file's contents. */
static int64_t contents(struct model *model, uint32_t number, const struct op *op, bool dry)
{
	struct model_node *node = model->nodes[number];
	uint64_t end = op->n[0] + op->n[1];

	if (node->kind != FS_FILE)
		return node->kind == FS_DIRECTORY && op->kind != OP_PAGE_WRITE ? -EISDIR : MODEL_SKIP;
	if (op->kind == OP_PAGE_WRITE && (end > node->size || op->n[0] % BLOCK_BYTES + op->n[1] > BLOCK_BYTES))
		return MODEL_SKIP;
	if (dry)
		return op->kind == OP_WRITE ? (int64_t)op->n[1] : 0;
	if (op->kind == OP_WRITE && !op->n[1])
		return 0;
	node = own(model, number);
	node->modified = op->kind == OP_PAGE_WRITE || (op->kind == OP_TRUNCATE && op->n[0] == node->size) ? -1 : model->now;
	if (op->kind == OP_TRUNCATE) {
		set_size(node, op->n[0]);
		return 0;
	}
	put_bytes(node, op->n[0], op->n[2], op->n[1]);
	if (end > node->size)
		node->size = end;
	return op->kind == OP_WRITE ? (int64_t)op->n[1] : 0;
}

static int64_t set(struct model *model, uint32_t number, const struct op *op, bool dry)
{
	struct model_node *node;

	if (model->nodes[number]->kind == FS_SYMLINK)
		return MODEL_SKIP;
	if (dry)
		return 0;
	node = own(model, number);
	if (op->kind == OP_CHMOD) {
		node->mode = (uint16_t)(op->n[0] & 07777);
	} else if (op->kind == OP_CHOWN) {
		node->uid = (uint32_t)op->n[0];
		node->gid = (uint32_t)op->n[1];
	} else {
		node->modified = (int64_t)op->n[0];
	}
	return 0;
}

static void put_slot(struct model *model, unsigned slot)
{
	int64_t number = model->slot[slot];

	model->slot[slot] = -1;
	if (number >= 0) {
		own(model, (uint32_t)number)->holds--;
		maybe_gone(model, (uint32_t)number);
	}
}

static int64_t hold(struct model *model, const struct op *op, bool dry)
{
	int64_t node = model_find(model, op->a);

	if (node < 0 || dry)
		return node < 0 ? node : 0;
	own(model, (uint32_t)node)->holds++;
	put_slot(model, (unsigned)op->n[0]);
	model->slot[op->n[0]] = node;
	return 0;
}

static int64_t clone(struct model *model, const struct op *op, struct answer *answer, bool dry)
{
	struct op make = *op;
	int64_t from = model_find(model, op->a), error;
	struct model_node *node;
	const struct model_node *old;

	if (from < 0)
		return from;
	if (model->nodes[from]->kind != FS_FILE)
		return MODEL_SKIP;
	make.kind = OP_CREATE;
	memcpy(make.a, op->b, sizeof(make.a));
	make.n[0] = 0644;
	error = create(model, &make, answer, dry);
	if (error || dry)
		return error;
	node = model->nodes[answer->node];
	old = model->nodes[from];
	node->pages = must(malloc(sizeof(*node->pages) * (old->page_max + 1)));
	node->page_count = old->page_count;
	node->page_max = old->page_max;
	for (uint32_t i = 0; i < old->page_count; i++) {
		node->pages[i] = old->pages[i];
		node->pages[i].page->users++;
	}
	node->size = old->size;
	node->modified = -1;
	return 0;
}

int64_t model_do(struct model *model, const struct op *op, struct answer *answer, bool dry)
{
	int64_t node;

	answer->count = 0;
	answer->node = -1;
	switch (op->kind) {
	case OP_CREATE: case OP_MKDIR: case OP_SYMLINK: case OP_FIFO:
		return create(model, op, answer, dry);
	case OP_LINK:
		return link_node(model, op, dry);
	case OP_UNLINK: case OP_RMDIR:
		return unlink_node(model, op, dry);
	case OP_RENAME:
		return rename_node(model, op, dry);
	case OP_CLONE:
		return clone(model, op, answer, dry);
	case OP_HOLD:
		return hold(model, op, dry);
	case OP_PUT: case OP_REMOUNT:
		for (unsigned i = 0; !dry && i < OP_SLOTS; i++)
			if (op->kind == OP_REMOUNT || op->n[0] == i)
				put_slot(model, i);
		return 0;
	case OP_SYNC: case OP_SPACE: case OP_COUNT:
		return 0;
	default:
		break;
	}
	node = model_find(model, op->a);
	if (node < 0)
		return node;
	switch (op->kind) {
	case OP_WRITE: case OP_TRUNCATE: case OP_PAGE_WRITE:
		return contents(model, (uint32_t)node, op, dry);
	case OP_CHMOD: case OP_CHOWN: case OP_TOUCH:
		return set(model, (uint32_t)node, op, dry);
	default:
		return look(model, (uint32_t)node, op, answer);
	}
}
