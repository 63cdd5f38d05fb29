/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "test/fs/op.h"

static const struct verb {
	const char *word;
	int paths, numbers;
} verbs[] = {
#define X(name, verb, paths, numbers) { #verb, paths, numbers },
	OPS(X)
#undef X
};

size_t op_name(const char *name, size_t bytes, char *full)
{
	size_t length = *name == 'L' ? 255 : *name == 'M' ? 256 : bytes;

	memset(full, 'x', length);
	memcpy(full, name, bytes);
	full[length] = 0;
	return length;
}

void op_print(FILE *file, const struct op *op)
{
	const struct verb *verb = &verbs[op->kind];

	fputs(verb->word, file);
	if (verb->paths > 0)
		fprintf(file, " %s", op->a);
	if (verb->paths > 1)
		fprintf(file, " %s", op->b);
	for (int i = 0; i < verb->numbers; i++)
		fprintf(file, " %llu", (unsigned long long)op->n[i]);
}

/* A word of at most OP_PATH - 1 bytes; false: there is none before the end of the line or ';'. */
static bool word_of(const char **text, char *word)
{
	size_t length;

	*text += strspn(*text, " \t");
	length = strcspn(*text, " \t\n;");
	if (!length || length >= OP_PATH)
		return false;
	memcpy(word, *text, length);
	word[length] = 0;
	*text += length;
	return true;
}

int op_parse(const char **text, struct op *op)
{
	char word[OP_PATH];

	*text += strspn(*text, " \t\n;");
	if (!**text)
		return 0;
	if (!word_of(text, word))
		return -1;
	*op = (struct op){ .kind = OP_COUNT };
	for (int i = 0; i < OP_COUNT; i++)
		if (!strcmp(word, verbs[i].word))
			op->kind = (enum op_kind)i;
	if (op->kind == OP_COUNT)
		return -1;
	if (verbs[op->kind].paths > 0 && !word_of(text, op->a))
		return -1;
	if (verbs[op->kind].paths > 1 && !word_of(text, op->b))
		return -1;
	for (int i = 0; i < verbs[op->kind].numbers; i++) {
		if (!word_of(text, word))
			return -1;
		op->n[i] = strtoull(word, NULL, 0);
	}
	return 1;
}

void op_fill(uint8_t *bytes, uint64_t value, uint64_t at, size_t count)
{
	for (size_t i = 0; i < count;) {
		uint64_t word = ((at + i) / 8 + 1) * 0x9e3779b97f4a7c15u + value * 0xbf58476d1ce4e5b9u;

		word ^= word >> 31;
		word |= 0x0101010101010101u;	/* no byte looks like a hole */
		if ((at + i) % 8 == 0 && count - i >= 8) {
			memcpy(bytes + i, &word, 8);
			i += 8;
			continue;
		}
		for (unsigned j = (at + i) % 8; j < 8 && i < count; j++)
			bytes[i++] = (uint8_t)(word >> 8 * j);
	}
}

void op_target(char *target, uint64_t value, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		target[i] = "abcdefghijklmnopqrstuvwxyz/012345"[(value * 7 + i * (value % 5 + 1)) % 33];
	target[bytes] = 0;
}

