/* SPDX-License-Identifier: Apache-2.0 */
/* Records: made, entered, removed. */
#include "session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <rte_branch_prediction.h>
#include <rte_debug.h>

#include "base/cache_line.h"
#include "base/prefetch.h"
#include "session/bucket.h"
#include "session/index.h"
#include "session/memory.h"

struct session_dir *session_dirs READ_MOSTLY;
struct session_hot *session_hots[2] READ_MOSTLY;
struct session_cold *session_colds READ_MOSTLY;
struct session_ext *session_exts READ_MOSTLY;
struct session_more *session_mores READ_MOSTLY;
struct session_meters *session_meters READ_MOSTLY;
struct session_hold *session_holds READ_MOSTLY;
struct session_account *session_accounts READ_MOSTLY;
const struct session_watcher *_Atomic session_watcher READ_MOSTLY;
uint64_t session_seed[4] READ_MOSTLY;

/* Records of indexes below have memory. Control thread. */
static uint32_t populated;

/* The same of arrays that only some flows touch: from the first of those flows on. */
static struct rare {
	_Atomic bool used; /* set by any thread */
	uint32_t populated;
} exts, mores, holds, accounts;

static inline void note_use(struct rare *r)
{
	if (unlikely(!atomic_load_explicit(&r->used, memory_order_relaxed)))
		atomic_store_explicit(&r->used, true, memory_order_relaxed);
}

static size_t bytes_of(size_t record)
{
	return index_records() * record;
}

static int records_init(void)
{
	session_dirs = memory_map(bytes_of(2 * sizeof(*session_dirs)), MEMORY_RESERVED);
	session_hots[0] = memory_map(bytes_of(sizeof(*session_hots[0])), MEMORY_RESERVED);
	session_hots[1] = memory_map(bytes_of(sizeof(*session_hots[1])), MEMORY_RESERVED);
	session_colds = memory_map(bytes_of(sizeof(*session_colds)), MEMORY_RESERVED);
	session_exts = memory_map(bytes_of(sizeof(*session_exts)), MEMORY_HUGE);
	session_mores = memory_map(bytes_of(sizeof(*session_mores)), MEMORY_HUGE);
	session_meters = memory_map(bytes_of(2 * sizeof(*session_meters)), MEMORY_SMALL);
	session_holds = memory_map(bytes_of(sizeof(*session_holds)), MEMORY_HUGE);
	session_accounts = memory_map(bytes_of(sizeof(*session_accounts)), MEMORY_HUGE);
	return session_dirs && session_hots[0] && session_hots[1] && session_colds &&
			       session_exts && session_mores && session_meters && session_holds &&
			       session_accounts
		       ? 0
		       : -ENOMEM;
}

int session_init(uint32_t capacity)
{
	int err;

	if (capacity == 0 || capacity > 1u << 28 || session_dirs != NULL)
		return -EINVAL;
	if (getrandom(session_seed, sizeof(session_seed), 0) != sizeof(session_seed))
		return -errno;
	for (unsigned int i = 0; i < 4; i++)
		session_seed[i] |= 1; /* never 0, which would absorb the other factor */
	err = index_init(capacity);
	if (err == 0)
		err = bucket_init(2 * index_records());
	if (err == 0)
		err = records_init();
	if (err != 0) {
		session_fini();
		return err;
	}
	populated = 0;
	exts = mores = holds = accounts = (struct rare){.populated = 0};
	session_populate(SESSION_POPULATE_AHEAD);
	return 0;
}

void session_fini(void)
{
	memory_unmap(session_dirs, bytes_of(2 * sizeof(*session_dirs)));
	memory_unmap(session_hots[0], bytes_of(sizeof(*session_hots[0])));
	memory_unmap(session_hots[1], bytes_of(sizeof(*session_hots[1])));
	memory_unmap(session_colds, bytes_of(sizeof(*session_colds)));
	memory_unmap(session_exts, bytes_of(sizeof(*session_exts)));
	memory_unmap(session_mores, bytes_of(sizeof(*session_mores)));
	memory_unmap(session_meters, bytes_of(2 * sizeof(*session_meters)));
	memory_unmap(session_holds, bytes_of(sizeof(*session_holds)));
	memory_unmap(session_accounts, bytes_of(sizeof(*session_accounts)));
	session_dirs = NULL;
	session_hots[0] = session_hots[1] = NULL;
	session_colds = NULL;
	session_exts = NULL;
	session_mores = NULL;
	session_meters = NULL;
	session_holds = NULL;
	session_accounts = NULL;
	bucket_fini();
	index_fini();
}

static void populate(void *records, size_t size, uint32_t from, uint32_t to)
{
	memory_populate(records, from * size, to * size);
}

