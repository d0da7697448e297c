/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_INTERNAL_H
#define POLICY_INTERNAL_H
/* How policies are compiled; see policy.h for what they mean. From the bottom up:
 *
 *   rule      one rule of a group; lives as long as a version of the group has it
 *   table     the best rule by protocol and port, among the rules of one remote
 *   source    a group's rules of one direction and remote, with their table
 *   group     versions of its list of rules; a version shares with the one before what did not
 * change shape     of a policy and direction: which remotes occur, and how to find them for an
 * address policy_dir  a shape and a table for each of its remotes: what a check reads, swapped
 * whole
 *
 * Everything below a policy_dir is immutable while a worker may see it, except a rule's index.
 * Reference counts belong to the control thread.
 */
#include <stdatomic.h>

#include "base/hash_table.h"
#include "base/prefix_map.h"
#include "policy/policy.h"

/* ---- rules: policy_rule.c ---- */

/* A remote and direction. Hashed and compared as 24 bytes. */
struct remote_key {
	uint8_t direction;  /* enum policy_direction */
	uint8_t kind;       /* enum policy_remote */
	uint8_t prefix_len; /* PREFIX only */
	uint8_t zero;
	uint32_t id;         /* GROUP, PREFIX_LIST only */
	struct ip_addr addr; /* PREFIX only */
};

static_assert(sizeof(struct remote_key) == 24, "hashed without padding");

/* Each class has a 16-bit space of its own that its rules are ranges of: a port, ICMP type << 8 |
 * code, or for all other protocols their number. */
enum rule_class {
	CLASS_TCP,
	CLASS_UDP,
	CLASS_ICMP,
	CLASS_ICMP6,
	CLASS_OTHER,
	CLASS_COUNT,
	CLASS_ANY = CLASS_COUNT, /* of rules: every class */
};

#define RANK_NONE UINT16_MAX

/* A rule in canonical form: equal meaning, equal bytes. */
struct rule_spec {
	struct remote_key key;
	uint16_t first, last; /* range in its class's space */
	uint16_t rank;        /* priority * 2 + (allow ? 1 : 0): the lowest decides */
	uint8_t class;        /* enum rule_class */
	uint8_t zero;
};

static_assert(sizeof(struct rule_spec) == 32, "hashed without padding");

struct rule {
	struct rule_spec spec;
	uint32_t group;
	_Atomic uint32_t
		index; /* in the group's list. Written at commit, read relaxed by any thread */
	uint32_t next_index; /* in the staged list; equal to index when none is staged */
	uint32_t refs;       /* versions of the group that have it */
};

/* 0, or -EINVAL with why in reason. */
int rule_spec_make(
	struct rule_spec *spec, const struct policy_rule *rule, char *reason, size_t size);

/* Which rules of an old list live on in a new one: match[i] is the place in old of new rule i, or
 * RULE_NEW. Matches ascend, so rules that stay keep their order among each other. -ENOMEM. */
#define RULE_NEW UINT32_MAX
int rule_diff(struct rule *const *old, uint32_t n_old, const struct rule_spec *specs, uint32_t n,
	uint32_t *match);

static inline uint32_t remote_key_hash(const struct remote_key *key)
{
	uint64_t head;

	memcpy(&head, key, sizeof(head));
	return hash_fold(hash_mix(hash_mix(hash_mix(0, head), key->addr.q[0]), key->addr.q[1]));
}

static inline bool remote_key_equal(const struct remote_key *a, const struct remote_key *b)
{
	uint64_t head_a, head_b;

	memcpy(&head_a, a, sizeof(head_a));
	memcpy(&head_b, b, sizeof(head_b));
	return head_a == head_b && ip_addr_equal(&a->addr, &b->addr);
}

/* ---- tables: policy_table.c ---- */

struct source;

/* Class c's space is cut into pieces first[c] .. first[c] + n[c] - 1, at least one: piece i begins at key[i], the
 * first of a class at 0, and is decided by rule[i] of rank[i]. Classes that no rule names share piece 0. */
struct table {
	uint32_t refs;
	uint32_t n_pieces;
	struct source **
		parents; /* of a merged table, NULL-terminated; NULL: a group's own. Control thread only */
	uint32_t first[CLASS_COUNT];
	uint32_t n[CLASS_COUNT];
	/* Then, n_pieces each: uint16_t key[]; uint16_t rank[]; const struct rule *rule[], NULL
	 * where no rule matches. What a search reads stands beside the header. */
};

static_assert(sizeof(struct table) % sizeof(void *) == 0, "pointers follow");

static inline uint16_t *table_keys(const struct table *t)
{
	return (uint16_t *)(uintptr_t)(t + 1);
}

static inline uint16_t *table_ranks(const struct table *t)
{
	return table_keys(t) + t->n_pieces;
}

static inline const struct rule **table_rules(const struct table *t)
{
	/* A key and a rank are 4 bytes: an even number of them keeps pointers aligned. */
	return (const struct rule **)(uintptr_t)(table_keys(t) + 2 * ((t->n_pieces + 1) & ~1u));
}

static inline size_t table_size(uint32_t n_pieces)
{
	return sizeof(struct table) + ((n_pieces + 1) & ~1u) * 2 * sizeof(uint16_t) +
	       n_pieces * sizeof(struct rule *);
}

