/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `share`: [kind, vni, sessions], and the default of all others. */
#include "forward/shares.h"

#include <stdlib.h>

#include "core/state.h"
#include "session/session.h"
#include "vpc/item.h"
#include "vpc/vpc.h"

enum column { VNI = 1, SESSIONS };

struct change {
	uint32_t vni, sessions; /* 0: the default */
};

static unsigned int of_vpc = 100, of_unanswered = 100;

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	uint64_t sessions = item != NULL ? item_uint(item, SESSIONS) : 0;

	if (c == NULL)
		return item_no_memory(err);
	c->vni = (uint32_t)item_uint(item != NULL ? item : old, VNI);
	c->sessions = sessions < UINT32_MAX ? (uint32_t)sessions : UINT32_MAX;
	*staged = c;
	return 0;
}

static void commit(void *staged)
{
	struct change *c = staged;
	const struct vpc *vpc = vpc_by_vni(c->vni);

	if (vpc != NULL)
		session_share_set(vpc->index, c->sessions);
	free(c);
}

STATE_KIND(share_kind, .name = "share", .order = 25, .prepare = prepare, .commit = commit,
	.abort = free)

/* Who is alone takes nothing from anybody. */
static void set_default(void)
{
	bool alone = vpc_count() <= 1;
	uint64_t share = (uint64_t)session_capacity() * of_vpc / 100;

	session_share_default(
		alone || of_vpc == 100 ? 0 : (uint32_t)share + (share == 0), of_unanswered);
}

void shares_configure(unsigned int vpc_percent, unsigned int unanswered_percent)
{
	of_vpc = vpc_percent;
	of_unanswered = unanswered_percent;
	set_default();
}

STATE_HOOK(share_hook, .order = 25, .after_commit = set_default);