static bool populate_rare(
	struct rare *r, void *records, size_t size, uint32_t wanted, uint32_t most)
{
	uint32_t from = r->populated, to = RTE_MIN(wanted, from + most);

	if (to <= from || !atomic_load_explicit(&r->used, memory_order_relaxed))
		return false;
	populate(records, size, from, to);
	r->populated = to;
	return to < wanted;
}

bool session_populate(uint32_t most)
{
	uint32_t wanted = RTE_MIN(index_high_water() + SESSION_POPULATE_AHEAD, index_records());
	uint32_t from = populated, to = RTE_MIN(wanted, from + most);
	bool more = to < wanted;

	if (to > from) {
		populate(session_dirs, 2 * sizeof(*session_dirs), from, to);
		populate(session_hots[0], sizeof(*session_hots[0]), from, to);
		populate(session_hots[1], sizeof(*session_hots[1]), from, to);
		populate(session_colds, sizeof(*session_colds), from, to);
		populated = to;
	}
	more |= populate_rare(&exts, session_exts, sizeof(*session_exts), wanted, most);
	more |= populate_rare(&mores, session_mores, sizeof(*session_mores), wanted, most);
	more |= populate_rare(&holds, session_holds, sizeof(*session_holds), wanted, most);
	more |= populate_rare(&accounts, session_accounts, sizeof(*session_accounts), wanted, most);
	return more;
}

size_t session_bytes(void)
{
	return bytes_of(2 * sizeof(struct session_dir) + 2 * sizeof(struct session_hot) +
			sizeof(struct session_cold)) +
	       bucket_bytes() + index_bytes();
}

void session_history_of(uint32_t index, struct session_history *history)
{
	history->created_ms = session_colds[index].created_ms;
	for (unsigned int d = 0; d < 2; d++)
		memcpy(&history->hot[d], &session_hots[d][index], sizeof(history->hot[d]));
}

/* So many sessions ahead of the one that is filled. Stores leave a CPU in their order: each that finds its line far away holds up all
 * behind it, and the first lock waits for them. */
#define FILL_AHEAD 4u

/* Which of the arrays that only some flows touch the thread's last session has. The next ones, as a rule, too. */
static __thread uint8_t lately;
enum { LATELY_MORE = 1, LATELY_HOLD = 2, LATELY_ACCOUNT = 4 };

static inline void prefetch_record(uint32_t index)
{
	prefetch_own(&session_dirs[index << 1]);
	prefetch_own(&session_dirs[index << 1 | 1]);
	prefetch_own(&session_hots[0][index]);
	prefetch_own(&session_hots[1][index]);
	prefetch_own(&session_colds[index]);
	prefetch_own(&index_states[index]);
	if (lately & LATELY_MORE)
		prefetch_own(&session_mores[index]);
	if (lately & LATELY_HOLD)
		prefetch_own(&session_holds[index]);
	if (lately & LATELY_ACCOUNT)
		prefetch_own(&session_accounts[index]);
}

static inline void prefetch_ahead(const struct session_new *new)
{
	uint32_t index = index_ahead(FILL_AHEAD);
	uint16_t flags = new->dir[0].flags;

	lately = (uint8_t)((new->deps[SESSION_DEPS_NEAR] != EPOCH_NO_SLOT ? LATELY_MORE : 0) |
			   (flags & SESSION_F_HOLD ? LATELY_HOLD : 0) |
			   (flags & SESSION_F_ACCOUNT ? LATELY_ACCOUNT : 0));
	if (index != SESSION_NONE)
		prefetch_record(index);
}

/* Nobody sees the record yet, so plain stores do. */
static void fill(uint32_t index, const struct session_new *new)
{
	struct session_cold *cold = &session_colds[index];

	for (unsigned int d = 0; d < 2; d++) {
		struct session_dir *dir = &session_dirs[index << 1 | d];
		struct session_hot *hot = &session_hots[d][index];

		memcpy(dir, &new->dir[d], sizeof(*dir));
		atomic_store_explicit(&dir->change, new->change, memory_order_relaxed);
		if (unlikely(dir->flags & SESSION_F_METER))
			session_meters[index << 1 | d] = new->meters[d];
		if (new->history != NULL) {
			memcpy(hot, &new->history->hot[d], sizeof(*hot));
			continue;
		}
		memset(hot, 0, sizeof(*hot));
		/* The first answer is to be noticed, see session_count(). */
		atomic_store_explicit(&hot->seen_ms,
			new->now_ms - (d == 1 ? SESSION_SEEN_STEP_MS : 0), memory_order_relaxed);
	}
	if (unlikely(new->deps[SESSION_DEPS_NEAR] != EPOCH_NO_SLOT))
		note_use(&mores);
	session_set_deps(index, new->deps);
	atomic_store_explicit(&cold->epoch_sum, new->epoch_sum, memory_order_relaxed);
	cold->created_ms = new->history != NULL ? new->history->created_ms : new->now_ms;
	if (session_key_is_v6(&new->dir[0].key) || session_key_is_v6(&new->dir[1].key)) {
		note_use(&exts);
		memcpy(session_exts[index].src, new->src, sizeof(new->src));
		memcpy(session_exts[index].dst, new->dst, sizeof(new->dst));
	}
	if (unlikely(new->dir[0].flags &SESSION_F_HOLD)) {
		note_use(&holds);
		session_holds[index] = new->hold;
	}
	if (unlikely(new->dir[0].flags &SESSION_F_ACCOUNT)) {
		note_use(&accounts);
		account_begin(index, new->accounts);
	}
	if (unlikely(new->history != NULL)) {
		const struct session_watcher *watcher = session_watched();

		if (watcher != NULL)
			watcher->resumed(index);
	}
}