/* Memory that building a table needs meanwhile, kept from one to the next. Zero to start with. */
struct table_builder {
	struct ranked_rule *ranked; /* capacity */
	struct piece *pieces;       /* 2 * capacity + CLASS_COUNT + 1 */
	uint32_t *bounds, *skip;    /* 2 * capacity + 1 */
	const struct rule **winner; /* 2 * capacity + 1 */
	uint32_t capacity;
};

/* The table of n rules in any order, one reference. NULL: out of memory. */
struct table *table_new(struct table_builder *b, struct rule *const *rules, uint32_t n);
struct table *table_ref(struct table *t);
void table_put(struct table *t);
void table_builder_fini(struct table_builder *b);

/* ---- groups and prefix lists: policy_group.c, policy_prefix_list.c ---- */

struct source {
	struct remote_key key;
	uint32_t refs;
	uint32_t n;
	struct table *table;
	struct rule *rules[];
};

void source_put(struct source *s);

/* A group's list as it is or will be. */
struct group_version {
	struct group_version *retired; /* next in its batch */
	struct rule **rules;           /* in the order of the list */
	uint32_t n_rules;
	uint32_t n_sources;
	uint32_t mask;
	struct source *sources[]; /* open addressing, mask + 1 */
};

struct group {
	struct hash_node node; /* by id */
	uint32_t id;
	uint32_t holders;                  /* policies */
	struct group_version *live, *next; /* NULL: no rules */
	bool staged;                       /* next replaces live at commit */
	bool touched[POLICY_DIRECTIONS];   /* by what is staged */
};

/* Lists longer than this are searched on their own instead of being part of each policy's prefixes. */
#define PREFIX_SET_INLINE_MAX 64

/* What a prefix list holds. Immutable. */
struct prefix_set {
	uint32_t refs;
	uint32_t n;
	struct prefix_map *map; /* NULL: short */
	struct ip_prefix prefixes[];
};

struct prefix_list {
	struct hash_node node; /* by id */
	uint32_t id;
	struct prefix_set *live, *next; /* NULL: empty */
	bool staged;
};

/* The version that a transaction in preparation goes by. */
static inline const struct group_version *group_view(const struct group *g)
{
	return g->staged ? g->next : g->live;
}

/* The group of this id, made when there is none. NULL: out of memory. */
struct group *group_take(struct policy_db *db, uint32_t id);
/* Frees it if nobody needs it any more. */
void group_release(struct policy_db *db, struct group *g);
void group_commit(struct group *g);
void group_unstage(struct group *g);
void group_version_free(struct group_version *v);
const struct source *group_version_find(
	const struct group_version *v, const struct remote_key *key);

bool prefix_list_is_staged(const struct policy_db *db, uint32_t id);
void prefix_set_put(struct prefix_set *set);
struct prefix_set *prefix_list_view(const struct policy_db *db, uint32_t id);
void prefix_list_commit(struct policy_db *db, struct prefix_list *l);
void prefix_list_unstage(struct policy_db *db, struct prefix_list *l);
void prefix_list_free(struct prefix_list *l);

/* ---- policies: policy_shape.c, policy_db.c ---- */

#define SLOT_NONE UINT32_MAX

/* A long prefix list that some rules have as their remote. */
struct shape_list {
	struct prefix_set *set;
	uint32_t slot;
};

struct shape {
	uint32_t refs;
	uint32_t n;                  /* remotes: slots */
	uint32_t any;                /* slot of the remote `any`, or SLOT_NONE */
	uint32_t n_groups;           /* slots of remote groups */
	uint32_t n_lists;            /* slots of prefix lists */
	uint32_t mask;               /* of buckets */
	struct prefix_map *prefixes; /* to slots; NULL: none */
	struct shape_list *long_lists;
	uint32_t n_long_lists;
	uint32_t *buckets;        /* by key: slot, or SLOT_NONE */
	struct remote_key keys[]; /* by slot */
};

struct policy_dir {
	struct policy_dir *retired; /* next in its batch */
	struct shape *shape;
	struct table *tables[]; /* by slot */
};

struct policy {
	_Atomic(struct policy_dir *) dir[POLICY_DIRECTIONS]; /* NULL: no rules. RCU */
	uint32_t tag;
	/* Control thread only. */
	uint32_t refs;
	struct hash_node node; /* by its groups' ids */
	struct policy_db *db;
	struct policy_dir *next[POLICY_DIRECTIONS];
	bool staged[POLICY_DIRECTIONS];
	bool fresh; /* never compiled */
	uint32_t n_groups;
	struct group *groups[]; /* ascending ids */
};

/* Slot of the key or SLOT_NONE. */
static inline uint32_t shape_find(const struct shape *s, const struct remote_key *key)
{
	for (uint32_t i = remote_key_hash(key) & s->mask;; i = (i + 1) & s->mask) {
		uint32_t slot = s->buckets[i];
		if (slot == SLOT_NONE || remote_key_equal(&s->keys[slot], key))
			return slot;
	}
}

/* Compiles one direction of p from its groups' views into *out; NULL there: no rules. `reshape`: a
 * prefix list it uses has changed. -ENOMEM. */
int policy_dir_compile(struct policy_db *db, const struct policy *p,
	enum policy_direction direction, bool reshape, struct policy_dir **out);
void policy_dir_free(struct policy_dir *d);

/* What a commit replaced, freed after a grace period. */
struct retired {
	struct policy_dir *dirs;
	struct group_version *versions;
};

struct policy_db {
	struct policy_hooks hooks;
	struct hash_table groups, prefix_lists, policies;
	struct table_builder builder;
	struct retired *retired; /* for the next commit; NULL: nothing prepared */
	char error[256];
};

#endif
