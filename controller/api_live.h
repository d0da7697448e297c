/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_API_LIVE_H
#define CONTROLLER_API_LIVE_H
/* explain with `live`: a probe goes the way that was explained, and what becomes of it is told beside the explanation.
 *
 * Every node is told the probe's token first, so that it ends before anybody gets it wherever it comes to. Then the sender's node sends
 * it, and each node that it comes to is asked for its end there.
 */
#include "api.h"

struct node;

/* What was explained, and where it began. `explanation`, `in` and `packet` are taken. Answers the call. */
void api_live(
	struct api_call *call, json_t *explanation, struct node *first, json_t *in, json_t *packet);

/* Of api_explain.c: a southbound packet in the words of the northbound API, and the node of that VTEP (NULL: none of ours). */
json_t *explain_shown(const json_t *packet);
const struct object *explain_node_behind(struct controller *c, const char *vtep);

#endif
