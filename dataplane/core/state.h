/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STATE_H
#define CORE_STATE_H
/* Applied state: the southbound items this node forwards by, and how they become tables.
 *
 * An item is a JSON array [kind, columns...] whose columns lib/southbound.h describes; the first
 * columns are its key. Items arrive in a transaction: each is checked against the description,
 * references are checked against applied plus staged items, then the kind's owner prepares (may
 * fail; allocates all that commit needs), and when all are prepared, commits (can not fail). Puts
 * commit in ascending `order` of their kinds, deletions after them in descending order. Items that
 * are applied already, equal, are skipped.
 *
 * A capability registers its kinds with STATE_KIND(). All calls come from the control thread.
 *
 * Memory: an item is kept as its canonical text beside 80 bytes; 1,000,000 endpoints take about
 * 200 MB.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state_error {
	char reason[256]; /* a person can act on it */
	bool exhausted;   /* capacity, not a mistake in the item */
	json_t *item;     /* the item (or key) that is wrong: a reference of the caller's, or NULL.
			   * Not for handlers */
};

/* Writes the reason; returns `error`, a negative errno. */
int state_fail(struct state_error *err, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct state_kind {
	const char *name; /* as in lib/southbound.h */
	int order;
	/* prepare() looks at nothing but its item: it is called when the item is staged, with `old`
	 * NULL, so that the item's JSON need not be kept or parsed again. Deletions are prepared at
	 * commit all the same. */
	bool eager;
	/* `item` is checked by type; NULL: deletion. `old`: the applied item of that key or NULL. 0
	 * or -errno with `err`. `*staged` is handed to commit or abort. */
	int (*prepare)(
		const json_t *item, const json_t *old, void **staged, struct state_error *err);
	void (*commit)(void *staged);
	void (*abort)(void *staged);
	/* How many ordinary items one of these takes the time of when it is committed; 0: one. */
	unsigned int weight;
	unsigned int rank; /* place among all kinds. Set by state.c */
	struct state_kind *next;
};

void state_kind_register(struct state_kind *kind);

#define STATE_KIND(var, ...)                                                                       \
	static struct state_kind var = {__VA_ARGS__};                                              \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		state_kind_register(&var);                                                         \
	}

/* Things to do once a transaction, for what several items share. Ascending `order`; each member may
 * be NULL. */
struct state_hook {
	int order;
	/* After the last item was prepared, before the first is committed. 0 or -errno with `err`.
	 */
	int (*prepare)(struct state_error *err);
	/* The transaction failed; also when this hook's own prepare did or was not reached. */
	void (*abort)(void);
	/* All items are committed: rebuild, wake the workers. */
	void (*after_commit)(void);
	struct state_hook *next;
};
void state_hook_register(struct state_hook *hook);

#define STATE_HOOK(var, ...)                                                                       \
	static struct state_hook var = {__VA_ARGS__};                                              \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		state_hook_register(&var);                                                         \
	}

/*
 * Transactions. Several may be open, one at a time commits. Each call: 0 or -errno with `err`,
 * whose `item` the caller then owns.
 */
struct state_tx;

/* NULL when out of memory. */
struct state_tx *state_begin(void);
/* Stages an item or a deletion; the last one of a key counts. A failure leaves the transaction as
 * it was. -EINVAL, -ENOMEM, or what an eager kind's prepare says. */
int state_put(struct state_tx *tx, const json_t *item, struct state_error *err);
int state_del(struct state_tx *tx, const json_t *key, struct state_error *err);
/* Drops it; not while it commits by steps. */
void state_abort(struct state_tx *tx);

/* Commits up to `max_items` further items' worth of work: 1 when there is more to do, 0 when all is
 * published, -errno when nothing was changed; -EBUSY: another one is committing, ask again. Unless
 * 1 or -EBUSY the transaction is gone. `changed`: items that were put or deleted. */
int state_commit_step(struct state_tx *tx, uint64_t revision, unsigned int max_items,
	uint32_t *changed, struct state_error *err);
/* All at once. */
int state_commit(
	struct state_tx *tx, uint64_t revision, uint32_t *changed, struct state_error *err);

/* Who writes down what is committed: each item (or the key of a deletion), then the transaction's end. One. */
void state_journal_set(
	void (*item)(const char *text, size_t size, bool deletion), void (*end)(uint64_t revision));

/* What is applied. */
uint64_t state_revision(void); /* of the last commit; 0: none yet */
uint32_t state_count(void);
uint64_t state_digest(unsigned int bucket); /* XOR of the bucket's item hashes */

/* Keys with hashes [[kind, key..., "16 hex digits"], ...] of the buckets marked in `wanted`, at
 * most `limit`. `cursor`: NULL at first, then what the last call wrote to `next` (may be the same
 * buffer), which is "" at the end. A commit between two calls loses nothing that it did not touch.
 * NULL when out of memory. */
#define STATE_CURSOR_MAX 24
json_t *state_keys(const bool wanted[256], const char *cursor, unsigned int limit,
	char next[STATE_CURSOR_MAX]);

/* Each applied item's canonical text, those of lower `order` first; stops when fn returns non-zero
 * and returns that. */
int state_each(int (*fn)(void *arg, const char *text, size_t size), void *arg);

#endif
