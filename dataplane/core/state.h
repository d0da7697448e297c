/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STATE_H
#define CORE_STATE_H
/* Applied state: the southbound items this node forwards by, and how they become tables.
 *
 * An item is a JSON array [kind, columns...] whose columns lib/southbound.h describes; the first columns are its
 * key. Items arrive in a transaction: each is checked against the description, references are checked against
 * applied plus staged items, then the kind's owner prepares (may fail; allocates all that commit needs), and when
 * all are prepared, commits (can not fail). Puts commit in ascending `order` of their kinds, deletions after them in
 * descending order.
 *
 * A capability registers its kinds with STATE_KIND(). All calls come from the control thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct state_error {
	char reason[256]; /* a person can act on it */
	bool exhausted;   /* capacity, not a mistake in the item */
};

struct state_kind {
	const char *name; /* as in lib/southbound.h */
	int order;
	/* `item` is checked by type; NULL: deletion. `old`: the applied item of that key or NULL. 0 or -errno with
	 * `err`. `*staged` is handed to commit or abort. */
	int (*prepare)(const json_t *item, const json_t *old, void **staged, struct state_error *err);
	void (*commit)(void *staged);
	void (*abort)(void *staged);
	struct state_kind *next;
};

void state_kind_register(struct state_kind *kind);

#define STATE_KIND(var, ...)                                                                       \
	static struct state_kind var = {__VA_ARGS__};                                              \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		state_kind_register(&var);                                                         \
	}

/* Things to do once after each commit (rebuild what several items share, wake the workers). Ascending `order`. */
struct state_hook {
	int order;
	void (*after_commit)(void);
	struct state_hook *next;
};
void state_hook_register(struct state_hook *hook);

#endif
