/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_TREE_H
#define CONTROLLER_TREE_H
/*
 * An ordered set as a treap: intrusive nodes, expected O(log n) for everything. The priorities come
 * from the nodes' addresses, so equal histories may give different shapes but always the same order.
 */
#include <stdbool.h>
#include <stddef.h>

struct tree_node {
	struct tree_node *left, *right;
};

/* < 0, 0, > 0: is the key before, equal to or behind the node? */
typedef int (*tree_compare_fn)(const void *key, const struct tree_node *node);

struct tree {
	struct tree_node *root;
	tree_compare_fn compare;
	size_t count;
};

/* What a node is in; TREE_OBJECT of NULL is NULL, TREE_ENTRY is never asked. */
#define TREE_ENTRY(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))
#define TREE_OBJECT(node, type, member)                                                            \
	((node) != NULL ? (type *)((char *)(node)-offsetof(type, member)) : NULL)

/* `key` is the node's own; it must not be in the tree yet. */
void tree_insert(struct tree *tree, const void *key, struct tree_node *node);
/* Takes out the node with that key and returns it; NULL when there is none. */
struct tree_node *tree_remove(struct tree *tree, const void *key);
struct tree_node *tree_find(const struct tree *tree, const void *key);
struct tree_node *tree_first(const struct tree *tree);
/* The first node behind `key`, which need not be in the tree. */
struct tree_node *tree_after(const struct tree *tree, const void *key);
/* The last node before or at `key`. */
struct tree_node *tree_floor(const struct tree *tree, const void *key);

#endif
