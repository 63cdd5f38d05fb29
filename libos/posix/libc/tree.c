/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The binary search trees of <search.h>, kept balanced (AVL: the two sides of a node differ in height by 1 at most), so
 * that keys in order are no worse than others. A node begins with its key, since that is what programs read through
 * the pointers that they get.
 */
#define _GNU_SOURCE
#include <search.h>
#include <stdlib.h>

#define DEPTH	96		/* 1.44 times the bits of an address */

struct node {
	const void *key;
	struct node *side[2];
	int height;
};

typedef int compare_t(const void *, const void *);

static int height(const struct node *node)
{
	return node ? node->height : 0;
}

static void measure(struct node *node)
{
	int left = height(node->side[0]), right = height(node->side[1]);

	node->height = 1 + (left > right ? left : right);
}

/* The node on the given side takes its parent's place. */
static void rotate(struct node **link, int side)
{
	struct node *old = *link, *up = old->side[side];

	old->side[side] = up->side[!side];
	up->side[!side] = old;
	measure(old);
	measure(up);
	*link = up;
}

static void balance(struct node ***path, int depth)
{
	while (depth-- > 0) {
		struct node *node = *path[depth];
		int lean = height(node->side[1]) - height(node->side[0]), side = lean > 0;

		if (lean > 1 || lean < -1) {
			struct node *deep = node->side[side];
			if (height(deep->side[!side]) > height(deep->side[side]))
				rotate(&node->side[side], !side);
			rotate(path[depth], side);
		} else {
			measure(node);
		}
	}
}

/* The links from the root to the key's place, that place included; how many lie before it. */
static int find(const void *key, void *const *root, compare_t *compare, struct node ***path)
{
	struct node **link = (struct node **)root;
	int depth = 0, order;

	for (; path[depth] = link, *link && (order = compare(key, (*link)->key)) != 0; depth++)
		link = &(*link)->side[order > 0];
	return depth;
}

void *tsearch(const void *key, void **root, compare_t *compare)
{
	struct node **path[DEPTH], *node;
	int depth;

	if (!root)
		return NULL;
	depth = find(key, root, compare, path);
	if (*path[depth])
		return *path[depth];
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->key = key;
	node->height = 1;
	*path[depth] = node;
	balance(path, depth);
	return node;
}

void *tfind(const void *key, void *const *root, compare_t *compare)
{
	struct node **path[DEPTH];

	return root ? *path[find(key, root, compare, path)] : NULL;
}

/* The parent of what went; of the root, something that is not NULL. */
void *tdelete(const void *restrict key, void **restrict root, compare_t *compare)
{
	struct node **path[DEPTH], *node, *parent;
	int depth;

	if (!root)
		return NULL;
	depth = find(key, root, compare, path);
	node = *path[depth];
	if (!node)
		return NULL;
	parent = depth ? *path[depth - 1] : (struct node *)root;
	if (node->side[0] && node->side[1]) {	/* the next key takes its place */
		struct node *old = node;
		path[++depth] = &node->side[1];
		while ((*path[depth])->side[0]) {
			path[depth + 1] = &(*path[depth])->side[0];
			depth++;
		}
		node = *path[depth];
		old->key = node->key;
	}
	*path[depth] = node->side[!node->side[0]];
	free(node);
	balance(path, depth);
	return parent;
}

static void walk(const struct node *node, void (*action)(const void *, VISIT, int), int level)
{
	if (!node->side[0] && !node->side[1]) {
		action(node, leaf, level);
		return;
	}
	action(node, preorder, level);
	if (node->side[0])
		walk(node->side[0], action, level + 1);
	action(node, postorder, level);
	if (node->side[1])
		walk(node->side[1], action, level + 1);
	action(node, endorder, level);
}

void twalk(const void *root, void (*action)(const void *, VISIT, int))
{
	if (root && action)
		walk(root, action, 0);
}

void tdestroy(void *root, void (*drop)(void *))
{
	struct node *node = root;

	if (!node)
		return;
	tdestroy(node->side[0], drop);
	tdestroy(node->side[1], drop);
	drop((void *)node->key);
	free(node);
}
