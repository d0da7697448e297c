/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <stdint.h>

static uint64_t priority(const struct tree_node *node)
{
	uint64_t h = (uintptr_t)node;

	h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
	h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ull;
	return h ^ (h >> 33);
}

/* Cuts the subtree into what is before and what is behind the key. */
static void split(const struct tree *tree, struct tree_node *node, const void *key,
	struct tree_node **before, struct tree_node **behind)
{
	while (node != NULL) {
		if (tree->compare(key, node) < 0) {
			*behind = node;
			behind = &node->left;
			node = node->left;
		} else {
			*before = node;
			before = &node->right;
			node = node->right;
		}
	}
	*before = NULL;
	*behind = NULL;
}

void tree_insert(struct tree *tree, const void *key, struct tree_node *node)
{
	struct tree_node **link = &tree->root;
	uint64_t mine = priority(node);

	while (*link != NULL && priority(*link) >= mine)
		link = tree->compare(key, *link) < 0 ? &(*link)->left : &(*link)->right;
	split(tree, *link, key, &node->left, &node->right);
	*link = node;
	tree->count++;
}

static struct tree_node *join(struct tree_node *before, struct tree_node *behind)
{
	struct tree_node *root = NULL, **link = &root;

	while (before != NULL && behind != NULL) {
		if (priority(before) >= priority(behind)) {
			*link = before;
			link = &before->right;
			before = before->right;
		} else {
			*link = behind;
			link = &behind->left;
			behind = behind->left;
		}
	}
	*link = before != NULL ? before : behind;
	return root;
}

struct tree_node *tree_remove(struct tree *tree, const void *key)
{
	struct tree_node **link = &tree->root, *node;
	int order;

	while (*link != NULL && (order = tree->compare(key, *link)) != 0)
		link = order < 0 ? &(*link)->left : &(*link)->right;
	node = *link;
	if (node == NULL)
		return NULL;
	*link = join(node->left, node->right);
	tree->count--;
	return node;
}

struct tree_node *tree_find(const struct tree *tree, const void *key)
{
	struct tree_node *node = tree->root;
	int order;

	while (node != NULL && (order = tree->compare(key, node)) != 0)
		node = order < 0 ? node->left : node->right;
	return node;
}

struct tree_node *tree_first(const struct tree *tree)
{
	struct tree_node *node = tree->root;

	while (node != NULL && node->left != NULL)
		node = node->left;
	return node;
}

struct tree_node *tree_after(const struct tree *tree, const void *key)
{
	struct tree_node *node = tree->root, *best = NULL;

	while (node != NULL) {
		if (tree->compare(key, node) < 0) {
			best = node;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return best;
}

struct tree_node *tree_floor(const struct tree *tree, const void *key)
{
	struct tree_node *node = tree->root, *best = NULL;

	while (node != NULL) {
		if (tree->compare(key, node) < 0) {
			node = node->left;
		} else {
			best = node;
			node = node->right;
		}
	}
	return best;
}