uint64_t op_number(struct op_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t op_pick(struct op_random *random, uint64_t below)
{
	return below ? op_number(random) % below : 0;
}

static bool chance(struct op_random *random, unsigned of_100)
{
	return op_pick(random, 100) < of_100;
}

static void random_path(struct op_random *random, char *path)
{
	unsigned depth = 1 + (unsigned)op_pick(random, 3);
	char *end = path;

	*end = 0;
	if (random->slots && chance(random, 8)) {
		end += sprintf(end, "#%u", (unsigned)op_pick(random, OP_SLOTS));
		if (chance(random, 60))
			return;
		depth = 1;
	} else if (chance(random, 1)) {
		strcpy(path, "/");
		return;
	}
	/* Directories are mostly d and e, so that there are deep ones. */
	while (depth--) {
		unsigned name = (unsigned)op_pick(random, random->names);

		if (depth || chance(random, 20))
			end += sprintf(end, "/%c", (int)('d' + op_pick(random, 2)));
		else if (chance(random, 2))
			end += sprintf(end, "/%s%c", chance(random, 90) ? "L" : "M", 'a' + name);
		else
			end += sprintf(end, "/%c", 'a' + name);
	}
}

static uint64_t random_at(struct op_random *random)
{
	static const uint64_t edges[] = { 4096, 12 * 4096, (12 + 1024) * 4096ull, 4ull << 30, (12 + 1024 + 1048576) * 4096ull };
	unsigned kind = (unsigned)op_pick(random, 100);
	uint64_t at;

	if (kind < 30)
		at = op_pick(random, random->bytes_max);
	else if (kind < 60)
		at = op_pick(random, random->bytes_max / 4096 + 1) * 4096;
	else if (kind < 90 || !random->far)
		at = op_pick(random, 16384);
	else
		at = edges[op_pick(random, 5)] + op_pick(random, 16384) - 4096;
	return at;
}

static uint64_t random_bytes(struct op_random *random)
{
	unsigned kind = (unsigned)op_pick(random, 100);

	return kind < 40 ? op_pick(random, 300) : kind < 70 ? op_pick(random, 9000) :
	    kind < 90 ? op_pick(random, 4) * 4096 : op_pick(random, random->bytes_max / 2 < 70000 ? random->bytes_max / 2 : 70000);
}

static void contents(struct op_random *random, struct op *op)
{
	unsigned kind = (unsigned)op_pick(random, 100);

	op->n[0] = random_at(random);
	op->n[1] = random_bytes(random);
	op->n[2] = ++random->value;
	op->kind = kind < 35 ? OP_READ : kind < 70 ? OP_WRITE : kind < 82 ? OP_TRUNCATE : kind < 88 ? OP_PAGE_READ :
	    kind < 94 ? OP_PAGE_WRITE : kind < 96 ? OP_STAT : kind < 97 ? OP_AHEAD : random->syncs ? OP_FSYNC : OP_READ;
	if (op->kind == OP_PAGE_WRITE)
		op->n[1] = 1 + op_pick(random, 4096 - op->n[0] % 4096);
	if (op->kind == OP_TRUNCATE && chance(random, 30))
		op->n[0] = op_pick(random, 5000);
	if (op->kind == OP_FSYNC && chance(random, 30))
		op->kind = OP_FDATASYNC;
}

void op_file(struct op_random *random, struct op *op)
{
	*op = (struct op){ 0 };
	strcpy(op->a, "/f");
	contents(random, op);
	if (random->remount && chance(random, 1) && chance(random, 10))
		op->kind = OP_REMOUNT;
	if (random->clone && chance(random, 2)) {
		op->kind = chance(random, 50) ? OP_CLONE : OP_UNLINK;
		sprintf(op->b, "/g%u", (unsigned)op_pick(random, 4));
		if (op->kind == OP_UNLINK)
			strcpy(op->a, op->b);
	} else if (random->clone && chance(random, 30)) {
		sprintf(op->a, "/g%u", (unsigned)op_pick(random, 4));
	}
}

static void tree(struct op_random *random, struct op *op)
{
	static const struct { uint8_t kind, weight; } kinds[] = {
		{ OP_CREATE, 16 }, { OP_MKDIR, 8 }, { OP_SYMLINK, 4 }, { OP_FIFO, 1 }, { OP_LINK, 7 }, { OP_UNLINK, 14 },
		{ OP_RMDIR, 6 }, { OP_RENAME, 14 }, { OP_STAT, 8 }, { OP_LIST, 3 }, { OP_LIST_CHANGE, 1 }, { OP_READLINK, 2 },
		{ OP_CHMOD, 2 }, { OP_CHOWN, 1 }, { OP_TOUCH, 2 }, { OP_HOLD, 5 }, { OP_PUT, 3 }, { OP_CLONE, 2 }, { OP_SPACE, 1 },
	};
	unsigned sum = 0, at;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		sum += kinds[i].weight;
	at = (unsigned)op_pick(random, sum);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		op->kind = (enum op_kind)kinds[i].kind;
		if (at < kinds[i].weight)
			break;
		at -= kinds[i].weight;
	}
	if ((op->kind == OP_FIFO && !random->fifo) || (op->kind == OP_CLONE && !random->clone))
		op->kind = OP_CREATE;
	if ((op->kind == OP_HOLD || op->kind == OP_PUT) && !random->slots)
		op->kind = OP_UNLINK;
	switch (op->kind) {
	case OP_CREATE: case OP_MKDIR: case OP_FIFO: case OP_CHMOD:
		op->n[0] = op_pick(random, 010000);
		break;
	case OP_SYMLINK:
		op->n[0] = op_pick(random, 1000);
		op->n[1] = 1 + (chance(random, 80) ? op_pick(random, 100) : op_pick(random, 4000));
		break;
	case OP_CHOWN:
		op->n[0] = op_pick(random, 100000);
		op->n[1] = op_pick(random, 100000);
		break;
	case OP_TOUCH: case OP_LIST_CHANGE:
		op->n[0] = op_pick(random, 2000000000);
		break;
	case OP_HOLD: case OP_PUT:
		op->n[0] = op_pick(random, OP_SLOTS);
		break;
	default:
		break;
	}
}

void op_any(struct op_random *random, struct op *op)
{
	*op = (struct op){ 0 };
	random_path(random, op->a);
	random_path(random, op->b);
	if (op_pick(random, 100) < random->tree)
		tree(random, op);
	else
		contents(random, op);
	if (random->syncs && chance(random, 2))
		op->kind = chance(random, 50) ? OP_SYNC : chance(random, 70) ? OP_FSYNC : OP_FDATASYNC;
	if (random->remount && op_pick(random, 1000) < 3)
		op->kind = OP_REMOUNT;
}
