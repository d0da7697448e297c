/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_DENIED_H
#define FORWARD_DENIED_H
/* Flows that rules refused a moment ago: their next packets need not walk the road again. A small cache of each worker, outside
 * the table of sessions; a newer entry overwrites an older one. An entry ends with any change of any epoch, and after DENIED_MS
 * because what is new (an endpoint with its groups) bumps none. */
#include "core/road.h"
#include "session/session.h"

#define DENIED_MS 5u

/* Of the same packet, but for what no stage looks at: why it is refused (DROP_NONE: not known), and on its way to where. Workers. */
enum drop_reason denied_find(
	const struct flow *f, const struct session_key *key, uint32_t hash, loc_t *out);
/* The road has refused it, for whatever reason; `change`: the epochs' change word from before the walk. */
void denied_note(
	const struct flow *f, const struct session_key *key, uint32_t hash, uint32_t change);

#endif
