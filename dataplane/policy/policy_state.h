/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_POLICY_STATE_H
#define POLICY_POLICY_STATE_H
/* The node's one policy database: southbound items `group` and `prefix_list` become its groups and lists,
 * names become handles, and a changed policy bumps its epoch slot (its tag).
 *
 * Handles: a name has the same one as long as the process lives, whether a group of that name is on this
 * node or not; endpoints are members of groups whose rules only other nodes have. Control thread, unless
 * said otherwise.
 */
#include <jansson.h>

#include "policy/group_set.h"
#include "policy/policy.h"

/* Handle of a group's name, made at first use; POLICY_GROUP_NONE when out of memory. */
uint32_t policy_group_id(const char *name);
/* Name and northbound revision of a handle; worker-safe; "" for an unknown one. */
const char *policy_group_name(uint32_t id);
uint64_t policy_group_revision(uint32_t id);

/* A reference to the set of these names (a list of strings); NULL: out of memory. */
const struct group_set *policy_groups_of(const json_t *names);

/* A reference to the policy of a set, for a port. While a transaction prepares; it says something from
 * policy_publish() on. NULL with errno. */
struct policy *policy_of(const struct group_set *groups);
void policy_release(struct policy *policy);

/* In the commit of a transaction, before the first port is given a new policy: what was prepared holds
 * from now on. May be called any number of times. */
void policy_publish(void);

#endif
