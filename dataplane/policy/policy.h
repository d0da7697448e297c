/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H
/*
 * Security policy: from the rules of a port's security groups to the verdict on the first packet of
 * a flow.
 *
 * A *group* is a list of rules under a handle. A *policy* is an interned set of groups, compiled
 * together: ports with the same groups share one. Semantics: the lowest priority number wins, deny
 * wins among equals; of what is still equal the lowest group handle, then the first rule is named.
 * Nothing matched: ingress is denied, egress allowed.
 *
 * How it is compiled. Rules are put together by direction and remote (anyone, a prefix, a group, a
 * prefix list); each such set is a *table* that answers "which rule is best for this protocol and
 * port" by one binary search. A check asks the table for anyone, those of the prefixes around the
 * remote address (prefix_map), and those of the remote's groups, and takes the best. So
 *  - a changed rule rebuilds the one table of its remote; the old and the new version share all
 *    others;
 *  - who is a member of a remote group is part of the question, so a change of membership compiles
 *    nothing;
 *  - a check costs one search over the prefixes, at most log2(2n) + 1 steps, and one over the ports
 *    of each table asked, at most 17 steps. It asks one table for anyone, one for each of the
 *    nested prefixes around the address (<= 33 for IPv4, 129 for IPv6), one for each prefix list
 *    holding it and one for each of the remote's groups. Long prefix lists are shared by policies
 *    and cost one search each. Nothing else depends on the number of rules; tests/bench/policy has
 *    figures.
 *
 * Threads: everything but policy_check() and policy_tag() belongs to the control thread.
 * policy_check() runs on any thread inside an RCU read section: no lock, no allocation.
 *
 * Transactions. Changes are staged (policy_group_set(), ..., each may fail), compiled all at once
 * by policy_db_prepare() (may fail) and published by policy_db_commit() (cannot), or dropped by
 * policy_db_abort(). Workers see each direction of a
 * policy switch at once, never a mixture. Order among the items of a transaction does not matter: a
 * group or list that does not exist yet is one without rules or prefixes.
 */
#include <stddef.h>

#include "base/ip.h"

enum policy_direction {
	POLICY_INGRESS, /* towards the port */
	POLICY_EGRESS,
	POLICY_DIRECTIONS,
};

enum policy_action {
	POLICY_DENY,
	POLICY_ALLOW,
};

enum policy_remote {
	POLICY_REMOTE_ANY, /* anyone, both families */
	POLICY_REMOTE_PREFIX,
	POLICY_REMOTE_GROUP,
	POLICY_REMOTE_PREFIX_LIST,
};

#define POLICY_ANY (-1) /* of protocol, icmp_type, icmp_code */
#define POLICY_PRIORITY_MIN 1
#define POLICY_PRIORITY_MAX 1000
/* A group has no more rules than this. */
#define POLICY_GROUP_RULES_MAX (1u << 20)
/* No group; as a verdict's group: the default decided. */
#define POLICY_GROUP_NONE UINT32_MAX

struct policy_rule {
	enum policy_direction direction;
	enum policy_action action;
	uint16_t priority;
	int16_t protocol; /* IP protocol number or POLICY_ANY; 1 means ICMP of IPv4, 58 ICMPv6, each
			     in its family only */
	uint16_t port_first, port_last; /* host order, inclusive; 0 and 65535 unless TCP or UDP */
	int16_t icmp_type, icmp_code;   /* POLICY_ANY unless ICMP or ICMPv6; a code needs a type */
	enum policy_remote remote;
	uint32_t remote_id; /* of the group or prefix list */
	struct ip_prefix remote_prefix;
};

/* 0, or -EINVAL with what is wrong with it. */
int policy_rule_check(const struct policy_rule *rule, char *reason, size_t size);

/* A rule that matches everything; to start from. */
#define POLICY_RULE_INIT                                                                           \
	{                                                                                          \
		.action = POLICY_ALLOW, .priority = POLICY_PRIORITY_MAX, .protocol = POLICY_ANY,   \
		.port_last = UINT16_MAX, .icmp_type = POLICY_ANY, .icmp_code = POLICY_ANY,         \
	}