void session_prefetch(const struct session_key *key)
{
	bucket_prefetch(session_hash(key));
}

/* One that has come from another node may be. */
static bool is_answered(uint32_t index)
{
	return atomic_load_explicit(&session_hots[1][index].packets, memory_order_relaxed) != 0;
}

int session_insert(const struct session_new *new, uint32_t *ref)
{
	uint32_t hashes[2], index, state;
	int err;

	err = index_share_left(new->vpc_index);
	if (unlikely(err != 0))
		return err;
	/* The buckets come while the record is filled. */
	for (unsigned int d = 0; d < 2; d++) {
		hashes[d] = session_hash(&new->dir[d].key);
		bucket_prefetch(hashes[d]);
	}
	index = index_take();
	if (unlikely(index == SESSION_NONE))
		return -ENOSPC;
	prefetch_ahead(new);
	fill(index, new);
	state = new->vpc_index | (is_answered(index) ? 0 : INDEX_UNANSWERED);
	err = bucket_insert(index, hashes, &index_states[index], INDEX_ALIVE | state, ref);
	if (unlikely(err != 0)) {
		index_untake(index);
		return err;
	}
	index_count(state);
	if (unlikely(new->dir[0].flags &SESSION_F_HOLD))
		session_hold_began(&new->hold, index);
	return 0;
}

/* Its keys are gone: what it held may be taken for the next flow. */
static void release(uint32_t index, bool timed_out)
{
	const struct session_watcher *watcher = session_watched();
	struct session_hold hold = session_hold_of(index);

	if (unlikely(watcher != NULL))
		watcher->end(index, timed_out);
	if (unlikely(session_dirs[index << 1].flags & SESSION_F_ACCOUNT))
		account_settle(index);
	if (unlikely(session_hold_any(&hold)))
		session_hold_release(&hold, NULL);
}

void session_remove(uint32_t index)
{
	session_remove_bulk(&index, 1);
}

static inline void prefetch_services(uint32_t index)
{
	uint16_t flags = session_dirs[index << 1].flags;

	if (flags & SESSION_F_HOLD)
		prefetch_own(&session_holds[index]);
	if (flags & SESSION_F_ACCOUNT)
		prefetch_own(&session_accounts[index]);
}

static void foresee_releases(const uint32_t *indexes, unsigned int n)
{
	for (unsigned int step = 0; step < 2; step++)
		for (unsigned int i = 0; i < n; i++)
			if (session_dirs[indexes[i] << 1].flags & SESSION_F_HOLD)
				session_hold_foresee(&session_holds[indexes[i]], step);
}

static unsigned int remove_bulk(const uint32_t *indexes, unsigned int n, bool timed_out)
{
	uint32_t won[SESSION_BULK], hashes[SESSION_BULK][2];
	unsigned int n_won = 0;

	RTE_ASSERT(n <= SESSION_BULK);
	for (unsigned int i = 0; i < n; i++) {
		won[n_won] = indexes[i];
		n_won += index_kill(indexes[i]);
	}
	for (unsigned int i = 0; i < n_won; i++) {
		for (unsigned int d = 0; d < 2; d++) {
			hashes[i][d] = session_hash(&session_dirs[won[i] << 1 | d].key);
			bucket_prefetch(hashes[i][d]);
		}
		prefetch_services(won[i]);
	}
	foresee_releases(won, n_won);
	for (unsigned int i = 0; i < n_won; i++) {
		bucket_remove(won[i], hashes[i]);
		release(won[i], timed_out);
		index_retire(won[i]);
	}
	return n_won;
}

unsigned int session_remove_bulk(const uint32_t *indexes, unsigned int n)
{
	return remove_bulk(indexes, n, false);
}

unsigned int session_expire_bulk(const uint32_t *indexes, unsigned int n)
{
	return remove_bulk(indexes, n, true);
}

uint32_t session_records(void)
{
	return index_records();
}

bool session_alive(uint32_t index)
{
	return index_alive(index);
}