struct policy;
struct policy_db;

/* What the owner of a db does for it. All are called on the control thread with arg; each may be
 * NULL. */
struct policy_hooks {
	void *arg;
	/* A new policy exists: give it its tag. Not 0: policy_get() fails with that -errno. */
	int (*created)(void *arg, struct policy *policy);
	/* At commit, after it was published: some flow's verdict by this policy may have changed.
	 */
	void (*changed)(void *arg, struct policy *policy);
	/* Last reference gone; the memory goes after a grace period. */
	void (*freed)(void *arg, struct policy *policy);
	/* Calls fn(arg) on the control thread after every reader has left its read section
	 * (rcu_defer). NULL: at once. */
	void (*defer)(void (*fn)(void *), void *arg);
};

/* hooks is copied. NULL with errno ENOMEM. */
struct policy_db *policy_db_new(const struct policy_hooks *hooks);
/* Drops a pending transaction and frees at once: there must be no readers and no policy held any
 * more. */
void policy_db_free(struct policy_db *db);

/* Why the last call on db failed, for people; empty after -ENOMEM. */
const char *policy_db_error(const struct policy_db *db);

/*
 * Staging. 0, -ENOMEM, or -EINVAL with policy_db_error(). The arrays are copied. A later call on
 * the same id in the same transaction replaces the earlier one; after a failed one abort.
 */
int policy_group_set(
	struct policy_db *db, uint32_t id, const struct policy_rule *rules, uint32_t n);
/* Ports may go on holding it: it is a group without rules then. Unknown: 0. */
int policy_group_del(struct policy_db *db, uint32_t id);
int policy_prefix_list_set(
	struct policy_db *db, uint32_t id, const struct ip_prefix *prefixes, uint32_t n);
/* Rules may go on naming it: it matches nobody then. Unknown: 0. */
int policy_prefix_list_del(struct policy_db *db, uint32_t id);

/* A reference to the policy of a set of groups (any order, repeats ignored; none at all is a set
 * too). A new one is empty until the next prepare and commit. NULL with errno ENOMEM or what
 * hooks.created gave. */
struct policy *policy_get(struct policy_db *db, const uint32_t *groups, uint32_t n);
/* One more reference to the same. */
struct policy *policy_ref(struct policy *policy);
void policy_put(struct policy_db *db, struct policy *policy);

/* Compiles what is staged. 0 or -ENOMEM; abort or try again. Staging more afterwards needs another
 * prepare. */
int policy_db_prepare(struct policy_db *db);
/* Publishes what was prepared and reports each changed policy; nothing prepared: nothing done. */
void policy_db_commit(struct policy_db *db);
/* Policies got meanwhile stay: put them. */
void policy_db_abort(struct policy_db *db);

/* A number of the owner's, e.g. an epoch slot. Set by hooks.created; 0 before. */
void policy_tag_set(struct policy *policy, uint32_t tag);
uint32_t policy_tag(const struct policy *policy);

struct policy_query {
	struct ip_addr
		remote; /* the other end: the source for ingress, the destination for egress */
	const uint32_t *remote_groups; /* the groups the other end is in */
	uint32_t remote_group_count;
	enum policy_direction direction;
	rte_be16_t dst_port; /* of the initiator's first packet; TCP and UDP only */
	uint8_t protocol;
	uint8_t icmp_type, icmp_code; /* ICMP and ICMPv6 only */
};

struct policy_verdict {
	bool allow;
	uint16_t priority; /* of the rule; 0 for the default */
	uint32_t group;    /* that decided, or POLICY_GROUP_NONE: the default did */
	uint32_t rule;     /* its index in the group's list */
};

/* Returns verdict->allow. */
bool policy_check(const struct policy *policy, const struct policy_query *query,
	struct policy_verdict *verdict);

struct policy_stats {
	uint32_t groups, prefix_lists, policies;
	uint64_t rules;
};

void policy_db_stats(const struct policy_db *db, struct policy_stats *stats);

#endif
